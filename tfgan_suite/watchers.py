"""What looks at a run on its way: each makes a function of the step, which the loop calls at intervals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import data_tools
from data_tools.errors import NoSplitError
from tfgan_suite import classifier, evaluation, files, pictures
from tfgan_suite.config import Config
from tfgan_suite.run_folder import RunFolder
from tfgan_suite.sampling import Sampler

_GRID_IMAGES = 64
_GRID_SEED = 1
_MOST_COLUMNS = 10


def grid_drawer(gan: Any, run: RunFolder) -> Callable[[int], None]:
    """A function of the step that draws the sample grid of the averaged generator, always from the same latents.

    Of a conditional generator, a column per class, of the first ten classes.
    """
    sampler = Sampler(gan.ema_generator, gan.num_classes)
    columns, labels, count = None, None, _GRID_IMAGES
    if sampler.conditional:
        columns = min(gan.num_classes, _MOST_COLUMNS)
        count = columns * round(_GRID_IMAGES / columns)
        labels = np.arange(count) % columns

    def draw(step: int) -> None:
        images = sampler.images(count, _GRID_SEED, labels)
        pictures.save_png(pictures.grid(images, columns), run.sample_grid(step))

    return draw


def scorer(settings: Config, gan: Any, data_dir: Path | None) -> Callable[[RunFolder, int], None] | None:
    """A function that scores the averaged generator into `metrics.jsonl`, or None without a classifier.

    It compares with the test split, or with the training split of data that have no other.
    """
    name = settings.classifier
    if name == "auto":
        name = "shapes" if settings.dataset == "shapes" else "none"
    if name == "none":
        return None
    network = classifier.load(name)
    split = "test"
    try:
        real = data_tools.load(settings.dataset, split, image_size=settings.image_size, data_dir=data_dir)
    except NoSplitError:
        split = "train"
        real = data_tools.load(settings.dataset, split, image_size=settings.image_size, data_dir=data_dir)
    reference = evaluation.reference(network, real, f"{settings.dataset}:{split}")
    sampler = Sampler(gan.ema_generator, gan.num_classes)

    def score(run: RunFolder, step: int) -> None:
        images_seen = step * settings.batch_size * settings.discriminator_steps
        lines = evaluation.score(
            sampler, network, reference, num_images=settings.num_images, step=step, images_seen=images_seen
        )
        for line in lines:
            files.append_json_line(run.metrics, line)

    return score


def tensorboard_writer(run: RunFolder) -> Callable[[int], None]:
    """A function of the step that copies the new lines of the log to TensorBoard's event file."""
    writer = tf.summary.create_file_writer(str(run.tensorboard))
    position = run.log.stat().st_size if run.log.exists() else 0

    def write(step: int) -> None:
        nonlocal position
        with open(run.log, encoding="utf-8") as log:
            log.seek(position)
            new = log.read()
            position = log.tell()
        for line in map(json.loads, new.splitlines()):
            for name, value in line.items():
                if name != "step":
                    with writer.as_default(line["step"]):
                        tf.summary.scalar(name, value)
        writer.flush()

    return write
