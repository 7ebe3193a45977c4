"""A run folder is cut back to its checkpoint before a run goes on."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from data_tools.errors import Interrupted, SuiteError, UsageError
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import RunFolder, begun, create, require_new

SETTINGS = Config(steps=20, log_every=3, evaluate_every=5)


def lines(*steps):
    """Whole lines of either file."""
    return "".join(json.dumps({"step": step, "seconds": 0.5}) + "\n" for step in steps)


def scores(*steps):
    return "".join(json.dumps({"step": step, "metric": "fid", "value": 0.1}) + "\n" for step in steps)


@pytest.fixture
def run(tmp_path):
    run = create(SETTINGS, tmp_path / "run")
    run.log.write_text(lines(3, 6, 9, 12))
    run.metrics.write_text(scores(0, 10, 12))
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
    run.log.write_text(lines(3) + '{"step": 6, "d_lo')
    run.cut_back(10, SETTINGS)
    assert run.log.read_text() == lines(3)


def test_foreign_lines_are_dropped(run):
    odd = '5\n{"a": 1}\nnonsense\n{"step": 6}\n{"step": 6, "seconds": "x"}\n{"step": 6, "seconds": 1e999}\n'
    run.log.write_text(lines(3) + odd)
    odd = [{"value": "x"}, {"value": None}, {"metric": "../../x"}, {"metric": 3}, {"reference": []}]
    run.metrics.write_text(scores(0) + "".join(json.dumps({**json.loads(scores(5)), **line}) + "\n" for line in odd))
    run.cut_back(10, SETTINGS)
    assert steps(run.log) == [3] and steps(run.metrics) == [0]


def test_the_partial_line_of_an_earlier_end_goes_when_the_run_is_lengthened(run):
    settings = dataclasses.replace(SETTINGS, evaluate_every=6)
    run.log.write_text(lines(18, 20))
    run.metrics.write_text(scores(18, 20))
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


PARTS = (
    "config.json", "log.jsonl", "metrics.jsonl", "evaluation.jsonl", ".lock", "samples", "plots", "checkpoints",
    "export", "tensorboard", "checkpoints/best.npz", "checkpoints/step-00000005.npz", "plots/losses.png",
)  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe"])
def test_a_run_with_a_part_that_is_a_link_is_refused(run, tmp_path, part, kind):
    run.write_config(SETTINGS, "0" * 64, ())
    run.read_config()
    path = run.path / part
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(SuiteError, match=f"{part} is (a link|neither a file nor a folder), and a run is opened only"):
        run.read_config()


def test_the_path_to_a_run_may_be_a_link_and_other_things_in_it_too(run, tmp_path):
    run.write_config(SETTINGS, "0" * 64, ())
    (tmp_path / "elsewhere").symlink_to(run.path)
    (run.path / "notes").symlink_to(tmp_path)
    assert RunFolder(tmp_path / "elsewhere").read_config()[0] == SETTINGS


@pytest.mark.parametrize("names", ["cat", 5, ["cat", 5], {"cat": 1}])
def test_class_names_that_are_no_strings_are_refused(run, names):
    run.config_file.write_text(json.dumps({"config": SETTINGS.as_dict(), "class_names": names}))
    with pytest.raises(UsageError, match="class_names must be a list of strings. Received: "):
        run.read_config()


def test_a_file_beyond_reason_is_not_read(run):
    run.write_config(SETTINGS, "0" * 64, ())
    os.truncate(run.log, 1 << 40)
    with pytest.raises(SuiteError, match="log.jsonl has more than 268,435,456 bytes"):
        run.read_config()


def test_what_a_run_leaves_that_never_began_is_taken_over(tmp_path):
    run = create(SETTINGS, tmp_path / "run")
    with run.lock():
        pass
    (run.path / ".config.json.77.tmp").write_text("{")
    with pytest.raises(UsageError, match="ended before it began.*start it again with --run-dir .*run, or delete"):
        run.read_config()
    with create(SETTINGS, tmp_path / "run").lock(), begun(run, lambda: 0):
        run.write_config(SETTINGS, "0" * 64, ())
    assert run.read_config()[0] == SETTINGS
    with pytest.raises(UsageError, match="must be new or empty"), run.lock(), begun(run, lambda: 0):
        pytest.fail("another process' run was begun anew")
    assert run.read_config()[0] == SETTINGS


@pytest.mark.parametrize("more", ["notes.txt", "samples/step-000000.png", "photos/a.png"])
def test_a_folder_with_anything_more_is_not_taken_over(tmp_path, more):
    run = create(SETTINGS, tmp_path / "run")
    (run.path / more).parent.mkdir(exist_ok=True)
    (run.path / more).write_text("precious")
    with pytest.raises(UsageError, match="must be new or empty"):
        create(SETTINGS, run.path)
    with pytest.raises(UsageError, match="is no run folder"):
        run.read_config()


def test_a_folder_whose_parts_are_links_is_not_taken_over(tmp_path):
    run = create(SETTINGS, tmp_path / "run")
    run.plots.rmdir()
    (tmp_path / "empty").mkdir()
    run.plots.symlink_to(tmp_path / "empty")
    with pytest.raises(UsageError, match="must be new or empty"):
        create(SETTINGS, run.path)


@pytest.mark.parametrize(
    ("error", "steps_done", "there"),
    [(MemoryError(), 0, False), (SuiteError("full"), 0, False), (MemoryError(), 1, True),
     (Interrupted("stopped", 15), 0, True), (KeyboardInterrupt(), 0, True)],
)  # fmt: skip
def test_a_run_that_fails_before_its_first_step_leaves_nothing(tmp_path, error, steps_done, there):
    run = create(SETTINGS, tmp_path / "run")
    with pytest.raises(type(error)), run.lock(), begun(run, lambda: steps_done):
        run.write_config(SETTINGS, "0" * 64, ())
        run.sample_grid(0).write_bytes(b"png")
        raise error
    assert run.path.exists() == there
