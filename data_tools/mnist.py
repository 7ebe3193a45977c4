"""`mnist`: 60,000 training and 10,000 test images of handwritten digits, 28x28, grey (LeCun et al., 1998)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_tools import idx, npz, splits
from data_tools.download import download
from data_tools.errors import DataError
from data_tools.images import LabelledImages
from data_tools.resized import prepared

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"  # as keras.datasets.mnist has it
CLASS_NAMES = tuple("0123456789")


def load(split: str, *, image_size: int = 28, channels: int = 1, data_dir: Path | None = None) -> LabelledImages:
    """Read one split in the order of the files.

    Args:
        split: `"train"` or `"test"`.
        image_size, channels: 28 and 1 leave the images as they are.
        data_dir: Keras' `mnist.npz`, or a folder with it or with the four IDX files. Downloads if None.

    Raises:
        DataError: for missing, damaged or hostile files.
    """
    splits.require("mnist", split, ("train", "test"))
    place = data_dir if data_dir is not None else download(URL, SHA256)
    if place.is_dir() and (place / "mnist.npz").is_file():
        place = place / "mnist.npz"
    if not place.exists():
        raise DataError(f"--data-dir must be mnist.npz or a folder of IDX files. Received: {place}, which is neither")
    images, labels = idx.load(place, split) if place.is_dir() else npz.keras_split(place, split)
    return labelled(images, labels, place, CLASS_NAMES, image_size, channels)


def labelled(
    images: np.ndarray, labels: np.ndarray, place: Path, class_names: tuple[str, ...], image_size: int, channels: int
) -> LabelledImages:
    """Grey images uint8 [N, 28, 28] and their labels, made what was asked for.

    Raises:
        DataError: for another shape or a label without a name.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or labels.shape != (len(images),):
        raise DataError(f"{place} must hold uint8 images of 28x28. Received: {images.dtype} {images.shape}")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(f"{place}: labels must be integers from 0 to {len(class_names) - 1}")
    return LabelledImages(prepared(images[..., None], image_size, channels), labels.astype(np.int32), class_names)
