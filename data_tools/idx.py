"""The IDX files of MNIST and of what follows its format, plain or compressed by gzip.

An IDX file is two zero bytes, a byte for the type (8 is uint8), a byte for the number of dimensions, each dimension as
a big-endian 32-bit integer, and the values (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from data_tools.errors import DataError

MOST_BYTES = 1 << 30  # twenty times the largest file of MNIST
_PREFIXES = {"train": "train", "test": "t10k"}


def read(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array in an IDX file with that many dimensions.

    Its size is checked against `MOST_BYTES` before anything is read, and no more is decompressed than it claims.

    Raises:
        DataError: for a damaged, truncated, hostile or other file.
    """
    try:
        with open(path, "rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            start = file.read(4)
            if len(start) != 4 or start[:2] != b"\0\0" or start[2] != 8 or start[3] != dimensions:
                raise DataError(
                    f"{path} must be an IDX file of bytes in {dimensions} dimensions: it begins with {start.hex() or 0}"
                )
            shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
            size = math.prod(shape)
            if not 0 < size <= MOST_BYTES:
                raise DataError(f"{path} claims {' x '.join(map(str, shape))} bytes, from 1 to {MOST_BYTES:,} are read")
            data = file.read(size)
            if len(data) != size or file.read(1):  # the last read also makes gzip check its sum
                raise DataError(f"{path} must hold {size:,} bytes after its header: it is damaged, fetch it again")
    except DataError:
        raise
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{path} cannot be read: fetch it again ({type(error).__name__}: {error})") from None
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def names(split: str) -> tuple[str, str]:
    """Names of the files with the images and the labels of `split`, without `.gz`."""
    return f"{_PREFIXES[split]}-images-idx3-ubyte", f"{_PREFIXES[split]}-labels-idx1-ubyte"


def load(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, H, W] and labels uint8 [N] of a split of MNIST's four files in `folder`.

    Raises:
        DataError: for a missing file, or files that do not belong together.
    """
    of_images, of_labels = (_find(folder, name) for name in names(split))
    images, labels = read(of_images, 3), read(of_labels, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: {of_images.name} has {len(images):,} images, {of_labels.name} {len(labels):,} labels"
        )
    return images, labels


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder} must hold {name}, plain or with .gz: it does not")
