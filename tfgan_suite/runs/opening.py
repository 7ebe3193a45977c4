"""The one way to open a run: its configuration, classes, and the weights of one of its checkpoints."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_tools.errors import UsageError
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from models_zoo.gan import GAN

NEWEST, BEST = "newest", "best"
WEIGHTS = {"ema": "ema_generator", "raw": "generator"}  # as asked for -> attribute of the GAN


@dataclasses.dataclass(frozen=True)
class OpenRun:
    """A run with the state of one of its checkpoints.

    Attributes:
        folder: where everything of the run stands.
        settings: its configuration.
        record: the whole of its `config.json`.
        gan: the compiled model, in the state of `checkpoint`.
        checkpoint: the file that was read; None for a run that has none, whose model is as it was built.
    """

    folder: RunFolder
    settings: Config
    record: dict[str, Any]
    gan: GAN
    checkpoint: Path | None

    @property
    def step(self) -> int:
        """Steps that the weights were trained for."""
        return int(self.gan.step.numpy())

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the training data, in label order."""
        return tuple(self.record["class_names"])

    def generator(self, weights: str = "ema") -> keras.Model:
        """The averaged generator, or with `"raw"` that of the last step."""
        return getattr(self.gan, WEIGHTS[weights])

    def scores(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` for these weights."""
        return [line for line in self.folder.metric_lines() if line["step"] == self.step]


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder."""
    return (path / "config.json").is_file() and (path / "checkpoints").is_dir()


def open_run(
    path: Path,
    checkpoint: str = NEWEST,
    *,
    gan: GAN | None = None,
    may_be_new: bool = False,
    report: Callable[[str], None] = lambda message: None,
) -> OpenRun:
    """Open the run in a folder.

    Args:
        path: the run folder.
        checkpoint: `"newest"`, for the newest that can be read; `"best"`, the one that is nearest to the selection
            split; or a step.
        gan: the model to bring into that state, such as one built for several devices; built here if None.
        may_be_new: a run without a checkpoint is opened as it begins, instead of refused.
        report: called with what the user should know, such as a damaged checkpoint that was skipped.

    Raises:
        UsageError: if this is no run, or it has no such checkpoint.
        SuiteError: if the checkpoint, or each of them, is damaged or does not fit the run's configuration.
    """
    folder = RunFolder(path)
    settings, record = folder.read_config()
    there = _is_there(folder, checkpoint)
    if not there and not (may_be_new and checkpoint == NEWEST):
        raise UsageError(_not_there(folder, checkpoint))
    if gan is None:
        from tfgan_suite.training.building import build

        gan = build(settings)
    found = None
    if there:
        found, arrays = _read(folder, checkpoint, gan, report)
        checkpoints.restore(gan.state(), arrays, found)
    return OpenRun(folder, settings, record, gan, found)


def _is_there(folder: RunFolder, which: str) -> bool:
    if which == NEWEST:
        return bool(checkpoints.newest_first(folder.checkpoints))
    if which != BEST and re.fullmatch("[0-9]{1,18}", which) is None:
        raise UsageError(f"--checkpoint must be {NEWEST}, {BEST} or a step. Received: {which[:80]}")
    return _path(folder, which).is_file()


def _path(folder: RunFolder, which: str) -> Path:
    return folder.best if which == BEST else checkpoints.path_of(folder.checkpoints, int(which))


def _read(folder: RunFolder, which: str, gan: GAN, report: Callable[[str], None]) -> tuple[Path, dict[str, np.ndarray]]:
    if which == NEWEST:
        return checkpoints.newest(folder.checkpoints, report, gan.state())
    path = _path(folder, which)
    return path, checkpoints.read(path, gan.state())


def _not_there(folder: RunFolder, which: str) -> str:
    steps = [str(checkpoints.step_of(path)) for path in checkpoints.newest_first(folder.checkpoints)]
    having = steps + [BEST] * folder.best.is_file()
    if which == NEWEST or not having:
        return f"{folder.path} has no readable checkpoint: train it further first"
    return f"{folder.path} has no checkpoint {which!r}, only {', '.join(having)}"
