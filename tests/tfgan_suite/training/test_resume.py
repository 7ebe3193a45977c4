"""Real processes: killed at random moments and resumed, they end with the same bits."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from data_tools import command as cli
from tfgan_suite import fit
from tfgan_suite.runs import checkpoints

STEPS = 120
SMALL = ["--variant", "dcgan", "--image-size", "16", "--width", "0.25", "--latent-dim", "16",
         "--dataset", "folder", "--data-dir", "../photos", "--batch-size", "16", "--steps", STEPS,
         "--checkpoint-every", 20, "--log-every", 10, "--sample-every", 40, "--classifier", "shapes",
         "--evaluate-every", 30, "--num-images", 20, "--discriminator-steps", "2", "--flip"]  # fmt: skip


def start(folder, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "tfgan_suite.fit", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process, status=0):
    out, error = process.communicate(timeout=300)
    assert process.returncode == status, error
    return out, error


@pytest.fixture
def here(place, monkeypatch, capsys):
    """The command in this process, where nothing is killed; gives what it said."""

    def run(*arguments, status=0):
        monkeypatch.chdir(place)
        capsys.readouterr()
        result = cli.run(fit.main, [*map(str, arguments)])
        _, error = capsys.readouterr()
        assert result == status, error
        return error

    return run


def arrays(run):
    return checkpoints.read(checkpoints.newest_first(run / "checkpoints")[0])


def assert_same_run(run, other):
    ours, theirs = arrays(run), arrays(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert_same_lines(run / "log.jsonl", other / "log.jsonl")
    assert_same_lines(run / "metrics.jsonl", other / "metrics.jsonl")
    best, their_best = (checkpoints.read(folder / "checkpoints" / "best.npz") for folder in (run, other))
    for name in best:
        np.testing.assert_array_equal(best[name], their_best[name], err_msg=name)
    for picture in (run / "samples").iterdir():
        assert picture.read_bytes() == (other / "samples" / picture.name).read_bytes()
    assert len(list((run / "samples").iterdir())) == len(list((other / "samples").iterdir()))


def assert_same_lines(path, other):
    def lines(file):
        blank = {"seconds": 0, "source": ""}
        return [{**json.loads(line), **blank} for line in file.read_text().splitlines()]

    assert lines(path) == lines(other)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(15):
            picture = Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
            picture.save(folder / "photos" / name / f"{i}.png")
    (folder / "work").mkdir()
    finish(start(folder / "work", *SMALL, "--run-dir", "whole"))
    return folder / "work"


def wait_for(condition, process):
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"the process ended first: {process.communicate()[1]}")
        time.sleep(0.001)


def steps_logged(run):
    log = run / "log.jsonl"
    return json.loads(log.read_text().splitlines()[-1])["step"] if log.exists() and log.stat().st_size else 0


@pytest.mark.parametrize("seed", [20261124])  # of the moments of the kills
def test_killed_three_times_and_resumed_is_bit_identical(place, seed):
    rng = random.Random(seed)
    run = place / "killed"
    saves = run / "checkpoints"

    first = start(place, *SMALL, "--run-dir", run)
    moment = rng.uniform(0, 40)
    wait_for(lambda: steps_logged(run) >= moment, first)
    time.sleep(rng.uniform(0, 0.3))
    first.kill()
    first.wait()

    for _ in range(4):  # a save lasts a few milliseconds, so a kill may come just after it
        during_save = start(place, "--resume", run)
        wait_for(lambda: list(saves.glob(".step-*.tmp")), during_save)
        during_save.kill()
        during_save.wait()
        cut = list(saves.glob(".step-*.tmp"))
        if cut:
            break

    third = start(place, "--resume", run)
    moment = rng.uniform(20, 100)
    wait_for(lambda: steps_logged(run) >= moment, third)
    time.sleep(rng.uniform(0, 0.1))
    third.kill()
    third.wait()

    assert not checkpoints.path_of(saves, STEPS).exists(), "the last kill came after the end"
    out, _ = finish(start(place, "--resume", run))
    assert "SavedModel" in out
    assert_same_run(run, place / "whole")
    assert cut, "no kill hit a save, so the test proves less than it says"
    assert not list(saves.glob(".*.tmp"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_say_how_to_go_on(place, here, number, status):
    run = place / f"signal-{number}"
    process = start(place, *SMALL, "--run-dir", run)
    wait_for(lambda: steps_logged(run) >= 10, process)
    process.send_signal(number)
    _, error = finish(process, status)
    step = int(arrays(run)["training/step"])
    assert f"stopped at step {step} of {STEPS}, saved" in error and f"--resume {run}" in error
    assert "Traceback" not in error
    here("--resume", run)
    assert_same_run(run, place / "whole")


def test_a_damaged_checkpoint_is_skipped(place, here):
    run = shutil.copytree(place / "whole", place / "damaged")
    newest, before = checkpoints.newest_first(run / "checkpoints")[:2]
    newest.write_bytes(newest.read_bytes()[:1000])
    error = here("--resume", run)
    assert f"{newest.name} is damaged" in error and f"resumed at step {STEPS - 20}" in error
    assert before.exists()
    assert_same_run(run, place / "whole")


def test_extend_gives_what_a_longer_run_would_have(place, here):
    run = place / "extended"
    short = [*SMALL]
    short[short.index("--steps") + 1] = 80  # a multiple of all intervals, so that both runs write at the same steps
    here(*short, "--run-dir", run)
    error = here("--resume", run)
    assert "resumed at step 80 of 80, which is all: use --extend N for more" in error
    here("--resume", run, "--extend", STEPS)
    assert_same_run(run, place / "whole")


def test_changed_images_are_refused(place, here):
    run, picture = place / "whole", place.parent / "photos" / "a" / "0.png"
    content = picture.read_bytes()
    Image.new("RGB", (32, 32)).save(picture)
    try:
        error = here("--resume", run, status=1)
    finally:
        picture.write_bytes(content)
    refusal = error[error.index("error: ") :]  # after notes of what the scores will be
    assert "are not those that" in refusal and len(refusal.splitlines()) <= 2


def test_a_full_disk_stops_with_one_line_and_spares_the_checkpoint(place, here):
    run = place / "full"
    short = [*SMALL]
    short[short.index("--steps") + 1] = 20
    here(*short, "--run-dir", run)
    good = arrays(run)
    size = os.path.getsize(checkpoints.newest_first(run / "checkpoints")[0])

    def limit():  # the kernel refuses to let any file grow beyond half a checkpoint
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    _, error = finish(start(place, "--resume", run, "--extend", 40, preexec_fn=limit), 1)
    last = [line for line in error.splitlines() if line.startswith("error")]
    assert len(last) == 1 and "npz cannot be written" in last[0] and "Traceback" not in error
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.npz", "step-00000020.npz"]
    for name, array in arrays(run).items():
        np.testing.assert_array_equal(array, good[name])
    here("--resume", run)
    assert arrays(run)["training/step"] == 40


def test_what_a_kill_during_the_export_left_is_cleared_away(place, here):
    run = place / "whole"
    (run / ".export.abc.tmp" / "model").mkdir(parents=True)
    before = json.loads((run / "config.json").read_text())
    here("--resume", run)
    assert not (run / ".export.abc.tmp").exists() and (run / "export" / "saved_model.pb").exists()
    assert json.loads((run / "config.json").read_text()) == before


def test_two_processes_cannot_write_one_run(place):
    run = place / "locked"
    process = start(place, *SMALL, "--run-dir", run)
    wait_for(lambda: steps_logged(run) >= 10, process)
    process.send_signal(signal.SIGSTOP)
    try:
        _, error = finish(start(place, "--resume", run), 1)
        assert "in use by another process" in error
    finally:
        process.kill()
        process.wait()
