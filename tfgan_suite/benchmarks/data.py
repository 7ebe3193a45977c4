"""How fast images come: packed reading beside training, packing beside bare decoding, and the memory of packing."""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_tools import batches, cache, folder, order, packing, pipeline
from data_tools.images import LabelledImages
from tfgan_suite.benchmarks import Row, interleaved, ratio
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.presets import PRESETS

_SIZE = 108
_PEAK = """
import re, sys
from pathlib import Path
from data_tools import folder, packing
packing.packed(folder.images_in(Path(sys.argv[1])), 108, 3, Path(sys.argv[2]))
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""  # Linux; getrusage would give the parent's peak if that was higher


def run(quick: bool) -> list[Row]:
    """Measure. Files go to a temporary folder, about 1.5 GB of them, 200 MB if `quick`.

    Args:
        quick: fewer images and repetitions; for a test that everything runs.
    """
    with tempfile.TemporaryDirectory(prefix="tfgan-benchmark-") as scratch:
        place = Path(scratch)
        return [*reading(place, quick), *decoding(place, quick), *memory(place, quick)]


def fastest_preset() -> str:
    """The preset at full width and 32x32 that shows most images a second to the discriminator."""

    def rate(name: str) -> float:
        return PRESETS[name].config.images_per_step / PRESETS[name].seconds_per_step

    return max((name for name, preset in PRESETS.items() if _is_full(preset.config)), key=rate)


def reading(place: Path, quick: bool) -> list[Row]:
    """Batches from a packed array of 32x32, by the loop and by the pipeline, beside training at full width."""
    from tfgan_suite.training import building, loop

    name = fastest_preset()
    config = dataclasses.replace(PRESETS[name].config, num_classes=None)
    rows = config.images_per_step
    data = _packed_array(place / "packed.npy", 2_000 if quick else 50_000)
    train = loop.compiled_steps(building.build(config), config)
    first = batches.gather(data, 0, 0, rows)
    train(*first)  # compiles
    stream = iter(pipeline.dataset(data, batch_size=rows))
    position = 0

    def gather() -> None:
        nonlocal position
        batches.gather(data, 0, position, rows, 10)
        position += 10

    functions = {
        "training": _rate(lambda: train(*first), rows),
        "gathering": _rate(gather, 10 * rows, 5),
        "pipeline": _rate(lambda: next(stream), rows, 50),
    }
    repeats = 2 if quick else 7
    results = interleaved(functions, repeats)
    return [
        _median(results, "training", f"training {name}, the fastest at full width"),
        _median(results, "gathering", "packed reading, the loop's"),
        _median(results, "pipeline", "packed reading, tf.data"),
        Row("packed reading, the loop's, of training", ratio(results, "gathering", "training"), "x", 20, None, repeats),
        Row("packed reading, tf.data, of training", ratio(results, "pipeline", "training"), "x", 20, None, repeats),
    ]


def decoding(place: Path, quick: bool) -> list[Row]:
    """JPEG of 500x375 to packed 108x108, beside Pillow and TensorFlow alone on all cores."""
    count = 40 if quick else 600
    photos = _draw_jpegs(place / "photos", count)
    listing = folder.images_in(photos)
    paths = [str(photos / name) for name in listing.names]
    packs = iter(range(1_000_000))

    def on_all_cores(function: Callable[[str], Any]) -> None:
        with ThreadPoolExecutor(cache.cores()) as pool:
            for _ in pool.map(function, paths):
                pass

    functions = {
        "packing": lambda: packing.packed(listing, _SIZE, 3, place / f"pack-{next(packs)}"),
        "Pillow, cut and resized": lambda: on_all_cores(_pillow_square),
        "TensorFlow, cut and resized": lambda: _tensorflow(paths, True),
        "Pillow, decoding alone": lambda: on_all_cores(_pillow_decode),
        "TensorFlow, decoding alone": lambda: _tensorflow(paths, False),
    }
    repeats = 1 if quick else 5
    results = interleaved({name: _rate(function, count) for name, function in functions.items()}, repeats)
    measured = [_median(results, name, f"500x375 JPEG to {_SIZE}: {name}") for name in functions]
    targets = {"Pillow, cut and resized": 0.9, "TensorFlow, cut and resized": 0.9}
    return measured + [
        Row(f"packing, of {name}", ratio(results, "packing", name), "x", targets.get(name), None, repeats)
        for name in functions
        if name != "packing"
    ]


def memory(place: Path, quick: bool) -> list[Row]:
    """The peak memory of a process that packs a folder, for a number of images and for ten times as many."""
    counts = (1_000, 10_000) if quick else (3_000, 30_000)
    peaks = []
    for count in counts:
        photos = _many_files(place / f"folder-{count}", count)
        command = [sys.executable, "-c", _PEAK, str(photos), str(place / f"cache-{count}")]
        peaks.append(1024 * int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    rows = [
        Row(f"peak memory, packing {count:,} images at {_SIZE}", peak / 1e6, "MB")
        for count, peak in zip(counts, peaks, strict=True)
    ]
    return [*rows, Row("peak memory, ten times the images", peaks[1] / peaks[0], "x", None, 1.25)]


def _is_full(config: Config) -> bool:
    return config.width == 1 and config.image_size == 32


def _rate(function: Callable[[], Any], images: int, calls: int = 1) -> Callable[[], float]:
    """A function that calls `function` and gives images per second; `images` is how many one call makes."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(calls):
            function()
        return calls * images / (time.perf_counter() - began)

    return measure


def _median(results: dict[str, list[float]], name: str, words: str) -> Row:
    return Row(words, statistics.median(results[name]), "images/s", repeats=len(results[name]))


def _packed_array(path: Path, count: int) -> LabelledImages:
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 32, 32, 3))
    images[:] = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    images.flush()
    order.indices(count, 0, 1, 0)
    return LabelledImages(np.load(path, mmap_mode="r"), np.zeros(count, np.int32), ("images",))


def _draw_jpegs(root: Path, count: int) -> Path:
    """Smooth waves and some noise: about 60 kB each, like a photograph."""
    root.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:375, :500]
    for i in range(count):
        waves = [np.sin(x / rng.uniform(5, 60) + y / rng.uniform(5, 60) + rng.uniform(0, 6)) for _ in range(3)]
        picture = 127 + 100 * np.stack(waves, axis=-1) + rng.normal(0, 6, (375, 500, 3))
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(root / f"{i:05d}.jpg", quality=90)
    return root


def _many_files(root: Path, count: int) -> Path:
    """`count` files of 108x108, a hundred different ones under many names."""
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(100):
        picture = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((_SIZE, _SIZE))
        picture.save(root / f"{i:05d}.jpg", quality=90)
    for i in range(100, count):
        os.link(root / f"{i % 100:05d}.jpg", root / f"{i:05d}.jpg")
    return root


def _pillow_square(path: str) -> np.ndarray:
    with Image.open(path, formats=("JPEG",)) as picture:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.crop((left, top, left + side, top + side))
        return np.asarray(square.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))


def _pillow_decode(path: str) -> None:
    with Image.open(path, formats=("JPEG",)) as picture:
        picture.load()


def _tensorflow(paths: list[str], resized: bool) -> None:
    import tensorflow as tf

    def read(path: Any) -> Any:
        picture = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        if not resized:
            return picture
        picture = tf.image.resize_with_crop_or_pad(picture, 375, 375)
        return tf.image.resize(picture, (_SIZE, _SIZE), "bicubic", antialias=True)

    for _ in tf.data.Dataset.from_tensor_slices(paths).map(read, num_parallel_calls=tf.data.AUTOTUNE):
        pass
