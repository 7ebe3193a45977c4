"""Pixels: from the range [-1, 1] back to bytes, in NumPy and in a graph; and the grid of samples."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_tools.batches import from_uint8_in_graph
from tfgan_suite import files

__all__ = ["from_uint8_in_graph", "grid", "save_png", "to_uint8", "to_uint8_in_graph"]


def to_uint8(images: np.ndarray) -> np.ndarray:
    """[-1, 1] to 0..255, rounded to the nearest, halves up, out-of-range values clipped."""
    return np.floor(np.clip(images, -1, 1) * 127.5 + 128).astype(np.uint8)


def to_uint8_in_graph(images: Any) -> Any:
    """`to_uint8` for a tensor: the same bits."""
    import tensorflow as tf

    return tf.cast(tf.floor(tf.clip_by_value(images, -1.0, 1.0) * 127.5 + 128.0), tf.uint8)


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> Image.Image:
    """Images uint8 [N, H, W, 1 or 3] in rows, on white; as square as N allows if `columns` is None."""
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas)


def save_png(picture: Image.Image, path: Path) -> None:
    """Write a picture by rename, so that a viewer never sees half of it."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    files.replace(path, lambda file: file.write(buffer.getvalue()))
