"""The nearest of many images, which come in batches, so that they need not all be in the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from tfgan_suite.scores.feature_metrics import nearest_rows

Rows = Callable[[np.ndarray], np.ndarray]


def nearest(
    images: np.ndarray, batches: Iterable[np.ndarray], k: int, rows_of: Rows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each image, the `k` nearest of all, nearest first; of two at one distance, the earlier.

    Args:
        images: uint8 [N, S, S, C].
        batches: the others, uint8 [B, S, S, C] each.
        rows_of: from such images to rows [B, d] whose Euclidean distance counts: `pixels`, or a network's features.

    Returns:
        Their numbers in the order of `batches`, int [N, k]; their distances [N, k]; and they themselves, uint8
        [N, k, S, S, C]. k is less if there are fewer.
    """
    rows = rows_of(images).astype(np.float64)
    numbers: np.ndarray = np.zeros((len(images), 0), np.int64)
    squared: np.ndarray = np.zeros((len(images), 0))
    found = np.zeros((len(images), 0, *images.shape[1:]), np.uint8)
    first = 0
    for batch in batches:
        columns, distances = nearest_rows(rows, rows_of(batch).astype(np.float64), min(k, len(batch)))
        numbers = np.concatenate([numbers, columns + first], axis=1)
        squared = np.concatenate([squared, distances], axis=1)
        found = np.concatenate([found, batch[columns]], axis=1)
        order = np.argsort(squared, axis=1, kind="stable")[:, :k]
        numbers = np.take_along_axis(numbers, order, axis=1)
        squared = np.take_along_axis(squared, order, axis=1)
        found = np.take_along_axis(found, order[..., None, None, None], axis=1)
        first += len(batch)
    return numbers, np.sqrt(squared), found


def pixels(images: np.ndarray) -> np.ndarray:
    """Images uint8 [B, S, S, C] as rows [B, S * S * C] of numbers from 0 to 255."""
    return images.reshape(len(images), -1)
