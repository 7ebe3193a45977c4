"""`cifar100_coarse`: the images of `cifar100` with the labels of their 20 coarse classes."""

from __future__ import annotations

from pathlib import Path

from data_tools import cifar100
from data_tools.images import LabelledImages


def load(split: str, *, image_size: int = 32, channels: int = 3, data_dir: Path | None = None) -> LabelledImages:
    """`train` or `test`; see `data_tools.cifar_archives.load`."""
    return cifar100.load(split, image_size=image_size, channels=channels, data_dir=data_dir, coarse=True)
