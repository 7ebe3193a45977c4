"""Seconds per step of every preset on this machine, for `tfgan_suite/runs/presets.py`.

    python results/preset_rates.py [PRESET ...]

One step to compile, then the median of three, on random images; nothing else should be running.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time

import numpy as np

from tfgan_suite.runs.presets import PRESETS
from tfgan_suite.training import building, loop

IN_PARTS = {"r3gan": 64}  # presets whose step needs too much memory: what part of the batch is timed, and multiplied


IN_PARTS = {"r3gan": 64}  # presets whose step needs too much memory: what part of the batch is timed, and multiplied


def seconds_per_step(name: str) -> float:
    parts = IN_PARTS.get(name, 1)
    settings = dataclasses.replace(PRESETS[name].config, num_classes=10)
    settings = dataclasses.replace(settings, batch_size=settings.batch_size // parts)
    run_steps = loop.compiled_steps(building.build(settings), settings)
    count = 1 if settings.width == 1 else 20
    rows = settings.images_per_step
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, rows, settings.image_size, settings.image_size, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, (count, rows), dtype=np.int32)
    run_steps(images, labels)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        run_steps(images, labels)
        seconds.append((time.perf_counter() - began) / count)
    return parts * statistics.median(seconds)


if __name__ == "__main__":
    for preset in sys.argv[1:] or PRESETS:
        print(f"{preset:20}seconds_per_step={seconds_per_step(preset):.3g}", flush=True)
