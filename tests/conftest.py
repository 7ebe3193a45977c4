"""Shared by all tests: no network but loopback, a quiet TensorFlow, and small things to build on."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_connect = socket.socket.connect


def _loopback_only(self, address):
    host = address[0] if isinstance(address, tuple) else address
    if self.family in (socket.AF_INET, socket.AF_INET6) and host not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"a test tried to reach the network: {address}")
    return _connect(self, address)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", _loopback_only)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """Downloads and packed folders of a test go where no other test, and no user, has any."""
    monkeypatch.setenv("TFGAN_SUITE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def sources():
    """The module `tests/sources.py`: hand-made sources of every dataset."""
    spec = importlib.util.spec_from_file_location("sources", Path(__file__).parent / "sources.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def command(tmp_path):
    """Run `python -m MODULE ARGUMENTS` in an empty folder, as a user would; gives the finished process."""

    def run(module, *arguments, timeout=300, env=None):
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
