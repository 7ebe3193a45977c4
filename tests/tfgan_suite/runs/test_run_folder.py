"""A run folder is cut back to its checkpoint before a run goes on."""

import dataclasses
import json

import numpy as np
import pytest

from data_tools.errors import SuiteError, UsageError
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import create, require_new

SETTINGS = Config(steps=20, log_every=3, evaluate_every=5)


@pytest.fixture
def run(tmp_path):
    run = create(SETTINGS, tmp_path / "run")
    run.log.write_text("".join(json.dumps({"step": step}) + "\n" for step in (3, 6, 9, 12)))
    run.metrics.write_text("".join(json.dumps({"step": step, "value": 0.1}) + "\n" for step in (0, 10, 12)))
    for step in (5, 10, 15):
        checkpoints.save(run.checkpoints, step, {"x": np.zeros(1)}, keep=9)
    return run


def steps(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_later_lines_and_checkpoints_go(run):
    """A damaged newer checkpoint that stayed would push readable ones out when the oldest are deleted."""
    run.cut_back(10, SETTINGS)
    assert steps(run.log) == [3, 6, 9] and steps(run.metrics) == [0, 10]
    assert [checkpoints.step_of(path) for path in checkpoints.newest_first(run.checkpoints)] == [10, 5]


def test_back_to_the_beginning(run):
    run.cut_back(-1, SETTINGS)
    assert steps(run.log) == steps(run.metrics) == [] and checkpoints.newest_first(run.checkpoints) == []


def test_half_a_line_does_not_swallow_the_next(run):
    run.log.write_text('{"step": 3}\n{"step": 6, "d_lo')
    run.cut_back(10, SETTINGS)
    assert run.log.read_text() == '{"step": 3}\n'


def test_foreign_lines_are_dropped(run):
    run.log.write_text('{"step": 3}\n5\n{"a": 1}\nnonsense\n')
    run.cut_back(10, SETTINGS)
    assert steps(run.log) == [3]


def test_the_partial_line_of_an_earlier_end_goes_when_the_run_is_lengthened(run):
    settings = dataclasses.replace(SETTINGS, evaluate_every=6)
    for path in (run.log, run.metrics):
        path.write_text('{"step": 18}\n{"step": 20}\n')
    run.cut_back(20, settings)
    assert steps(run.log) == steps(run.metrics) == [18, 20]
    run.cut_back(20, dataclasses.replace(settings, steps=30))
    assert steps(run.log) == steps(run.metrics) == [18]


def test_missing_folders_are_made_again(run):
    for path in run.checkpoints.iterdir():
        path.unlink()
    run.checkpoints.rmdir()
    run.cut_back(-1, SETTINGS)
    assert run.checkpoints.is_dir()


def test_leftovers_of_kills_go(run):
    (run.checkpoints / ".step-00000020.npz.77.tmp").write_bytes(b"half")
    (run.path / ".export.x.tmp" / "model").mkdir(parents=True)
    run.cut_back(15, SETTINGS)
    assert not list(run.path.rglob(".*.tmp"))


def test_numbers_go_up_and_are_never_used_twice(tmp_path):
    names = [create(SETTINGS, None, tmp_path / "runs").path.name for _ in range(3)]
    assert names == [f"000{i}-sngan-shapes-seed0" for i in (1, 2, 3)]


def test_a_lock_holds_for_its_block_only(run):
    with run.lock(), pytest.raises(SuiteError, match="in use by another process"), run.lock():
        pass
    with run.lock():
        pass


def test_a_folder_with_something_in_it_is_not_new(run, tmp_path):
    for path in (run.path, run.log):
        with pytest.raises(UsageError, match="must be new or empty"):
            require_new(path)
    require_new(tmp_path / "other")
