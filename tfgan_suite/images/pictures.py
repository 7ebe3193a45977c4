"""Pictures: the grid of samples, and writing it."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from data_tools import files


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
