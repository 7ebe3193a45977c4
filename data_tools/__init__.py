"""Datasets. Importing this package is cheap; a dataset's module is imported by `load`.

A dataset is a module with `load(split, *, image_size, data_dir)`, which returns `data_tools.images.LabelledImages`.
"""

from __future__ import annotations

import importlib
import typing
from pathlib import Path

if typing.TYPE_CHECKING:
    from data_tools.images import LabelledImages

# name -> module
DATASETS = {
    "shapes": "data_tools.shapes",
    "cifar10": "data_tools.cifar10",
    "folder": "data_tools.folder",
}


def load(name: str, split: str, *, image_size: int, data_dir: Path | None = None) -> LabelledImages:
    """One split of a dataset.

    Args:
        name: a key of `DATASETS`.
        split: `"train"` or `"test"`.
        image_size: pixels per side of the result; images of another size are resized.
        data_dir: where the files are, for a dataset that reads files.

    Raises:
        DataError: for files that are missing, damaged or of another kind.
    """
    return importlib.import_module(DATASETS[name]).load(split, image_size=image_size, data_dir=data_dir)
