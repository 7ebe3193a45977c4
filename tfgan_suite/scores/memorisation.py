"""Does a generator copy its training images? Nearest neighbours in feature space, as a number and a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.errors import UsageError
from data_tools.progress import counting
from tfgan_suite.images import pictures
from tfgan_suite.images.sources import Source
from tfgan_suite.scores import feature_metrics

_ROWS, _NEIGHBOURS = 10, 8


def check(
    images: np.ndarray, training: Source, network: Callable[[np.ndarray], dict[str, Any]], picture: Path
) -> tuple[float, dict[str, Any]]:  # fmt: skip
    """`feature_metrics.authenticity` of images, and a picture of those that are most like copies.

    Args:
        images: uint8 [N, S, S, 3], made by the generator.
        training: all of the images it was trained on.
        network: gives `pool_3`.
        picture: where to write rows of an image and its nearest training neighbours, the most suspicious on top.

    Returns:
        The fraction of images that are no copies, and what it depends on.

    Raises:
        UsageError: see `require`.
    """
    require(training, images.shape[1])
    features = _features([images], network, lambda count: None)
    size = training.size or 0
    real = [batch for batch, _ in training.batches(size, 250)]
    with counting(f"features of {training.name}", size) as advance:
        real_features = _features(real, network, advance)
    value, nearest, ratios = feature_metrics.authenticity(features, real_features)
    worst = np.argsort(ratios, kind="stable")[:_ROWS]
    neighbours, _ = feature_metrics.nearest_rows(features[worst], real_features, min(_NEIGHBOURS, size))
    everything = np.concatenate(real)
    rows = [np.concatenate([images[i : i + 1], everything[row]]) for i, row in zip(worst, neighbours, strict=True)]
    pictures.save_png(pictures.grid(np.concatenate(rows), columns=rows[0].shape[0]), picture)
    about = {"training": training.name, "training_images": size, "images": len(images)}
    about |= {"smallest_ratio": float(ratios.min()), "picture": picture.name}
    return value, about


def require(training: Source, image_size: int) -> None:
    """Raises UsageError for fewer than two training images, or of another size than the generated ones."""
    if training.image_size != image_size or (training.size or 0) < 2:
        raise UsageError(
            f"memorisation needs 2 training images or more of the generated size, {image_size}. "
            f"Received: {training.size} of {training.image_size} pixels from {training.name}"
        )


def _features(
    batches: list[np.ndarray], network: Callable[[np.ndarray], dict[str, Any]], advance: Callable[[int], None]
) -> np.ndarray:
    parts = []
    for batch in batches:
        for i in range(0, len(batch), 250):
            outputs = network(batch[i : i + 250])
            if "pool_3" not in outputs:
                raise UsageError("memorisation needs features, which this network does not give (pool_3)")
            parts.append(np.asarray(outputs["pool_3"]))
        advance(len(batch))
    return np.concatenate(parts)
