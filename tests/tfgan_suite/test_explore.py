"""What the live page's command refuses, and the flags that its commands get; the page is driven in `exploring/`."""

import importlib.util
import socket

import pytest

from data_tools import command as cli
from tfgan_suite import explore


@pytest.fixture
def taken():
    """A port that is in use."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def refused(capsys, *arguments):
    assert cli.run(explore.main, ["run", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert 1 <= len(error.splitlines()) <= 2
    return error


def test_without_gradio_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'tfgan_suite[explore]'" in refused(capsys)


def test_ports_and_hosts_that_cannot_be_had_are_refused_at_once(monkeypatch, capsys, taken):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    assert f"127.0.0.1:{taken} (Address already in use): give another --port" in refused(capsys, "--port", taken)
    assert "--port must be from 1 to 65535" in refused(capsys, "--port", 0)
    monkeypatch.setattr(explore, "_PORTS", (taken,))
    assert f"127.0.0.1:{taken}" in refused(capsys)


def test_the_page_is_served_at_loopback_unless_told_otherwise(taken, monkeypatch):
    assert explore.Arguments(source="run").host == "127.0.0.1"
    monkeypatch.setattr(explore, "_PORTS", (taken, taken + 1))
    assert explore._free_port(explore.Arguments(source="run")) == taken + 1
    loopback = {"127.0.0.1": True, "::1": True, "localhost": True, "0.0.0.0": False, "::": False, "example.org": False}
    assert {host: explore._is_loopback(host) for host in loopback} == loopback


def test_the_commands_of_the_page_open_the_same_generator():
    assert explore._flags(explore.Arguments(source="run")) == ()
    chosen = explore.Arguments(source="run", weights="raw", checkpoint="500")
    assert explore._flags(chosen) == ("--weights", "raw", "--checkpoint", "500")
