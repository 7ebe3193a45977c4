"""Where images to be scored come from: arrays, picture files, or a generator, all as batches of uint8."""

from __future__ import annotations

import abc
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from data_tools import folder
from data_tools.errors import SuiteError, UsageError
from data_tools.images import LabelledImages, distinct
from data_tools.pictures import read_header, read_image
from tfgan_suite.images.pixels import as_uint8, require_range

Batches = Iterator[tuple[np.ndarray, np.ndarray | None]]

LATENT_SEED = 1_000_003  # of evaluation; the sample grid uses another
_TELLING_IMAGES = 32  # enough to tell [0, 1] from [-1, 1]


class Source(abc.ABC):
    """A set of images.

    Attributes:
        name: how it is called in a score.
        size: how many images there are; None for as many as are asked for.
        image_size: pixels per side.
        class_names: of its labels; () without labels.
        record: what a score says of it: `order`, `shuffle_seed`, `quantisation`, `weights`, `latent_seed`, `labels`,
            `step`, `images_seen`.
    """

    name: str
    size: int | None
    image_size: int
    class_names: tuple[str, ...]
    record: dict[str, Any]

    @abc.abstractmethod
    def batches(self, num_images: int, batch_size: int) -> Batches:
        """The first `num_images` images, uint8 [B, S, S, 3], with labels int32 [B] or None, `batch_size` at a time.

        Which images they are does not depend on `batch_size`.
        """

    def require(self, num_images: int) -> None:
        """Raises UsageError unless there are `num_images` images."""
        if self.size is not None and num_images > self.size:
            raise UsageError(f"{self.name} has {self.size:,} images, fewer than the {num_images:,} that were asked for")

    def class_counts(self, num_images: int) -> np.ndarray:
        """How many of the first `num_images` images have each label, int [classes], without a pass over them."""
        return np.bincount(self._labels_of(num_images), minlength=len(self.class_names))

    @abc.abstractmethod
    def _labels_of(self, num_images: int) -> np.ndarray:
        """Labels of the first `num_images` images, if there are classes."""

    def refuse_misfits(self) -> None:
        """Raises SuiteError for images that a pass would refuse, if that takes no more than a look at some."""
        return

    def fingerprint(self) -> str | None:
        """A digest of all pixels, labels and class names, or None if that would take a pass of its own."""
        return None


def _record(order: str, **fields: Any) -> dict[str, Any]:
    record = dict.fromkeys(("shuffle_seed", "weights", "latent_seed", "labels", "step", "images_seen"))
    return {"order": order, "quantisation": "uint8", **record, **fields}


class ArraySource(Source):
    """Images in memory, or memory-mapped.

    Args:
        data: uint8 [N, S, S, 1 or 3] with labels.
        name: for the record.
        shuffle_seed: the images come in the order `numpy.random.default_rng(shuffle_seed).permutation(N)`, or as they
            are stored if None.
        labelled: False if the labels mean nothing.
    """

    def __init__(self, data: LabelledImages, name: str, *, shuffle_seed: int | None, labelled: bool = True) -> None:
        if len(data) == 0:
            raise SuiteError(f"{name} holds no images")
        if data.images.shape[1] != data.images.shape[2]:
            raise SuiteError(f"{name} must hold square images. Received: {data.images.shape[1]}x{data.images.shape[2]}")
        self.name, self.size, self.image_size = name, len(data), data.images.shape[1]
        self.class_names = distinct(tuple(data.class_names), name) if labelled else ()
        self._data = data
        self._order = _permutation(len(data), shuffle_seed)
        self.record = _record(
            "as stored" if shuffle_seed is None else "shuffled",
            shuffle_seed=shuffle_seed,
            labels="of the data" if labelled else None,
        )

    def batches(self, num_images: int, batch_size: int) -> Batches:
        for i in range(0, num_images, batch_size):
            rows = self._order[i : min(i + batch_size, num_images)]
            images = _rgb(np.asarray(self._data.images[rows]))
            yield images, self._data.labels[rows] if self.class_names else None

    def _labels_of(self, num_images: int) -> np.ndarray:
        return self._data.labels[self._order[:num_images]]

    def fingerprint(self) -> str | None:
        return self._data.fingerprint()


class FileSource(Source):
    """The pictures of a folder, in class folders or not, by the rule of `data_tools.folder.images_in`.

    Pictures become RGB as `read_image` does; they are cut and resized only if `image_size` is given, else all must be
    squares of the same size.
    """

    def __init__(self, root: Path, *, shuffle_seed: int | None, image_size: int | None = None) -> None:
        listing = folder.images_in(root)
        self.name, self.size, self.left_out = str(root), len(listing.names), listing.left_out
        self._resized = image_size is not None
        self.image_size = image_size or _square_side(root / listing.names[0])
        self.class_names = listing.class_names if listing.has_classes else ()
        order = _permutation(len(listing.names), shuffle_seed)
        self._root, self._paths = root, [root / listing.names[i] for i in order]
        self._labels = listing.labels[order] if listing.has_classes else None
        self.record = _record(
            "by name" if shuffle_seed is None else "shuffled",
            shuffle_seed=shuffle_seed,
            labels="class folders" if listing.has_classes else None,
        )

    def batches(self, num_images: int, batch_size: int) -> Batches:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for i in range(0, num_images, batch_size):
                rows = slice(i, min(i + batch_size, num_images))
                images = np.stack(list(pool.map(self._read, self._paths[rows])))
                yield images, None if self._labels is None else self._labels[rows]

    def _labels_of(self, num_images: int) -> np.ndarray:
        return np.zeros(0, np.int32) if self._labels is None else self._labels[:num_images]

    def fingerprint(self) -> str | None:
        digest = hashlib.sha256(repr((self.image_size, self._resized, self.class_names)).encode())
        for path in self._paths:
            digest.update(str(path.relative_to(self._root)).encode(errors="surrogateescape") + b"\0")
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def _read(self, path: Path) -> np.ndarray:
        if not self._resized and _square_side(path) != self.image_size:
            raise SuiteError(
                f"{path} is another size than the {self.image_size}x{self.image_size} of the first picture: "
                f"give --image-size N to cut and resize all"
            )
        return read_image(path, self.image_size)


class GeneratorSource(Source):
    """Images that a generator makes from fixed latents, rounded to uint8 as a saved picture would be.

    Image i depends on (`latent_seed`, i), its class and the weights only.

    Args:
        generate: from latents float32 [B, d] and labels int32 [B] to square images [B, S, S, 1 or 3], as uint8 or as
            numbers in the range that `values` names. Called in inference mode; changes nothing.
        labels: classes int [N] to ask for; drawn uniformly by `latent_seed` if None and there are classes.
        values: a key of `pixels.RANGES`.
        certain: the range is known, so images that are all bright are just that, and no sign of another range.
        weights, step, images_seen: for the record.
    """

    size = None

    def __init__(
        self,
        generate: Callable[[Any, Any], Any],
        *,
        name: str,
        image_size: int,
        latent_dim: int,
        class_names: tuple[str, ...] = (),
        latent_seed: int = LATENT_SEED,
        values: str = "tanh",
        certain: bool = False,
        weights: str | None = None,
        step: int | None = None,
        images_seen: int | None = None,
    ) -> None:
        self.name, self.image_size, self.class_names = name, image_size, distinct(class_names, name)
        self.latent_dim = latent_dim
        self._generate, self._values, self._certain = generate, values, certain
        self.record = _record(
            "as generated", weights=weights, latent_seed=latent_seed, labels="uniform" if class_names else None,
            step=step, images_seen=images_seen,
        )  # fmt: skip

    def batches(self, num_images: int, batch_size: int) -> Batches:
        smallest, largest = np.inf, -np.inf  # of the first images, whatever the batch
        for i in range(0, num_images, batch_size):
            count = min(batch_size, num_images - i)
            made, labels = self._make(i, count)
            images = _rgb(as_uint8(made, self._values, self.name))
            if made.dtype != np.uint8 and i < _TELLING_IMAGES and not self._certain:
                first = made[: _TELLING_IMAGES - i]
                smallest, largest = min(smallest, first.min()), max(largest, first.max())
                if i + count >= min(_TELLING_IMAGES, num_images):
                    require_range(smallest, largest, self._values, self.name)
            yield images, labels if self.class_names else None

    def refuse_misfits(self) -> None:
        self._make(0, 1)

    def _make(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Images from number `first` on as the generator gives them, and the labels that were asked for."""
        from models_zoo.randomness import latents_of

        latents = latents_of(count, self.record["latent_seed"], self.latent_dim, first=first)
        labels = self._asked(first, count)
        return self._raw(latents, labels), np.asarray(labels)

    def _asked(self, first: int, count: int) -> Any:
        from models_zoo.randomness import labels_of

        return labels_of(count, self.record["latent_seed"], len(self.class_names) or 1, first=first)

    def _labels_of(self, num_images: int) -> np.ndarray:
        return np.asarray(self._asked(0, num_images))

    def made(self, latents: Any, labels: Any) -> np.ndarray:
        """Images uint8 [B, S, S, 1 or 3] of latents float32 [B, d] and, if there are classes, labels int32 [B]."""
        import tensorflow as tf

        return as_uint8(self._raw(tf.constant(latents), tf.constant(labels)), self._values, self.name)

    def _raw(self, latents: Any, labels: Any) -> np.ndarray:
        made = np.asarray(self._generate(latents, labels))
        wanted = (len(latents), self.image_size, self.image_size)
        if made.ndim != 4 or made.shape[:3] != wanted or made.shape[3] not in (1, 3):
            raise SuiteError(
                f"{self.name} must make square images [{', '.join(map(str, wanted))}, 1 or 3], for none are stretched. "
                f"Received: {list(made.shape)}"
            )
        return made


def _rgb(images: np.ndarray) -> np.ndarray:
    return np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images


def _permutation(count: int, shuffle_seed: int | None) -> np.ndarray:
    return np.arange(count) if shuffle_seed is None else np.random.default_rng(shuffle_seed).permutation(count)


def _square_side(path: Path) -> int:
    """Pixels per side of a picture, from its header."""
    header = read_header(path)
    if header.width != header.height:
        raise SuiteError(
            f"{path} has {header.width}x{header.height} pixels, no square: give --image-size N to cut and resize all"
        )
    return header.width
