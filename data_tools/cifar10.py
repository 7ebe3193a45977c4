"""`cifar10`: 50,000 training and 10,000 test images, 32x32, ten classes, from the official archives."""

from __future__ import annotations

from pathlib import Path

from data_tools import cifar_archives
from data_tools.images import LabelledImages

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_ARCHIVE = cifar_archives.Archive(
    title="CIFAR-10",
    batches={"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
    python=("cifar-10-batches-py", "cifar-10-python.tar.gz"),
    binary=("cifar-10-batches-bin", "cifar-10-binary.tar.gz"),
    label_key=b"labels",
    label_bytes=1,
    label_byte=0,
    class_names=CLASS_NAMES,
)


def load(split: str, *, image_size: int = 32, channels: int = 3, data_dir: Path | None = None) -> LabelledImages:
    """`train` or `test`; see `data_tools.cifar_archives.load`."""
    return cifar_archives.load(
        _ARCHIVE, URL, SHA256, split, image_size=image_size, channels=channels, data_dir=data_dir
    )
