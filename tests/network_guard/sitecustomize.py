"""Sockets to loopback only: for the tests, and, as every Python imports this file, for all processes that they start.

What is refused is also written down, a line each, in the file that `NETWORK_GUARD_LOG` names, because the program may
swallow the refusal, or have run in another process; `tests/conftest.py` reads it after each test.
"""

import os
import socket

LOG = "NETWORK_GUARD_LOG"
_LOOPBACK = ("127.0.0.1", "::1", "localhost", "", None)


def _check(what, host):
    host = host.decode() if isinstance(host, bytes) else host
    if host not in _LOOPBACK:
        message = f"a test tried to reach the network: {what} {host}"
        with open(os.environ[LOG], "a", encoding="utf-8") as log:
            log.write(message + "\n")
        raise AssertionError(message)


def _of_address(name, position):
    """A method of sockets with an address at that position of its arguments; sendmsg may be called without one."""
    original = getattr(socket.socket, name)

    def guarded(self, *arguments, **named):
        address = arguments[position : position + 1 or None]
        if self.family in (socket.AF_INET, socket.AF_INET6) and address and isinstance(address[0], tuple):
            _check(name, address[0][0])
        return original(self, *arguments, **named)

    setattr(socket.socket, name, guarded)


def _of_name(name):
    original = getattr(socket, name)

    def guarded(host, *arguments, **named):
        _check(name, host)
        return original(host, *arguments, **named)

    setattr(socket, name, guarded)


def install():
    """Once in a process, until its end."""
    if not hasattr(socket, "_network_guard"):
        socket._network_guard = True
        for method, position in (("connect", 0), ("connect_ex", 0), ("sendto", -1), ("sendmsg", 3)):
            _of_address(method, position)
        for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            _of_name(function)


if LOG in os.environ:
    install()
