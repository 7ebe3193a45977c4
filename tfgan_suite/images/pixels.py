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


def to_uint8(images: np.ndarray, values: str = "tanh") -> np.ndarray:
    """Pixels as 0..255, rounded to the nearest, halves up, out-of-range values clipped.

    Args:
        images: numbers in the range that `values` names, a key of `RANGES`.
    """
    low, high, scale, shift = _rule(values)
    return np.floor(np.clip(images.astype(np.float32), low, high) * scale + shift).astype(np.uint8)


def to_uint8_in_graph(images: tf.Tensor, values: str = "tanh") -> tf.Tensor:
    """`to_uint8` for a float32 tensor: the same bits."""
    import tensorflow as tf

    low, high, scale, shift = _rule(values)
    return tf.cast(tf.floor(tf.clip_by_value(images, low, high) * scale + shift), tf.uint8)


def _rule(values: str) -> tuple[np.float32, ...]:
    """The ends of the range, and what its numbers are multiplied by and added to before they are rounded down."""
    low, high = RANGES[values]
    scale = 255 / (high - low)
    return np.float32(low), np.float32(high), np.float32(scale), np.float32(0.5 - low * scale)


def as_uint8(images: np.ndarray, values: str, name: str) -> np.ndarray:
    """`to_uint8` of pixels that may be of another range, or uint8 already.

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
    return to_uint8(images, values)


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
