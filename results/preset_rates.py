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


def seconds_per_step(name: str) -> float:
    settings = dataclasses.replace(PRESETS[name].config, num_classes=10)
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
    return statistics.median(seconds)


if __name__ == "__main__":
    for preset in sys.argv[1:] or PRESETS:
        print(f"{preset:20}seconds_per_step={seconds_per_step(preset):.3g}", flush=True)
