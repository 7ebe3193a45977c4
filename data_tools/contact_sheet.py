"""Some images of every class on one picture, with the names of the classes beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

_GAP = 2
_MARGIN = 130  # for the names
_LINE = 14  # height of a line of text
_SMALLEST = 32  # pixels at which an image is shown at least, by whole multiples


def draw(splits: Mapping[str, tuple[Mapping[int, Sequence[np.ndarray]], Sequence[str]]]) -> Image.Image:
    """A row per class of each split, on white.

    Args:
        splits: name of the split -> (images uint8 [S, S, 1 or 3] by label, names of the classes).
    """
    rows = [
        (f"{split}: {class_names[label]}", samples[label])
        for split, (samples, class_names) in splits.items()
        for label in sorted(samples)
    ]
    scale = max([1, *(-(-_SMALLEST // len(images[0])) for _, images in rows)])
    cell = max([_LINE, *(len(images[0]) * scale for _, images in rows)]) + _GAP
    columns = max([1, *(len(images) for _, images in rows)])
    sheet = Image.new("RGB", (_MARGIN + columns * cell + _GAP, len(rows) * cell + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (name, images) in enumerate(rows):
        top = _GAP + row * cell
        pen.text((_GAP, top + (cell - _LINE) // 2), _fitting(pen, name), fill="black")
        for column, image in enumerate(images):
            picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).convert("RGB")
            picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
            sheet.paste(picture, (_MARGIN + column * cell, top))
    return sheet


def _fitting(pen: ImageDraw.ImageDraw, text: str) -> str:
    """`text` on one line, shortened to the margin."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    while pen.textlength(text) > _MARGIN - 2 * _GAP:
        text = text.removesuffix("...")[:-1] + "..."
    return text
