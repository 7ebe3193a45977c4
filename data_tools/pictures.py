"""One picture made what training takes: opened with suspicion, upright, 8 bits, on black, square, resized.

The steps are functions of their own, because the photo collector takes some of them with a colour profile in between;
`read_image` is all of them. Nothing here depends on settings of Pillow that a program may have changed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import (  # noqa: F401 - FORMATS, here at once: else Pillow loads all that it knows, in whichever thread is first
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from data_tools.errors import DataError

RULE = "EXIF orientation, transparency on black, centre square, Pillow bicubic"  # of `read_image`, in names of packs
# What is opened, by Pillow's names, with the endings of its files. Pillow goes by the content, whatever the ending, and
# would start Ghostscript for PostScript.
FORMATS = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm"),
}
EXTENSIONS = tuple(ending for endings in FORMATS.values() for ending in endings)
MAX_PIXELS = 64_000_000  # larger files are refused before they are decoded
_MODES = {1: "L", 3: "RGB"}
_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Unreadable(Exception):
    """A file that is no picture, is damaged, or cannot be used; the message goes on after the file's name.

    Attributes:
        format: what its header says that it is; empty if that is none of the formats asked for.
        error: what Pillow raised, if it was Pillow that refused.
    """

    def __init__(self, message: str, format: str = "", error: Exception | None = None) -> None:
        super().__init__(message)
        self.format = format
        self.error = error


class TooLarge(Unreadable):
    """A picture of more than `MAX_PIXELS`; `size` is its width and height."""

    def __init__(self, size: tuple[int, int], format: str) -> None:
        super().__init__(
            f"has {size[0]} x {size[1]} pixels, more than {MAX_PIXELS:,}: make it smaller or remove it", format
        )
        self.size = size


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded: its format and colour mode by Pillow's names, its size."""

    format: str
    mode: str
    width: int
    height: int


def read_header(path: Path | str) -> Header:
    """The header of a picture; the size is that of the picture as it is stored.

    Raises:
        DataError: for a file that is no picture of `FORMATS`.
    """
    try:
        with Image.open(path, formats=tuple(FORMATS)) as file:
            return Header(file.format or "", file.mode, *file.size)
    except Exception as error:  # Pillow's readers raise nearly anything on damaged input
        raise DataError(f"{path} {_damaged(error)}") from None


def read_image(path: Path | str, image_size: int, channels: int = 3) -> np.ndarray:
    """Read a picture, uint8 [image_size, image_size, channels]; the file may be hostile.

    EXIF orientation is applied, 16 bits are scaled to 8, transparency is laid on black, colours are made what
    `channels` asks for (grey by ITU-R 601 luma), the centre square is cut out and resized with antialiasing (Pillow's
    bicubic).

    Raises:
        DataError: for a file that is damaged, truncated, no picture of `FORMATS`, or larger than `MAX_PIXELS`.
    """
    try:
        picture = on_black(eight_bits(opened(path)))
        if picture.mode != _MODES[channels]:
            picture = picture.convert(_MODES[channels])
        return np.asarray(square(picture, image_size)).reshape(image_size, image_size, channels)
    except Unreadable as error:
        raise DataError(f"{path} {error}") from None
    except Exception as error:  # Pillow's converters, too, raise nearly anything on damaged input
        raise DataError(f"{path} {_damaged(error)}") from None


def opened(source: Path | str | bytes, formats: Iterable[str] = FORMATS) -> Image.Image:
    """The first frame of a file, or of the bytes of one, decoded and turned upright; `format` stays what it was.

    The size that the header claims is looked at before anything is unpacked. Unreadable EXIF data say nothing.

    Raises:
        Unreadable: for what is no picture of `formats`, damaged, truncated, or larger than `MAX_PIXELS`.
    """
    kind = ""
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=tuple(formats)) as picture:
            kind = picture.format or ""
            if picture.width * picture.height > MAX_PIXELS:
                raise TooLarge(picture.size, kind)
            picture.load()
            result = _upright(picture)
    except Unreadable:
        raise
    except Exception as error:  # as above
        raise Unreadable(_damaged(error), kind, error) from None
    result.format = kind
    return result


def eight_bits(picture: Image.Image) -> Image.Image:
    """The picture with 16 bits scaled to 8, which Pillow would clip to white.

    Raises:
        Unreadable: for 32 bits, of which no range is known.
    """
    if picture.mode.startswith("I;16"):
        return Image.fromarray(np.round(np.asarray(picture, dtype=np.float64) / 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        message = "has 32-bit pixels, of which no range is known: save it with 8 or 16 bits"
        raise Unreadable(message, picture.format or "")
    return picture


def on_black(picture: Image.Image) -> Image.Image:
    """The picture laid on black, RGBA, if it has transparency in any of Pillow's ways; else the picture itself."""
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA"):
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    return picture


def square(picture: Image.Image, image_size: int) -> Image.Image:
    """The centre square, resized with antialiasing (Pillow's bicubic) unless it has that size."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    return picture if side == image_size else picture.resize((image_size, image_size), Image.Resampling.BICUBIC)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep Pillow's warnings, of odd metadata and of sizes that `opened` refuses, off the terminal meanwhile.

    For a whole piece of work: Python's warnings are those of all threads, so it must not be entered in one of several.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        yield


def _upright(picture: Image.Image) -> Image.Image:
    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except Exception:  # damaged EXIF data raise nearly anything
        return picture
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _damaged(error: Exception) -> str:
    return f"cannot be read as an image: mend or remove it ({error})"
