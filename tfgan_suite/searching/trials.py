"""One trial: its own process trains it from a configuration file, and its score decides.

A trial's folder holds `config.json`, which `fit --config` takes, `run`, the run folder, and `output.txt`, what the
training printed. A trial whose process or whose searching process was killed goes on from its last checkpoint.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_tools import files
from data_tools.errors import SuiteError, UsageError
from tfgan_suite.runs import config
from tfgan_suite.runs.run_folder import RunFolder

COMPLETE = "complete"
DIVERGED, COLLAPSED, TOO_LARGE, STOPPED, FAILED = "diverged", "collapsed", "out of memory", "stopped early", "failed"
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
_ATTEMPTS = 3  # of a training that is killed from outside
_POLL = 0.5  # seconds between looks at a training
_FEWEST_CLASSES = 0.5  # of all classes that a generator must show, or it has collapsed
_PRESENT = 0.2  # of its fair share is what a class needs to count as shown


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a search makes small.

    Args:
        evaluate: key of `METRICS`.
        names: of its result, the general one and that with Inception.
        log: whether its logarithm is what is compared, so that effects are ratios.
        larger_is_better: turns the sign.
    """

    evaluate: str
    names: tuple[str, ...]
    log: bool = False
    larger_is_better: bool = False

    def of(self, value: float) -> float:
        """From the metric's value to what is made small."""
        if self.log:
            value = math.log(max(value, 1e-12))
        return -value if self.larger_is_better else value


OBJECTIVES = {
    "frechet": Objective("frechet", ("frechet_classifier_distance", "fid"), log=True),
    "kernel": Objective("kernel", ("kernel_classifier_distance", "kid")),
    "score": Objective("score", ("classifier_score", "inception_score"), log=True, larger_is_better=True),
    "precision": Objective("precision_recall", ("precision",), larger_is_better=True),
    "recall": Objective("precision_recall", ("recall",), larger_is_better=True),
    "density": Objective("density_coverage", ("density",), larger_is_better=True),
    "coverage": Objective("density_coverage", ("coverage",), larger_is_better=True),
}


@dataclasses.dataclass(frozen=True)
class Finished:
    """How a trial ended.

    Attributes:
        outcome: `COMPLETE`, or why its value does not count.
        metric: of the run's last score on the selection split; None without one.
        seconds: of training.
        note: the last line of a training that failed.
    """

    outcome: str
    metric: float | None
    seconds: float | None
    note: str = ""


class Stopped(Exception):
    """The search was told to stop; the training is saved and goes on next time."""


def run(
    folder: Path,
    settings: dict[str, Any],
    objective: Objective,
    *,
    threads: int | None,
    stop: threading.Event,
    watch: Callable[[int, float], bool] = lambda step, metric: False,
) -> Finished:
    """Train a configuration to its end, or go on with it, and score it.

    Args:
        folder: of the trial; made if missing.
        settings: whole, as `fit --config` takes them.
        objective: what the score is.
        threads: of the training's process; all cores if None.
        stop: when set, the training is stopped and saved.
        watch: called with step and metric of each new score on the selection split; True ends the trial early.

    Raises:
        Stopped: after `stop`.
        UsageError: if the folder is another trial's, or the configuration is one that `fit` refuses.
    """
    with files.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _write_config(folder / "config.json", settings)
    trained = RunFolder(folder / "run")
    for _ in range(_ATTEMPTS):
        status, ended_early = _train(folder, trained, threads, stop, watch, objective)
        if stop.is_set() and status != 0:
            raise Stopped
        if ended_early:
            return Finished(STOPPED, None, seconds_of(trained))
        if status >= 0:
            break
    if status != 0:
        return _failed(folder, trained, status)
    value = metric_of(trained, settings, objective, threads)
    collapsed = _collapsed(trained, settings)
    return Finished(COLLAPSED if collapsed else COMPLETE, value, seconds_of(trained))


def _write_config(path: Path, settings: dict[str, Any]) -> None:
    if path.exists():
        before = config.load_json(path)
        movable = ("data_dir", "classifier")  # the same files may stand elsewhere on another machine
        if {**before, **dict.fromkeys(movable)} != {**settings, **dict.fromkeys(movable)}:
            raise UsageError(f"{path.parent} holds another trial than this one: give a new --output")
    files.replace_text(path, json.dumps(settings, indent=2) + "\n")


def _train(
    folder: Path,
    trained: RunFolder,
    threads: int | None,
    stop: threading.Event,
    watch: Callable[[int, float], bool],
    objective: Objective,
) -> tuple[int, bool]:
    """The exit status of one process that trains, and whether `watch` ended it."""
    _wait_until_free(trained, stop)
    command = command_of("fit")
    if trained.config_file.is_file():
        command += ["--resume", str(trained.path)]
    else:
        command += ["--config", str(folder / "config.json"), "--run-dir", str(trained.path)]
    seen = 0
    with files.appending(folder / "output.txt") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env=environment(threads), start_new_session=True)  # fmt: skip
        try:
            while True:
                try:
                    return process.wait(_POLL), False
                except subprocess.TimeoutExpired:
                    pass
                if stop.is_set():
                    process.send_signal(signal.SIGTERM)
                    return process.wait() or 1, False
                scores = selection_scores(trained, objective)
                for step, value in scores[seen:]:
                    if watch(step, value):
                        process.send_signal(signal.SIGTERM)
                        process.wait()
                        return 1, True
                seen = len(scores)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _wait_until_free(trained: RunFolder, stop: threading.Event) -> None:
    """Wait for a training that outlived the process that searched, and remove one that had not begun."""
    while trained.path.is_dir():
        try:
            with trained.lock():
                break
        except SuiteError:
            if stop.wait(_POLL):
                raise Stopped from None
    if trained.path.is_dir() and not trained.config_file.is_file():
        shutil.rmtree(trained.path)


def command_of(name: str) -> list[str]:
    """How a command of the suite is run in a process of its own."""
    return [sys.executable, "-m", f"tfgan_suite.{name}"]


def environment(threads: int | None) -> dict[str, str]:
    """Of a process whose TensorFlow works with so many threads, on which the bits of its result depend."""
    if threads is None:
        return dict(os.environ)
    return {**os.environ, **dict.fromkeys(THREADS, str(threads))}


def selection_scores(trained: RunFolder, objective: Objective) -> list[tuple[int, float]]:
    """Step and metric of each score of a run on the selection split."""
    return [
        (line["step"], line["value"])
        for line in files.read_json_lines(trained.metrics)
        if str(line.get("reference")).endswith(":selection") and line.get("metric") in objective.names
    ]


def metric_of(trained: RunFolder, settings: dict[str, Any], objective: Objective, threads: int | None) -> float:
    """The metric of the finished run on the selection split: from its scores on the way, or measured now.

    Raises:
        SuiteError: if it cannot be measured.
    """
    at_end = [value for step, value in selection_scores(trained, objective) if step == settings["steps"]]
    if at_end:
        return at_end[-1]
    output = trained.path.parent / f"{objective.evaluate}.json"
    command = [
        *command_of("evaluate"), str(trained.path), "--metrics", objective.evaluate,
        "--reference", f"{settings['dataset']}:selection", "--num-images", str(settings["num_images"]),
        "--splits", "1", "--output", str(output),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=environment(threads), check=False)
    if done.returncode:
        raise SuiteError(f"{trained.path} could not be scored: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    for line in json.loads(output.read_text(encoding="utf-8")):
        if line["metric"] in objective.names:
            return line["value"]
    raise SuiteError(f"{trained.path} has no {objective.names[0]} in {output}")


def seconds_of(trained: RunFolder) -> float | None:
    """Seconds that a run was trained for, over all of its processes."""
    records = files.read_json_lines(trained.log)
    return records[-1]["seconds"] if records else None


def _collapsed(trained: RunFolder, settings: dict[str, Any]) -> bool:
    """Whether less than half of the classes are shown in the last scored images, where the network knows classes."""
    for line in reversed(files.read_json_lines(trained.metrics)):
        fractions = line.get("class_fractions")
        if line["step"] == settings["steps"] and fractions:
            shown = sum(fraction >= _PRESENT / len(fractions) for fraction in fractions.values())
            return shown < _FEWEST_CLASSES * len(fractions)
    return False


def _failed(folder: Path, trained: RunFolder, status: int) -> Finished:
    text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.startswith("error:")] or text.splitlines()[-1:]
    note = lines[-1] if lines else f"status {status}"
    if status == UsageError.status:
        raise UsageError(f"fit refuses a point of the space: {note.removeprefix('error: ')}\n{folder / 'config.json'}")
    outcome = FAILED
    if "training stopped at step" in note:
        outcome = DIVERGED
    elif "does not fit in memory" in note or status < 0:  # killed again and again: by the system, short of memory
        outcome = TOO_LARGE
    return Finished(outcome, None, seconds_of(trained), note)
