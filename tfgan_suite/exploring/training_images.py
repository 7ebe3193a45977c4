"""The images that a generator was trained on, and by what they are compared with its samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import data_tools
from data_tools.errors import UsageError
from tfgan_suite.exploring import nearest
from tfgan_suite.exploring.subject import Subject
from tfgan_suite.images.named_sources import Options
from tfgan_suite.runs.config import Config
from tfgan_suite.scores import yardstick

_BATCH = 250


def of_subject(
    subject: Subject, training: str | None, data_dir: Path | None, report: Callable[[str], None]
) -> Callable[[], Iterable[np.ndarray]]:
    """Gives the training images in their order, in batches uint8 [B, S, S, 3], each time that it is called.

    Args:
        training: what they are, dataset:split, a folder or an `.npz`; those of the run if None.
        data_dir: where a dataset's files are, if not where the run found them.

    Raises:
        UsageError: if nobody says what they are, or they have no end.
    """
    settings = subject.settings
    if training is None and settings is None:
        raise UsageError(f"{subject.name} does not say what it was trained on: give --training dataset:split")
    options = Options(shuffle_seed=None, data_dir=data_dir, report=report)
    if settings is not None:
        options = yardstick.options_for(settings, options)
    name = training or f"{settings.dataset if settings is not None else ''}:train"
    source = yardstick.finite_source(name, options, "--training")
    return lambda: (images for images, _ in source.batches(source.size or 0, _BATCH))


def measures(subject: Subject, classifier: str, report: Callable[[str], None]) -> dict[str, nearest.Rows]:
    """By what images are compared: pixels, and, if there is a network for it, features.

    Args:
        classifier: see `yardstick.network_for`; `"auto"` is that of the run, or the one that ships for its dataset.
    """
    settings = subject.settings
    if classifier == yardstick.AUTO and settings is not None:
        classifier = settings.classifier
    network = yardstick.network_for(
        classifier, settings.dataset if settings is not None else "", otherwise=yardstick.NO_NETWORK
    )
    if network is None:
        if classifier == yardstick.AUTO:
            report("by pixels alone: there is no classifier of this dataset; --classifier names one")
        return {"pixels": nearest.pixels}
    if "pool_3" not in network.outputs:
        raise UsageError(f"{network.name} gives no features (pool_3): give another --classifier, or none")

    def features(images: np.ndarray) -> np.ndarray:
        return np.asarray(network(images)["pool_3"])

    return {"pixels": nearest.pixels, "features": features}


def first(settings: Config, count: int, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` training images of a run, uint8 [N, S, S, C], and their classes int32 [N]."""
    settings = settings if data_dir is None else dataclasses.replace(settings, data_dir=str(data_dir))
    data = data_tools.load(
        settings.dataset, "train", image_size=settings.image_size, channels=settings.channels,
        data_dir=settings.data_dir,
    )  # fmt: skip
    return np.asarray(data.images[:count]), np.asarray(data.labels[:count])
