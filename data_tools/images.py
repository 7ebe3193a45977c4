"""What every dataset ends as: one uint8 array of images, its labels, and the names of its classes."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterator

import numpy as np

from data_tools.errors import DataError

_CHUNK_BYTES = 32 << 20


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


def distinct(class_names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """`class_names`, if no two are the same: a class is found by its name, so of two the second never would be.

    Raises:
        DataError: naming the one that `name` has twice.
    """
    if len(set(class_names)) < len(class_names):
        twice = collections.Counter(class_names).most_common(1)[0][0]
        raise DataError(f"{name}: the names of classes must differ from each other. Received: {twice[:80]!r} twice")
    return class_names
