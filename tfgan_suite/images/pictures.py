"""Pictures: the grid of samples, enlarged and with names beside it, moving pictures, and writing them."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_tools import files

GAP = 2  # pixels between images, before they are enlarged
SMALLEST_WIDTH = 640  # of a picture to be looked at
_FONT_SIZE = 15
_MARGIN = 8
_LONGEST_NAME = 220  # pixels


def grid(images: np.ndarray, columns: int | None = None, gap: int = GAP) -> Image.Image:
    """Images uint8 [N, H, W, 1 or 3] in rows, on white; as square as N allows if `columns` is None."""
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas)


def factor_to(width: int, least: int = SMALLEST_WIDTH) -> int:
    """The smallest whole number by which a picture of `width` pixels becomes at least `least` wide."""
    return max(1, -(-least // width))


def enlarged(picture: Image.Image, width: int = SMALLEST_WIDTH) -> Image.Image:
    """`picture` at the smallest whole multiple of its size that is at least `width` pixels wide: nothing is blurred."""
    factor = factor_to(picture.width, width)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def named_grid(
    images: np.ndarray,
    columns: int | None = None,
    *,
    column_names: Sequence[str] = (),
    row_names: Sequence[str] = (),
    width: int = SMALLEST_WIDTH,
) -> Image.Image:
    """`grid`, `enlarged`, with names over its columns and to the left of its rows.

    The grid stands in the lower right corner. Where one name is wider than a column, all of them are turned to stand
    upright.

    Args:
        images: uint8 [N, H, W, 1 or 3].
        columns: see `grid`.
        column_names, row_names: one for each column and row; () for none.
        width: least width of the enlarged grid, in pixels.

    Returns:
        An RGB picture.
    """
    columns = columns or math.ceil(math.sqrt(len(images)))
    small = grid(images, columns)
    large = enlarged(small, width).convert("RGB")
    factor = factor_to(small.width, width)
    cell_height, cell_width = (factor * (side + GAP) for side in images.shape[1:3])
    across = [_written(name) for name in column_names]
    down = [_written(name) for name in row_names]
    if any(name.width > cell_width - 2 for name in across):
        across = [name.transpose(Image.Transpose.ROTATE_90) for name in across]
    top = max((name.height for name in across), default=-_MARGIN) + _MARGIN
    left = max((name.width for name in down), default=-2 * _MARGIN) + 2 * _MARGIN
    canvas = Image.new("RGB", (left + large.width, top + large.height), "white")
    canvas.paste(large, (left, top))
    edge = factor * GAP // 2
    for column, name in enumerate(across):
        canvas.paste(name, (left + edge + column * cell_width + (cell_width - name.width) // 2, top - name.height))
    for row, name in enumerate(down):
        middle = top + edge + row * cell_height + cell_height // 2
        canvas.paste(name, (left - _MARGIN - name.width, middle - name.height // 2))
    return canvas


def captioned(picture: Image.Image, text: str) -> Image.Image:
    """`picture`, in RGB, with a line of text below it."""
    name = _written(text)
    canvas = Image.new("RGB", (picture.width, picture.height + name.height + _MARGIN), "white")
    canvas.paste(picture.convert("RGB"), (0, 0))
    canvas.paste(name, (_MARGIN, picture.height + _MARGIN // 2))
    return canvas


def png(picture: Image.Image) -> bytes:
    """A picture as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def save_png(picture: Image.Image, path: Path) -> None:
    """Write a picture by rename, so that a viewer never sees half of it."""
    content = png(picture)
    files.replace(path, lambda file: file.write(content))


def save_gif(frames: Iterable[Image.Image], path: Path, *, milliseconds: int, last: int | None = None) -> None:
    """Write a moving picture that repeats for ever, by rename.

    Args:
        frames: pictures of one size, at least one; each gets the 256 colours that fit it best, undithered.
        milliseconds: how long each is shown, in steps of 10.
        last: the same for the last one; as the others if None.
    """
    first, *rest = [_of_256_colours(frame) for frame in frames]
    durations = [milliseconds] * len(rest) + [milliseconds if last is None else last]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False)
    files.replace(path, lambda file: file.write(buffer.getvalue()))


def _of_256_colours(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)


def _written(text: str) -> Image.Image:
    """A line of text, black on white, in a font with Latin, Greek, Cyrillic and more, shortened to the longest name."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text[:200])
    font = ImageFont.truetype(str(_font_file()), _FONT_SIZE)
    while font.getlength(text) > _LONGEST_NAME:
        text = text.removesuffix("...")[:-1] + "..."
    ascent, descent = font.getmetrics()
    picture = Image.new("RGB", (max(1, math.ceil(font.getlength(text))), ascent + descent), "white")
    ImageDraw.Draw(picture).text((0, 0), text, fill="black", font=font)
    return picture


def _font_file() -> Path:
    """DejaVu Sans, which comes with Matplotlib; importing that would take a second."""
    package = importlib.util.find_spec("matplotlib")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("matplotlib, on which this suite depends, is not installed")
    return Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
