"""Signals to this very process: at once, remembered, or none of its business."""

import os
import signal

import pytest

from data_tools import command as cli
from data_tools.errors import Interrupted
from tfgan_suite import fit
from tfgan_suite.runs import checkpoints
from tfgan_suite.training import session
from tfgan_suite.training.stop_signals import StopSignals


@pytest.fixture(autouse=True)
def hangup():
    """SIGHUP as a terminal has it, also where the tests were started by `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


ALL = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), ALL)
def test_a_signal_ends_it_at_once_and_nothing_takes_it_for_a_fault(number, status):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="stopped here") as caught, StopSignals("stopped here"):
        try:
            send(number)
            pytest.fail("it went on")
        except Exception:  # as code that expects damaged files has it
            pytest.fail("it was swallowed")
    assert caught.value.status == status and signal.getsignal(number) is before


@pytest.mark.parametrize("number", [number for number, _ in ALL])
def test_a_signal_is_remembered_and_said(number, capfd):
    with StopSignals() as signals, signals.remembering("in a moment"):
        send(number)
        send(signal.SIGHUP)  # a shell and the kernel may both send it, so only a second Ctrl-C is impatience
        assert signals.received == number
    assert capfd.readouterr().err == f"{number.name}: in a moment\n"


def test_a_second_ctrl_c_ends_it_at_once():
    with pytest.raises(Interrupted) as caught, StopSignals() as signals, signals.remembering():
        send(signal.SIGTERM)
        send(signal.SIGINT)
    assert caught.value.status == 130


def test_what_nohup_made_the_process_ignore_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals, signals.remembering():
            send(signal.SIGHUP)
            assert signals.received == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


SMALL = ["--image-size", "16", "--width", "0.05", "--latent-dim", "4", "--batch-size", "8", "--steps", "2",
         "--classifier", "none", "--run-dir", "run"]  # fmt: skip


def test_before_the_first_step_it_says_what_it_does(few_shapes, tmp_path, monkeypatch, capsys):
    """SIGTERM before there is a run folder, then before its first step, then as the training is over."""
    monkeypatch.chdir(tmp_path)

    def stopped_in(name, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(session, name, lambda *_: send(signal.SIGTERM))
            assert cli.run(fit.main, [*arguments]) == 143
        return capsys.readouterr().err.partition("stopped ")[2]

    assert stopped_in("scorer", *SMALL) == "before the first step: nothing was trained\n"
    assert not (tmp_path / "run").exists()
    go_on = "Go on with\n  python -m tfgan_suite.fit --resume run\n"
    assert stopped_in("watchers", *SMALL) == f"before the first step. {go_on}"
    assert stopped_in("watchers", "--resume", "run") == f"before the first step. {go_on}"
    after = stopped_in("finish", "--resume", "run")
    assert after == f"after the last step, which is saved, and before the export. {go_on}"
    assert checkpoints.path_of(tmp_path / "run" / "checkpoints", 2).is_file()
    assert cli.run(fit.main, ["--resume", "run"]) == 0
    assert (tmp_path / "run" / "export" / "saved_model.pb").is_file()
