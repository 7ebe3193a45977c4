"""What every dataset ends as: one uint8 array of images, its labels, and the names of its classes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from data_tools.errors import DataError as DataError
from data_tools.errors import NoSplitError as NoSplitError

MAX_PIXELS = 64_000_000  # larger files are refused before they are decoded
_CHUNK_BYTES = 32 << 20
LARGEST_IN_MEMORY = 256 << 20  # bytes of a resized dataset; larger ones are kept in the cache folder
_MODES = {1: "L", 3: "RGB"}


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """One split of one dataset.

    Attributes:
        images: uint8 [N, H, W, C], values 0 to 255; may be a read-only `numpy.memmap`.
        labels: int32 [N], indices into `class_names`.
        class_names: one name per class, in label order.

    Raises:
        ValueError: for another type, shape, or a label without a name.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images must be uint8 [N, H, W, C]. Received: dtype={self.images.dtype}, shape={self.images.shape}"
            )
        if self.labels.shape != (len(self.images),):
            raise ValueError(
                f"labels must hold one integer per image, shape ({len(self.images)},). "
                f"Received: shape={self.labels.shape}"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(
                f"labels must be in 0..{len(self.class_names) - 1}. Received: {self.labels.min()}..{self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """SHA-256 of pixels, labels and class names: the same data gives the same digest wherever it was read from."""
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
        for part in in_chunks(self.images):
            digest.update(np.ascontiguousarray(part).data)
        digest.update(np.ascontiguousarray(self.labels, dtype=np.int32).data)
        return digest.hexdigest()


def in_chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    """`images` [N, ...] in parts of at most 32 MiB, so that a large memory map never has to fit into the memory."""
    rows = max(1, _CHUNK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), rows):
        yield images[start : start + rows]


def read_image(path: Path | str, image_size: int, channels: int = 3) -> np.ndarray:
    """Read a picture, uint8 [image_size, image_size, channels]; the file may be hostile.

    EXIF orientation is applied, 16 bits are scaled to 8, transparency is laid on black, colours are made what
    `channels` asks for (grey by ITU-R 601 luma), the centre square is cut out and resized with antialiasing (Pillow's
    bicubic).

    Raises:
        DataError: for a file that is damaged, truncated, no picture, or larger than `MAX_PIXELS`.
    """
    try:
        with Image.open(path) as file:  # reads the header alone
            if file.width * file.height > MAX_PIXELS:
                raise DataError(
                    f"{path} has {file.width} x {file.height} pixels, more than {MAX_PIXELS:,}: "
                    f"make it smaller or remove it"
                )
            ImageOps.exif_transpose(file, in_place=True)
            picture: Image.Image = file
            if picture.mode.startswith("I;16"):  # Pillow would clip it to white
                picture = Image.fromarray(np.round(np.asarray(picture, dtype=np.float64) / 257).astype(np.uint8))
            if picture.mode in ("I", "F"):
                raise DataError(f"{path} has 32-bit pixels, of which no range is known: save it with 8 or 16 bits")
            if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA"):
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
            if picture.mode != _MODES[channels]:
                picture = picture.convert(_MODES[channels])
            return np.asarray(_square(picture, image_size)).reshape(image_size, image_size, channels)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged input
        raise DataError(f"{path} cannot be read as an image: mend or remove it ({error})") from None


def prepared(images: np.ndarray, image_size: int, channels: int) -> np.ndarray:
    """uint8 images [N, H, W, 1 or 3] with the channels and the size that were asked for, by the rule of `read_image`.

    The same array if nothing is to do. A result above `LARGEST_IN_MEMORY` bytes is made once, kept in the cache folder,
    and read from there as a memory map.
    """
    size = len(images) * image_size**2 * channels
    if size > LARGEST_IN_MEMORY and images.shape[1:] != (image_size, image_size, channels):
        from data_tools.packing import kept  # which needs this module

        return kept(images, image_size, channels)
    return prepared_in_memory(images, image_size, channels)


def prepared_in_memory(images: np.ndarray, image_size: int, channels: int) -> np.ndarray:
    """`prepared`, however large the result is."""
    if channels == images.shape[3]:
        return resize(images, image_size)
    if channels == 1:
        return resize(_grey(images), image_size)
    return np.repeat(resize(images, image_size), 3, axis=3)


def resize(images: np.ndarray, image_size: int) -> np.ndarray:
    """uint8 [N, H, W, 1 or 3] made square like `read_image` does; the same array if nothing is to do."""
    if images.shape[1:3] == (image_size, image_size):
        return images
    result = np.empty((len(images), image_size, image_size, images.shape[3]), dtype=np.uint8)
    for i, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if images.shape[3] == 1 else image)
        result[i] = np.asarray(_square(picture, image_size)).reshape(result.shape[1:])
    return result


def _grey(images: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma as Pillow computes it, [N, H, W, 1]."""
    result = np.empty((*images.shape[:3], 1), dtype=np.uint8)
    start = 0
    for part in in_chunks(images):
        tall = Image.fromarray(np.ascontiguousarray(part).reshape(-1, images.shape[2], 3))
        result[start : start + len(part)] = np.asarray(tall.convert("L")).reshape(*part.shape[:3], 1)
        start += len(part)
    return result


def _square(picture: Image.Image, image_size: int) -> Image.Image:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    return picture if side == image_size else picture.resize((image_size, image_size), Image.Resampling.BICUBIC)
