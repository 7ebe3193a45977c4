"""Arrays of images made the size and the colours that were asked for: in memory, or once, in the cache folder."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from data_tools import blocks, cache
from data_tools.cache import cores
from data_tools.images import in_chunks
from data_tools.pictures import RULE, square
from data_tools.progress import counting

LARGEST_IN_MEMORY = 256 << 20  # bytes of a resized dataset; larger ones are kept in the cache folder


def prepared(images: np.ndarray, image_size: int, channels: int) -> np.ndarray:
    """uint8 images [N, H, W, 1 or 3] with the channels and the size that were asked for, by the rule of `read_image`.

    The same array if nothing is to do. A result above `LARGEST_IN_MEMORY` bytes is made once, kept in the cache folder,
    and read from there as a memory map.
    """
    size = len(images) * image_size**2 * channels
    if size > LARGEST_IN_MEMORY and images.shape[1:] != (image_size, image_size, channels):
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
        result[i] = np.asarray(square(picture, image_size)).reshape(result.shape[1:])
    return result


def kept(images: np.ndarray, image_size: int, channels: int, folder: Path | None = None) -> np.ndarray:
    """`images` as `prepared` makes them, as a read-only memory map that is made once, and again if it was damaged.

    Args:
        images: uint8 [N, H, W, 1 or 3].
        image_size, channels: of the result.
        folder: where it is kept; the cache folder if None.
    """
    digest = hashlib.sha256(repr((images.shape, image_size, channels, RULE)).encode())
    for part in in_chunks(images):
        digest.update(np.ascontiguousarray(part).data)
    place = (folder or cache.cache_folder()) / "resized" / digest.hexdigest()[:24]
    with cache.explained(place), blocks.locked(place) as refusal:
        if not blocks.are_whole(place / "images.npy"):
            if refusal:
                raise refusal
            _keep(place, images, image_size, channels)
        return np.load(place / "images.npy", mmap_mode="r", allow_pickle=False)


def _keep(place: Path, images: np.ndarray, image_size: int, channels: int) -> None:
    rows = cache.rows_per_part(image_size, channels)
    parts = [images[i : i + rows] for i in range(0, len(images), rows)]
    with open(place / "images.part", "wb") as file, ThreadPoolExecutor(cores()) as pool:
        file.write(cache.npy_header((len(images), image_size, image_size, channels)))
        with counting(f"resizing to {image_size}", len(images)) as advance:
            for i in range(0, len(parts), 2 * cores()):  # a few at a time, for the memory
                group = parts[i : i + 2 * cores()]
                for part in pool.map(lambda part: prepared_in_memory(part, image_size, channels), group):
                    file.write(np.ascontiguousarray(part).data)
                    advance(len(part))
        file.flush()
        os.fsync(file.fileno())
    blocks.record(place / "images.part")
    os.replace(place / "images.part", place / "images.npy")


def _grey(images: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma as Pillow computes it, [N, H, W, 1]."""
    result = np.empty((*images.shape[:3], 1), dtype=np.uint8)
    start = 0
    for part in in_chunks(images):
        tall = Image.fromarray(np.ascontiguousarray(part).reshape(-1, images.shape[2], 3))
        result[start : start + len(part)] = np.asarray(tall.convert("L")).reshape(*part.shape[:3], 1)
        start += len(part)
    return result
