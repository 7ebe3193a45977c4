"""What the folders of runs hold, read without TensorFlow and without trust: anything may be missing or hostile.

Text comes out of here as `plain`, numbers as finite ones.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.errors import SuiteError, UsageError
from tfgan_suite.reports import quantities
from tfgan_suite.reports.plain_text import plain
from tfgan_suite.runs import checkpoints, config
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.scores.protocol import is_selection

_MOST_QUANTITIES = 64
Line = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run as its files tell it.

    Attributes:
        path: its folder.
        name: that, as text.
        settings: the configuration, unchecked.
        record: the whole of `config.json`, unchecked.
        log: lines of `log.jsonl` by rising step, each step once: numbers by name, source losses among them.
        scores: lines of `metrics.jsonl` and `evaluation.jsonl`, in their order.
        parameters: trainable parameters of `"generator"` and `"discriminator"`, as far as they are known.
        notes: what is unfinished, missing or damaged.
    """

    path: Path
    name: str
    settings: dict[str, Any]
    record: dict[str, Any]
    log: list[dict[str, float]]
    scores: list[Line]
    parameters: dict[str, int]
    notes: list[str]

    @property
    def reached(self) -> int:
        """The last step of which anything is known."""
        steps = [int(line["step"]) for line in self.log[-1:]] + [line["step"] for line in self.reported]
        return max(steps, default=0)

    @property
    def steps(self) -> int | None:
        """How many it was to train for, if that is known."""
        steps = self.settings.get("steps")
        return steps if type(steps) is int and steps > 0 else None

    @property
    def finished(self) -> bool:
        return self.steps is not None and self.reached >= self.steps

    @property
    def reported(self) -> list[Line]:
        """The scores that are not for choosing checkpoints."""
        return [line for line in self.scores if not is_selection(line)]

    @property
    def last(self) -> int | None:
        """The step whose scores are final: the end; of an unfinished run, the last that was scored."""
        if self.finished:
            return self.reached
        return max((line["step"] for line in self.reported), default=None)

    @property
    def best(self) -> int | None:
        """The step that is nearest to the selection split, the earlier one of two; None if that was not measured."""
        chosen = [line for line in self.scores if is_selection(line)]
        return min(chosen, key=lambda line: (line["value"], line["step"]))["step"] if chosen else None

    @property
    def seed(self) -> str:
        return plain(self.settings.get("seed", "?"), 20)

    @property
    def loss(self) -> str | None:
        """Name of the adversarial loss."""
        loss = self.settings.get("loss")
        return loss if isinstance(loss, str) else None

    @property
    def images_per_step(self) -> int:
        """Real images that one step shows to the discriminator; 0 if that is not known."""
        sizes = [self.settings.get("batch_size"), self.settings.get("discriminator_steps", 1)]
        return math.prod(size if type(size) is int and 0 < size < 2**20 else 0 for size in sizes)

    @property
    def seconds(self) -> float | None:
        """Wall time of the training, scores and grids on the way included."""
        return self.log[-1].get("seconds") if self.log else None

    @property
    def hardware(self) -> str:
        """What it was trained on."""
        machine = self.record.get("machine")
        if not isinstance(machine, dict):
            return "not recorded"
        gpus = machine.get("gpus") or []
        parts = [plain(gpu, 60) for gpu in gpus] if isinstance(gpus, list) else [plain(gpus, 60)]
        cores, processor = plain(machine.get("cores", "?"), 20), plain(machine.get("processor", "?"), 40)
        return ", ".join([f"{cores} cores {processor}", *parts])

    @property
    def class_names(self) -> list[str]:
        names = self.record.get("class_names")
        return [plain(name, 60) for name in names] if isinstance(names, list) else []

    def scores_at(self, step: int | None) -> list[Line]:
        """What was reported of one step."""
        return [line for line in self.reported if line["step"] == step]

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """Steps and values of a logged quantity; empty if there are none."""
        having = [line for line in self.log if name in line]
        return [line["step"] for line in having], [line[name] for line in having]

    def seconds_at(self, steps: Sequence[float]) -> list[float]:
        """Wall time at some steps, between lines of the log by interpolation; empty if the log does not tell it."""
        at, seconds = self.curve("seconds")
        return np.interp(steps, [0.0, *at], [0.0, *seconds]).tolist() if at else []

    def newest_grid(self) -> Path | None:
        """The sample grid of the last step that has one."""
        grids = [path for path in RunFolder(self.path).samples.glob("step-*.png") if path.stem[5:].isdecimal()]
        return max(grids, key=lambda path: int(path.stem[5:]), default=None)


def find(places: Iterable[Path]) -> list[Path]:
    """The run folders among and below some folders, each once, in the order of their names.

    Raises:
        UsageError: for a place that is no folder, or has no run.
    """
    found: dict[Path, Path] = {}
    for place in places:
        if not place.is_dir():
            raise UsageError(f"{plain(str(place))} must be a run folder, or a folder of them. Received: nothing there")
        runs = [place] if _is_run(place) else _below(place)
        if not runs:
            raise UsageError(f"{plain(str(place))} holds no run: no folder below it has a config.json and a log.jsonl")
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def _below(place: Path) -> list[Path]:
    found = []
    for folder, inside, _ in os.walk(place):
        inside.sort()
        if _is_run(Path(folder)):
            found.append(Path(folder))
            inside.clear()  # an export, too, has a configuration
    return found


def _is_run(path: Path) -> bool:
    run = RunFolder(path)
    return run.config_file.is_file() and (run.log.is_file() or run.metrics.is_file() or run.checkpoints.is_dir())


def read(path: Path) -> RunRecord:
    """What a run's folder holds.

    Raises:
        SuiteError: if its configuration or a whole file cannot be read, or a part of it is not in its folder.
    """
    run, notes = RunFolder(path), []
    run.require_own_parts()
    record = config.load_json(run.config_file)
    settings = record.get("config")
    if not isinstance(settings, dict):
        raise SuiteError(f"{plain(str(run.config_file))} holds no configuration of a run")
    log, damaged = _log(run.log)
    scores: list[Line] = []
    for file in (run.metrics, run.path / "evaluation.jsonl"):
        lines, bad = _json_lines(file)
        kept = [line for line in lines if _is_score(line)]
        scores += [line for line in kept if line["step"] is not None]
        damaged += bad + len(lines) - len(kept)
    if damaged:
        notes.append(f"{damaged} damaged {'line' if damaged == 1 else 'lines'} left out")
    found = RunRecord(path, plain(str(path)), settings, record, log, scores, _parameters(run, notes), notes)
    return dataclasses.replace(found, notes=[*_state(found), *notes])


def _state(run: RunRecord) -> list[str]:
    notes = []
    if not run.log:
        notes.append("no log yet")
    elif not run.finished:
        of_all = "an unknown number" if run.steps is None else f"{run.steps:,}"
        notes.append(f"unfinished: step {run.reached:,} of {of_all}")
    if not run.reported:
        notes.append("no scores: train with a classifier, or python -m tfgan_suite.evaluate RUN")
    elif run.finished and not run.scores_at(run.last):
        notes.append("no scores of the last step")
    return notes


def _parameters(run: RunFolder, notes: list[str]) -> dict[str, int]:
    for path in checkpoints.newest_first(run.checkpoints)[:1]:
        try:
            return checkpoints.num_parameters(path)
        except SuiteError:
            notes.append(f"{plain(path.name)} is damaged")
    return {}


def _log(path: Path) -> tuple[list[dict[str, float]], int]:
    """Lines by rising step, each step as it was written last, and how many are damaged."""
    lines, damaged = _json_lines(path)
    by_step, names = {}, {}
    for line in lines:
        step = line.get("step")
        if step is None:
            damaged += 1
            continue
        numbers = {name: float(value) for name, value in line.items() if _is_number(value)}
        by_step[step] = numbers
        names.update(dict.fromkeys(numbers))
    kept = {*quantities.AXES, *list(names)[:_MOST_QUANTITIES]}
    shown = {name: plain(name, 60) for name in kept}
    lines = [{shown[name]: x for name, x in by_step[step].items() if name in kept} for step in sorted(by_step)]
    return [quantities.with_source_losses(line) for line in lines], damaged


def _json_lines(path: Path) -> tuple[list[Line], int]:
    """Objects whose step is null or one, and how many lines are anything else."""
    if not path.is_file():
        return [], 0
    lines, damaged = [], 0
    for text in path.read_bytes().splitlines():
        try:
            line = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            damaged += 1
            continue
        if isinstance(line, dict) and "step" in line and _is_step(line["step"]):
            lines.append(line)
        else:
            damaged += 1
    return lines, damaged


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _is_step(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < 2**53)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _is_score(line: Line) -> bool:
    return isinstance(line.get("metric"), str) and _is_number(line.get("value"))
