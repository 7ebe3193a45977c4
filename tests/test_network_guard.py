"""No test reaches the network: not by another call, not from a child process, not if the program swallows the error."""

import contextlib
import socket
import subprocess
import sys

import pytest

ELSEWHERE = ("192.0.2.1", 9)  # an address that RFC 5737 keeps for documentation
PLACE = f"{ELSEWHERE[0]!r}, {ELSEWHERE[1]}"
CALLS = {
    "connect": f"socket.socket().connect(({PLACE}))",
    "connect_ex": f"socket.socket().connect_ex(({PLACE}))",
    "sendto": f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ({PLACE}))",
    "sendto with flags": f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', 0, ({PLACE}))",
    "sendmsg": f"socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], (), 0, ({PLACE}))",
    "getaddrinfo": "socket.getaddrinfo('example.org', 80)",
    "gethostbyname": "socket.gethostbyname('example.org')",
    "create_connection": f"socket.create_connection(({PLACE}), 1)",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_every_way_out_is_refused_and_written_down(call, refusals):
    with pytest.raises(AssertionError, match="tried to reach the network"):
        eval(call, {"socket": socket})
    assert len(refusals()) == 1


def test_a_child_process_is_refused_and_written_down(refusals):
    code = f"import contextlib, socket\nwith contextlib.suppress(BaseException):\n    {CALLS['connect']}"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert refusals() == ["a test tried to reach the network: connect 192.0.2.1"]


def test_loopback_is_free(refusals):
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = ("localhost", server.getsockname()[1])
        with contextlib.closing(socket.create_connection(place, 1)):
            pass
    assert refusals() == []


def test_a_swallowed_refusal_fails_the_test(tmp_path, refusals):
    lines = ["import contextlib, socket", "def test_it():", "    with contextlib.suppress(BaseException):"]
    (tmp_path / "test_it.py").write_text("\n".join([*lines, f"        {CALLS['getaddrinfo']}"]))
    arguments = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", "/dev/null"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "--rootdir", str(tmp_path), str(tmp_path / "test_it.py")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1 and "getaddrinfo example.org" in result.stdout and "1 error" in result.stdout
