"""What looks at a run on its way: each makes a function of the step, which the loop calls at intervals."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import data_tools
from data_tools.errors import NoSplitError
from tfgan_suite import checkpoints, cli, evaluation, files, pictures, reference, scoring_network
from tfgan_suite.config import Config
from tfgan_suite.errors import SuiteError, UsageError
from tfgan_suite.measures import Protocol, Scored
from tfgan_suite.run_folder import RunFolder
from tfgan_suite.sampling import Sampler
from tfgan_suite.sources import ArraySource, GeneratorSource

_METRICS = ("score", "frechet", "classes")

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

    It compares with the test split, or with the training split of data that have no other: that is what is reported.
    Where scores are taken on the way, it also measures the distance to the selection split, and the checkpoint with the
    smallest is kept as `checkpoints/best.npz`; so no checkpoint is chosen by the images that it is judged by, but for
    data with a training split alone, where a line says so.

    Raises:
        UsageError: for a network that cannot serve, or none where scores are to be taken on the way.
    """
    name = settings.classifier
    if name == "auto":
        name = "shapes" if settings.dataset == "shapes" else "none"
    if name == "none":
        if settings.evaluate_every:
            raise UsageError(
                f"--evaluate-every needs a network that scores {settings.dataset}: give --classifier a file made by "
                "python -m tfgan_suite.classifier, or 'inception'"
            )
        return None
    network = scoring_network.load(name)
    needs = evaluation.needs_of(_METRICS, network)
    wanted = Protocol(settings.num_images, _METRICS, splits=1)
    if "pool_3" not in network.outputs or "logits" not in network.outputs:
        raise UsageError(
            f"--classifier must have logits and features (pool_3). Received: {name} with {', '.join(network.outputs)}"
        )

    form: dict[str, Any] = {"image_size": settings.image_size, "channels": settings.channels, "data_dir": data_dir}

    def reference_to(split: str) -> reference.Reference:
        data = data_tools.load(settings.dataset, split, **form)
        source = ArraySource(data, f"{settings.dataset}:{split}", shuffle_seed=None)
        return reference.reference_of(source, network, needs)

    try:
        reported = reference_to("test")
    except NoSplitError:
        reported = reference_to("train")
        if settings.evaluate_every:
            _say_if_not_apart(settings.dataset, form)
    selection = reference_to("selection") if settings.evaluate_every else None
    for real in (reported, selection):
        if real is not None and (real.num_images or 0) < 2:
            raise UsageError(f"a score needs 2 real images or more. Received: {real.num_images} of {real.name}")
    sampler = Sampler(gan.ema_generator, gan.num_classes)

    def score(run: RunFolder, step: int) -> None:
        source = GeneratorSource(
            sampler.generate,
            name=str(run.path),
            image_size=sampler.image_size,
            latent_dim=sampler.latent_dim,
            class_names=reported.class_names if sampler.conditional else (),
            certain=True,
            weights="ema",
            step=step,
            images_seen=step * settings.batch_size * settings.discriminator_steps,
        )
        began = time.monotonic()
        try:
            lines, generated, _ = evaluation.evaluate(source, network, reported, wanted)
        except SuiteError as error:  # a generator that cannot be scored now may recover: its training goes on
            cli.report(f"note: no score at step {step:,}: {error}")
            return
        if selection is not None and step % settings.evaluate_every == 0:  # not at the end of a part of an interval
            only = dataclasses.replace(wanted, metrics=("frechet",))
            chosen = evaluation.lines_of(Scored(generated, selection, only, network, source), began)
            _keep_if_best(run, gan, chosen[0])
            lines += chosen
        for line in lines:
            files.append_json_line(run.metrics, line)

    return score


def _say_if_not_apart(dataset: str, form: dict[str, Any]) -> None:
    try:
        data_tools.load_own(dataset, "selection", **form)
    except NoSplitError:
        cli.report(
            "no test and no selection split: the best checkpoint is chosen by images of the training split, "
            "on which scores are reported too"
        )


def is_selection(line: dict[str, Any]) -> bool:
    """Whether a line of `metrics.jsonl` is for choosing checkpoints, not for reporting."""
    return str(line.get("reference")).endswith(":selection")


def _keep_if_best(run: RunFolder, gan: Any, line: dict[str, Any]) -> None:
    """Write the best checkpoint if none of the selection lines so far is as good as this one."""
    earlier = [record["value"] for record in files.read_json_lines(run.metrics) if is_selection(record)]
    if line["value"] < min(earlier, default=float("inf")):
        checkpoints.write(run.best, checkpoints.arrays_of(gan.state()))


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
