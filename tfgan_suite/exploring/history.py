"""A run as a moving picture of its sample grids, which are always of the same latents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from data_tools.errors import SuiteError
from data_tools.pictures import Unreadable, opened
from tfgan_suite.images import pictures
from tfgan_suite.runs.run_folder import RunFolder

_MOST_FRAMES = 200
_LAST = 2000  # milliseconds


def write(run: RunFolder, path: Path, milliseconds: int) -> list[int]:
    """Write the grids of a run, oldest first, each with its step; gives the steps.

    Of more than 200 grids, 200 are taken at equal distances, the first and the last among them.

    Args:
        milliseconds: how long each is shown; the last for two seconds.

    Raises:
        SuiteError: for a run without grids, or with a damaged one.
    """
    found = {int(name[1]): file for file in run.samples.glob("step-*.png") if (name := _step(file))}
    if not found:
        raise SuiteError(f"{run.path} has no sample grids: train it further first")
    steps = sorted(found)
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _MOST_FRAMES)).round().astype(int))
    steps = [steps[number] for number in chosen]
    frames = _frames([(step, found[step]) for step in steps])
    pictures.save_gif(frames, path, milliseconds=milliseconds, last=max(_LAST, milliseconds))
    return steps


def _frames(grids: list[tuple[int, Path]]) -> Iterator[Image.Image]:
    size = None
    for step, file in grids:
        try:
            frame = pictures.enlarged(opened(file))
        except Unreadable as error:
            raise SuiteError(f"{file} {error}") from None
        if size not in (None, frame.size):
            raise SuiteError(f"{file} has another size than the grids before it: move those of one size elsewhere")
        size = frame.size
        yield pictures.captioned(frame, f"step {step:,}")


def _step(file: Path) -> re.Match[str] | None:
    return re.fullmatch(r"step-(\d{1,12})", file.stem, re.ASCII)
