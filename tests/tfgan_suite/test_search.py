"""Searches with real trainings: to the end, stopped, killed, lost and found again, and what their report says."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from data_tools import command as cli
from data_tools.errors import SuiteError, UsageError
from tfgan_suite import evaluate, fit, search
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.searching import confirmation, crew, design, studies_on_disk, trials
from tfgan_suite.searching.studies_on_disk import read_trials

pytest.importorskip("optuna", reason="needs the extra [search]")
TINY = ["steps=4", "image_size=16", "width=0.03", "batch_size=8", "num_images=64", "latent_dim=4"]
SPACE = {
    "base": "dcgan-shapes",
    "default": {"beta_1": 0.5},
    "parameters": {
        "beta_1": {"choices": [0.0, 0.5]},
        "generator_learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    },
}


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps(SPACE))
    return path


def searching(space, output, *more, trials=1):
    return ["--space", str(space), "--output", str(output), "--fixed", *TINY, "--trials", str(trials), "--threads", "1",
            *more]  # fmt: skip


@pytest.fixture
def one_default(monkeypatch):
    monkeypatch.setattr(design, "DEFAULTS", 1)


def test_a_search_trains_scores_and_reports(space, tmp_path, one_default, capsys):
    output = tmp_path / "out"
    assert cli.run(search.main, [*searching(space, output), "--debug"]) == 0
    records = read_trials(output / "trials.jsonl")
    assert [record["key"] for record in records] == ["default-000", "explore-000"]
    for record in records:
        settings = json.loads((output / "trials" / record["key"] / "config.json").read_text())
        assert settings["steps"] == 4 and settings["beta_1"] == record["point"]["beta_1"]
        lines = (output / "trials" / record["key"] / "run" / "metrics.jsonl").read_text().splitlines()
        measured = [json.loads(line) for line in lines]
        chosen = [line["value"] for line in measured if line["reference"] == "shapes:selection" and line["step"] == 4]
        assert chosen == [record["metric"]]
        assert record["outcome"] in (trials.COMPLETE, trials.COLLAPSED)
    # what was begun with one space cannot go on with another
    other = {**SPACE, "parameters": {**SPACE["parameters"], "beta_2": {"choices": [0.9, 0.99]}}}
    space.write_text(json.dumps(other))
    capsys.readouterr()
    assert cli.run(search.main, searching(space, output)) == 2
    assert "another space" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more, message",
    [
        (["--space", "conditionel"], "--space must be one of"),
        (["--base", "sngann"], "--base must be a preset"),
        (["--trials", "0"], "--trials must be at least 1"),
        (["--hours", "0"], "--hours must be more than 0"),
        (["--threads", "0"], "--threads must be at least 1"),
        (["--seed", "-1"], "--seed must be from 0"),
        (["--fixed", "stepps=3"], "did you mean steps?"),
        (["--fixed", "steps=3.5"], "steps must be"),
        (["--space", "rates", "--base", "dcgan"], "give --fixed steps=N"),
        (["--space", "rates", "--fixed", "steps=3", "beta_3=1"], "did you mean beta_"),
        (["--storage", "nonsense://x", "--space", "rates", "--fixed", "steps=3"], "cannot be opened"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(more, message, tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "out"), *([] if "--space" in more else ["--space", "rates"]), *more]
    assert cli.run(search.main, arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "trials").exists()


def test_report_and_confirm_need_a_search(tmp_path, capsys):
    for which in ("report", "confirm"):
        assert cli.run(search.main, [which, "--output", str(tmp_path)]) == 2
        assert "folder of a search" in capsys.readouterr().err


# What follows has trainings that take no time: a run folder with the score that a function gives.


@pytest.fixture
def quick(monkeypatch):
    """Trainings that end at once; gives the list of those that were done."""
    done = []

    def run(folder, settings, objective, *, threads, stop, watch):
        folder.mkdir(parents=True, exist_ok=True)
        if stop.is_set():
            raise trials.Stopped
        done.append((folder.name, settings))
        if settings["generator_learning_rate"] > 5e-3:
            return trials.Finished(trials.DIVERGED, None, 1.0, "error: training stopped at step 2: d_loss is nan")
        return trials.Finished(trials.COMPLETE, 100.0 + 50 * settings["beta_1"] + settings["seed"], 2.0)

    monkeypatch.setattr(trials, "run", run)
    return done


def points(output):
    return [(record["key"], record["point"], record["values"]) for record in read_trials(output / "trials.jsonl")]


def test_one_worker_and_one_seed_give_the_same_trials(space, tmp_path, quick):
    for name in ("a", "b"):
        assert cli.run(search.main, [*searching(space, tmp_path / name, trials=12), "--debug"]) == 0
    assert points(tmp_path / "a") == points(tmp_path / "b")
    assert len(points(tmp_path / "a")) == 12 + design.DEFAULTS
    assert cli.run(search.main, [*searching(space, tmp_path / "c", trials=12), "--seed", "1"]) == 0
    assert points(tmp_path / "c") != points(tmp_path / "a")


def test_a_bad_trial_is_recorded_and_never_the_best(space, tmp_path, quick):
    output = tmp_path / "out"
    assert cli.run(search.main, searching(space, output, trials=12)) == 0
    records = read_trials(output / "trials.jsonl")
    diverged = [record for record in records if record["outcome"] == trials.DIVERGED]
    assert diverged and all(record["values"] is None and "nan" in record["note"] for record in diverged)
    assert confirmation.best_of(records)["values"][0] == min(r["values"][0] for r in records if r["values"])


def test_a_lost_database_is_filled_again_from_the_lines(space, tmp_path, quick):
    output = tmp_path / "out"
    assert cli.run(search.main, searching(space, output, trials=12)) == 0
    before = (output / "trials.jsonl").read_text()
    lines = before.splitlines(keepends=True)
    lost = [line for line in lines if json.loads(line)["key"] in ("default-001", "explore-003")]
    (output / "study.db").unlink()
    (output / "trials.jsonl").write_text("".join(line for line in lines if line not in lost))
    quick.clear()
    assert cli.run(search.main, searching(space, output, trials=12)) == 0
    assert sorted(name for name, _ in quick) == ["default-001", "explore-003"]
    assert points(output) == [(r["key"], r["point"], r["values"]) for r in map(json.loads, lines)]


def test_more_trials_may_be_asked_for_later(space, tmp_path, quick):
    output = tmp_path / "out"
    assert cli.run(search.main, searching(space, output, trials=8)) == 0
    first = points(output)
    assert cli.run(search.main, searching(space, output, trials=12)) == 0
    later = points(output)
    assert len(later) == 12 + design.DEFAULTS and all(one in later for one in first)


def test_workers_of_one_process_share_a_study(space, tmp_path, quick):
    output = tmp_path / "out"
    assert cli.run(search.main, [*searching(space, output, trials=16), "--workers", "3"]) == 0
    assert len(points(output)) == 16 + design.DEFAULTS == len({name for name, _ in quick}) == len(quick)


def test_seconds_are_a_second_objective(space, tmp_path, quick):
    assert cli.run(search.main, [*searching(space, tmp_path / "out", trials=8), "--seconds-too"]) == 0
    assert {tuple(values)[1] for _, _, values in points(tmp_path / "out") if values} == {2.0}


def test_hours_end_a_search_that_goes_on_later(space, tmp_path, quick, monkeypatch):
    output = tmp_path / "out"
    ended = trials.run
    monkeypatch.setattr(trials, "run", lambda *a, **k: (time.sleep(0.2), ended(*a, **k))[1])
    assert cli.run(search.main, [*searching(space, output, trials=30), "--hours", "0.0005"]) == 0
    some = len(points(output))
    assert 0 < some < 35
    assert cli.run(search.main, searching(space, output, trials=30)) == 0
    assert len(points(output)) == 35


def test_the_report_says_what_was_found(space, tmp_path, quick):
    pytest.importorskip("sklearn")
    output = tmp_path / "out"
    assert cli.run(search.main, searching(space, output, trials=40)) == 0
    assert cli.run(search.main, ["report", "--output", str(output), "--debug"]) == 0
    text = (output / "report.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| beta_1 | 0.5 -> 0.0"))
    assert row.endswith("helps |") and "| 0.80 (0.80 to 0.80)" in row
    assert "125, 126, 127, 128, 129" in text
    rate = next(line for line in text.splitlines() if line.startswith("| generator_learning_rate | 0.0001"))
    assert rate.endswith("not resolved |")
    assert "fANOVA" in text and "PED-ANOVA" in text and "Not run yet" in text
    for picture in ("parallel_coordinates.png", "slices.png", "history.png"):
        assert (output / picture).stat().st_size > 5_000
    best = json.loads((output / "best.json").read_text())
    assert best["beta_1"] == 0.0 and best["seed"] == 0


def test_confirmation_says_what_the_best_owes_to_each_module(space, tmp_path, monkeypatch, quick):
    output = tmp_path / "out"
    assert cli.run(search.main, searching(space, output, trials=8)) == 0
    best = confirmation.best_of(read_trials(output / "trials.jsonl"))["point"]
    assert best["beta_1"] == 0.0
    quick.clear()

    def run(folder, settings, objective, *, threads, stop, watch=None):
        quick.append(folder.name)
        noise = {1000: 0.9, 1001: 1.0, 1002: 1.1, 1003: 1.0, 1004: 1.2}[settings["seed"]]
        return trials.Finished(trials.COMPLETE, noise * (100.0 if settings["beta_1"] == 0 else 150.0), 1.0)

    monkeypatch.setattr(trials, "run", run)
    assert cli.run(search.main, ["confirm", "--output", str(output), "--debug"]) == 0
    text = (output / "report.md").read_text()
    assert len(quick) == len(set(quick)) == 15
    row = next(line for line in text.splitlines() if line.startswith("| beta_1=0.5"))
    assert "1.50 (1.50 to 1.50)" in row and row.endswith("the best is better |")
    quick.clear()
    assert cli.run(search.main, ["confirm", "--output", str(output)]) == 0 and not quick


def test_two_at_the_last_trial_do_not_make_one_too_many():
    import optuna

    study = optuna.create_study()
    for key in ("explore-000", "exploit-001"):
        trial = study.ask()
        trial.set_user_attr("key", key)
    own = study.ask()
    assert studies_on_disk.is_surplus(study, own.number, "exploit-002", allowed=1)
    assert not studies_on_disk.is_surplus(study, own.number, "exploit-002", allowed=2)
    assert studies_on_disk.is_surplus(study, own.number, "explore-000", allowed=2)
    assert not studies_on_disk.is_surplus(study, own.number, "explore-001", allowed=0)


@pytest.mark.slow
def test_the_best_trains_again_to_the_same_score(space, tmp_path, one_default):
    output = tmp_path / "out"
    assert cli.run(search.main, searching(space, output, trials=2)) == 0
    records = read_trials(output / "trials.jsonl")
    for record in records:
        config = output / "trials" / record["key"] / "config.json"
        again = tmp_path / f"again-{record['key']}"
        done = subprocess.run(
            [sys.executable, "-m", "tfgan_suite.fit", "--config", str(config), "--run-dir", str(again)],
            env=trials.environment(1), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in (again / "metrics.jsonl").read_text().splitlines()]
        assert [one["value"] for one in lines if one["reference"] == "shapes:selection"][-1] == record["metric"]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_workers_killed_at_random_lose_and_count_nothing_twice(space, tmp_path):
    """Two processes on one study, six SIGKILLs of a process with or without its training; then an undisturbed end."""
    output, chance = tmp_path / "out", random.Random(5)
    arguments = searching(space, output, "--heartbeat", "1", trials=8)
    running = {}

    def start(i):
        with open(tmp_path / f"{i}.txt", "ab") as log:
            running[i] = subprocess.Popen(
                [sys.executable, "-m", "tfgan_suite.search", *arguments], stderr=log, stdout=log
            )

    for i in range(2):
        start(i)
    finished = {}
    for _ in range(6):
        time.sleep(chance.uniform(8, 25))
        for record in read_trials(output / "trials.jsonl"):
            assert finished.setdefault(record["key"], record["metric"]) == record["metric"]
        i = chance.randrange(2)
        if running[i].poll() is None:
            children = trainings_of(running[i].pid) if chance.random() < 0.5 else []
            for process in (running[i].pid, *children):
                os.kill(process, signal.SIGKILL)
        running[i].wait()
        start(i)
    assert [process.wait(900) for process in running.values()] == [0, 0], [
        (tmp_path / f"{i}.txt").read_text()[-2000:] for i in range(2)
    ]
    records = read_trials(output / "trials.jsonl")
    assert len({record["key"] for record in records}) == len(records) == 8 + design.DEFAULTS
    for key, metric in finished.items():
        assert [record["metric"] for record in records if record["key"] == key] == [metric]
    for record in records:
        steps = [json.loads(line)["step"] for line in
                 (output / "trials" / record["key"] / "run" / "log.jsonl").read_text().splitlines()]  # fmt: skip
        assert steps == sorted(set(steps)) and steps[-1] == 4


def trainings_of(pid):
    """The processes that a process has started, on Linux."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(one) for one in listed.stdout.split()]


def test_what_a_file_of_trials_must_be(tmp_path):
    path = tmp_path / "trials.jsonl"
    assert read_trials(path) == []
    whole = {"key": "explore-000", "role": "explore", "outcome": "complete", "point": {"beta_1": 0.5}, "values": [1.0]}
    path.write_text(json.dumps(whole) + "\n" + json.dumps({**whole, "outcome": trials.FAILED, "values": None}))
    assert len(read_trials(path)) == 2
    wrong = [("key", 5), ("role", [1]), ("outcome", {}), ("point", [1]), ("point", {"beta_1": []})]
    wrong += [("values", values) for values in (None, [], ["x"], [True], [float("nan")], [1e308])]
    odd = [json.dumps({**whole, name: value}) + "\n" for name, value in wrong]
    for text in ("nonsense\n", "3\n", '{"key": "explore-000"}\n', "[" * 100_000 + "\n", *odd):
        path.write_text(text)
        with pytest.raises(Exception, match="line 1 of .* is no trial"):
            read_trials(path)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "link"])
def test_a_file_of_trials_that_never_ends_is_not_waited_for(tmp_path, make):
    make(tmp_path / "trials.jsonl")
    with pytest.raises(SuiteError, match=r"trials\.jsonl is a link or no plain file"):
        read_trials(tmp_path / "trials.jsonl")


def test_what_a_training_says_is_not_written_through_a_link(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "output.txt").symlink_to(mine)
    monkeypatch.setattr(trials, "command_of", lambda name: [sys.executable, "-c", "print('said')"])
    with pytest.raises(SuiteError, match=r"output\.txt is a link or no plain file"):
        trials.run(tmp_path / "trial", {}, trials.OBJECTIVES["frechet"], threads=1, stop=threading.Event())
    assert mine.read_text() == "precious"


def test_a_metric_that_no_training_measures_is_read_from_the_scores(tmp_path, monkeypatch, few_shapes):
    """Such as precision, which is measured after the training, by `evaluate`."""
    run = tmp_path / "trial" / "run"
    arguments = "--variant dcgan --width 0.03 --image-size 16 --latent-dim 4 --steps 1 --batch-size 8 --classifier none"
    assert cli.run(fit.main, [*arguments.split(), "--run-dir", str(run)]) == 0

    def evaluated(command, **options):
        assert cli.run(evaluate.main, command[3:]) == 0
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(trials, "subprocess", types.SimpleNamespace(run=evaluated))
    settings = {"dataset": "shapes", "steps": 1, "num_images": 64}
    value = trials.metric_of(RunFolder(run), settings, trials.OBJECTIVES["precision"], None)
    assert 0 <= value <= 1


def test_settings_are_whole(tmp_path):
    """On top of any preset they mean the same: every option of the variant is named."""
    settings = crew.complete_settings({"variant": "sngan", "steps": 3}, 1)
    path = tmp_path / "c.json"
    path.write_text(json.dumps(settings))
    assert fit.parse(["--config", str(path)]).settings.as_dict() == settings
    assert settings["options"]["architecture"] == "standard" and settings["evaluate_every"] == 3
    with pytest.raises(UsageError, match="steps=N"):
        crew.complete_settings({"variant": "sngan"}, 1)
