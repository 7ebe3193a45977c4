"""Pixels as numbers: from a generator's range to bytes, in NumPy and in a graph, and which range an array has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_tools.errors import SuiteError

if TYPE_CHECKING:
    import tensorflow as tf

# --values -> what floating-point pixels range over
RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "bytes": (0.0, 255.0)}
_TOLERANCE = 0.005  # of the range


def to_uint8(images: np.ndarray) -> np.ndarray:
    """[-1, 1] to 0..255, rounded to the nearest, halves up, out-of-range values clipped."""
    return np.floor(np.clip(images, -1, 1) * 127.5 + 128).astype(np.uint8)


def to_uint8_in_graph(images: tf.Tensor) -> tf.Tensor:
    """`to_uint8` for a tensor: the same bits."""
    import tensorflow as tf

    return tf.cast(tf.floor(tf.clip_by_value(images, -1.0, 1.0) * 127.5 + 128.0), tf.uint8)


def as_uint8(images: np.ndarray, values: str, name: str) -> np.ndarray:
    """Pixels as uint8, rounded to the nearest.

    Args:
        images: uint8, or numbers in the range that `values` names.
        values: a key of `RANGES`.
        name: whose images, for messages.

    Raises:
        SuiteError: for pixels that are not finite, or outside that range.
    """
    if images.dtype == np.uint8:
        return images
    if not np.isfinite(images).all():
        raise SuiteError(f"{name} has pixels that are not finite (NaN or infinity), so there is nothing to score")
    low, high = RANGES[values]
    slack = _TOLERANCE * (high - low)
    if images.min() < low - slack or images.max() > high + slack:
        raise _other_range(images.min(), images.max(), values, name)
    scaled = (np.clip(images.astype(np.float32), low, high) - low) * (255 / (high - low))
    return np.floor(scaled + 0.5).astype(np.uint8)


def require_range(smallest: float, largest: float, values: str, name: str) -> None:
    """Raises SuiteError if pixels between these two can hardly be of the range that `values` names.

    Images in [-1, 1] without a single dark pixel are images in [0, 1], or in [0, 255] if none is above 1.
    """
    if (values == "tanh" and smallest >= 0) or (values == "bytes" and largest <= 1):
        raise _other_range(smallest, largest, values, name)


def _other_range(smallest: float, largest: float, values: str, name: str) -> SuiteError:
    low, high = RANGES[values]
    others = ", ".join(f"{key} for [{a:g}, {b:g}]" for key, (a, b) in RANGES.items() if key != values)
    return SuiteError(
        f"{name} has pixels from {smallest:.3g} to {largest:.3g}, where [{low:g}, {high:g}] was expected: "
        f"say what they are with --values ({others})"
    )
