"""Progress of training where there is no terminal: plain lines, at the end and every ten seconds."""

import re

import pytest

from tfgan_suite.console import training_progress
from tfgan_suite.console.training_progress import TrainingProgress


@pytest.fixture
def clock(monkeypatch):
    """The time, in seconds, as a list of one number."""
    now = [100.0]
    monkeypatch.setattr(training_progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_say_step_losses_rate_and_time_left(clock, capsys):
    with TrainingProgress(0, 100, images_per_step=8) as progress:
        for step in (10, 20, 30):  # two steps a second
            clock[0] += 5
            progress.advance(step, {"d_loss": 1.25, "g_loss": 0.5} if step == 20 else None)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["step 20 of 100  d_loss 1.250  g_loss 0.500  16 images/s  40 s left"]


def test_the_last_step_is_always_said_and_a_pause_does_not_count(clock, capsys):
    with TrainingProgress(90, 100, images_per_step=1) as progress:
        clock[0] += 1
        progress.advance(95)
        clock[0] += 1000  # a score is taken
        progress.pause()
        clock[0] += 1
        progress.advance(100)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"step 100 of 100 +5 images/s  0 s left", lines[-1])
