"""Reading runs: what is missing, damaged or hostile is said, and stops nothing."""

import json
import os

import pytest

from data_tools.errors import SuiteError, UsageError
from tfgan_suite.reports import run_records


def test_a_whole_run(tmp_path, made_runs):
    metrics = [*made_runs.scores(100, 5, 40, 30), *made_runs.scores(200, 6, 50, 35)]
    run = run_records.read(made_runs.write_run(tmp_path / "run", seed=7, metrics=metrics))
    assert (run.seed, run.loss, run.steps, run.reached, run.finished) == ("7", "non_saturating", 200, 200, True)
    assert (run.last, run.best, run.images_per_step, run.hardware) == (200, 100, 64, "2 cores x86_64")
    assert run.seconds == pytest.approx(20) and run.notes == [] and run.class_names == ["circle"]
    assert run.parameters == {"generator": 12, "discriminator": 5}
    assert [line["value"] for line in run.scores_at(200)] == [6, 50]  # that to the selection split is for choosing
    steps, values = run.curve("d_loss")
    assert steps == list(range(10, 201, 10)) and values[0] == 1.1
    assert run.seconds_at([0, 5, 200]) == pytest.approx([0, 0.5, 20])
    assert run.newest_grid().name == "step-000200.png"


def test_the_best_of_equals_is_the_earlier_and_without_a_selection_there_is_none(tmp_path, made_runs):
    lines = [line for step in (150, 100, 200) for line in made_runs.scores(step, 5, 40, 30)]
    assert run_records.read(made_runs.write_run(tmp_path / "a", metrics=lines)).best == 100
    assert run_records.read(made_runs.write_run(tmp_path / "b", metrics=made_runs.scores(200, 5, 40))).best is None


def test_an_unfinished_run_is_scored_where_it_was_scored_last(tmp_path, made_runs):
    metrics = made_runs.scores(50, 2, 3, 4)
    run = run_records.read(made_runs.write_run(tmp_path / "a", log=made_runs.log_lines(90), metrics=metrics))
    assert (run.finished, run.reached, run.last) == (False, 90, 50) and run.notes == ["unfinished: step 90 of 200"]
    run = run_records.read(made_runs.write_run(tmp_path / "b", log=[]))
    assert run.notes[0] == "no log yet" and run.notes[1].startswith("no scores: ")
    assert (run.reached, run.last, run.seconds, run.seconds_at([1])) == (0, None, None, [])
    run = run_records.read(made_runs.write_run(tmp_path / "c", metrics=metrics))
    assert run.finished and run.notes == ["no scores of the last step"]


def test_evaluations_count_and_of_a_step_that_was_logged_twice_the_newer(tmp_path, made_runs):
    log = [{"step": 10, "d_loss": 1.0}, {"step": 5, "d_loss": 2.0}, {"step": 10, "d_loss": 3.0}]
    evaluation = [*made_runs.scores(200, 7, 8), {**made_runs.score("fid", 1.0, 200), "step": None}]
    run = run_records.read(made_runs.write_run(tmp_path / "run", log=log, evaluation=evaluation))
    assert run.curve("d_loss") == ([5, 10], [2.0, 3.0])
    assert [line["value"] for line in run.scores] == [7, 8] and run.notes == []  # a score of no step is of no run


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 20, "d_lo',
        '{"step": 20, "d_loss": NaN}',
        '{"step": -1}',
        '{"step": 1.5}',
        '{"step": true}',
        '{"step": "20"}',
        f'{{"step": {"9" * 400}}}',
        "[1, 2]",
        "7",
        "{}",
        "[" * 100_000,
        "\x00\xff",
    ],
    ids=range(12),
)
def test_a_damaged_line_is_counted_and_left_out(tmp_path, made_runs, line):
    run = run_records.read(made_runs.write_run(tmp_path / "run", log=[{"step": 10, "d_loss": 1.0}, line]))
    assert run.curve("d_loss") == ([10], [1.0])
    assert "1 damaged line left out" in run.notes
    made_runs.write_lines(run.path / "metrics.jsonl", [line])
    assert "2 damaged lines left out" in run_records.read(run.path).notes


def test_values_that_are_no_finite_numbers_are_no_quantities(tmp_path, made_runs):
    line = {"step": 10, "d_loss": 1.0, "text": "x", "list": [1], "truth": True, "none": None}
    huge = f'{{"step": 20, "d_loss": 1e999, "g_loss": {"9" * 350}, "k": 2.0}}'
    run = run_records.read(made_runs.write_run(tmp_path / "run", log=[line, huge]))
    assert run.log == [{"step": 10, "d_loss": 1.0}, {"step": 20, "k": 2.0}]


def test_more_quantities_than_anybody_could_look_at_are_cut(tmp_path, made_runs):
    line = {"step": 10} | {f"q{i}": i for i in range(1000)}
    run = run_records.read(made_runs.write_run(tmp_path / "run", log=[line]))
    assert 60 < len(run.log[0]) < 70 and "q0" in run.log[0]


def test_hostile_types_do_not_stop_anything(tmp_path, made_runs):
    settings = {"variant": [1], "seed": {"a": 1}, "steps": "many", "batch_size": 10**30, "loss": 5, "num_classes": "x"}
    run = run_records.read(made_runs.write_run(tmp_path / "run", settings=settings))
    assert (run.steps, run.finished, run.images_per_step, run.loss, run.seed) == (None, False, 0, None, '{"a": 1}')
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    for machine in ([], {"gpus": 7}, {"gpus": ["A\x1b[2J"], "cores": [1]}):
        (tmp_path / "run" / "config.json").write_text(json.dumps({**record, "machine": machine, "class_names": 3}))
        run = run_records.read(tmp_path / "run")
        assert "\x1b" not in run.hardware and run.hardware and run.class_names == []


def test_a_damaged_checkpoint_is_a_note(tmp_path, made_runs):
    run = made_runs.write_run(tmp_path / "run", metrics=made_runs.scores(200, 1, 2))
    (run / "checkpoints" / "step-00000200.npz").write_bytes(b"PK\x03\x04 nothing")
    found = run_records.read(run)
    assert found.parameters == {} and found.notes == ["step-00000200.npz is damaged"]


@pytest.mark.parametrize("text", ["", "[]", '{"config": 5}', '{"a": ', "[" * 100_000])
def test_a_broken_configuration_is_refused_in_a_line(tmp_path, made_runs, text):
    run = made_runs.write_run(tmp_path / "run")
    (run / "config.json").write_text(text)
    with pytest.raises(SuiteError, match=r"config\.json"):
        run_records.read(run)


def test_a_file_that_is_far_too_large_is_left_unread(tmp_path, made_runs):
    run = made_runs.write_run(tmp_path / "run")
    os.truncate(run / "log.jsonl", 2**30)  # a hole, not a gigabyte
    with pytest.raises(SuiteError, match="has more than 268,435,456 bytes"):
        run_records.read(run)


@pytest.mark.parametrize("part", ["samples/step-000300.png", "checkpoints/step-00000300.npz", "evaluation.jsonl"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "link"])
def test_a_run_with_a_part_that_is_elsewhere_or_never_ends_is_left_unread(tmp_path, made_runs, part, make):
    """A page would hold the picture that the link points at, and a pipe would be waited for, for ever."""
    run = made_runs.write_run(tmp_path / "run")
    make(run / part)
    with pytest.raises(SuiteError, match="opened only if all of it is in its folder"):
        run_records.read(run)


def test_runs_are_found_at_any_depth_each_once(tmp_path, made_runs):
    first = made_runs.write_run(tmp_path / "deep" / "er" / "one")
    second = made_runs.write_run(tmp_path / "two")
    (first / "export" / "assets").mkdir(parents=True)
    (first / "export" / "assets" / "config.json").write_text("{}")
    (first / "export" / "assets" / "log.jsonl").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert run_records.find([tmp_path]) == [first, second]
    assert run_records.find([second, tmp_path, tmp_path / "deep"]) == [second, first]


def test_places_without_runs_are_refused(tmp_path):
    with pytest.raises(UsageError, match="nowhere must be a run folder"):
        run_records.find([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="holds no run"):
        run_records.find([tmp_path])
