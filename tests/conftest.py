"""Shared by all tests: no network but loopback, a quiet TensorFlow, and small things to build on."""

import atexit
import importlib.util
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_GUARD = Path(__file__).parent / "network_guard"
_, _refusals = tempfile.mkstemp(prefix="network-guard-")
atexit.register(lambda: Path(_refusals).unlink(missing_ok=True))
os.environ["NETWORK_GUARD_LOG"] = _refusals
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_GUARD), os.environ.get("PYTHONPATH"))))
runpy.run_path(str(_GUARD / "sitecustomize.py"))


@pytest.fixture
def refusals():
    """What the guard of the network refused to this test and its children so far, a line each; asking forgets them."""

    def taken():
        text = Path(_refusals).read_text(encoding="utf-8")
        os.truncate(_refusals, 0)
        return text.splitlines()

    return taken


@pytest.fixture(autouse=True)
def no_network(refusals):
    """Sockets to anything but loopback fail the test, be it that the program swallowed the refusal."""
    refusals()
    yield
    assert refusals() == []


@pytest.fixture(scope="session")
def statistics(tmp_path_factory):
    """Statistics of references, kept for all tests and workers of a run: their key says all that they depend on."""
    shared = tmp_path_factory.getbasetemp()
    shared = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "statistics"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory, statistics):
    """Downloads and packed folders of a test go where no other test, and no user, has any."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "statistics").symlink_to(statistics)
    monkeypatch.setenv("TFGAN_SUITE_CACHE", str(cache))


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
