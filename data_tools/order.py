"""The order of training images: a pure function of seed and position, so that a run can be resumed anywhere."""

from __future__ import annotations

import functools

import numpy as np


def indices(num_images: int, start: int, count: int, seed: int) -> np.ndarray:
    """Indices of the images at positions `start` to `start + count` of an endless stream.

    The stream is one shuffled pass over all images after the other: epoch e is
    `numpy.random.default_rng([seed, e]).permutation(num_images)`, and a batch may begin in one epoch and end in the
    next, so that no image is left out.

    Args:
        num_images: size of the training split, at least 1.
        start: first position, at least 0: the number of images drawn before.
        count: how many.
        seed: seed of the run.

    Returns:
        int64 [count], values in [0, num_images).
    """
    parts = []
    while count > 0:
        epoch, offset = divmod(start, num_images)
        part = _permutation(num_images, epoch, seed)[offset : offset + count]
        parts.append(part)
        start, count = start + len(part), count - len(part)
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


@functools.lru_cache(maxsize=2)
def _permutation(num_images: int, epoch: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(num_images)
