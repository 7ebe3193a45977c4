"""Datasets. Importing this package is cheap; a dataset's module is imported by `load`.

A dataset is a module with `load(split, *, image_size, channels, data_dir)`, which returns
`data_tools.images.LabelledImages` for each split that it has of its own, and raises NoSplitError for any other.
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
    "cifar100": "data_tools.cifar100",
    "cifar100_coarse": "data_tools.cifar100_coarse",
    "mnist": "data_tools.mnist",
    "fashion_mnist": "data_tools.fashion_mnist",
    "folder": "data_tools.folder",
    "reptiles": "data_tools.reptiles",
    "npz": "data_tools.npz",
}


def load(
    name: str, split: str, *, image_size: int, channels: int = 3, data_dir: Path | str | None = None
) -> LabelledImages:
    """One split of a dataset.

    Args:
        name: a key of `DATASETS`.
        split: `"train"`, `"test"` or `"selection"`, whose rule stands in `data_tools.splits`.
        image_size: pixels per side of the result; images of another size are cut square and resized.
        channels: 3, or 1 for grey (ITU-R 601 luma); grey images are repeated to give three.
        data_dir: where the files are, for a dataset that reads files.

    Raises:
        DataError: for files that are missing, damaged or of another kind.
        NoSplitError: for a split that the data do not have.
        ValueError: for an unknown name, split or number of channels.
    """
    from data_tools import splits
    from data_tools.errors import NoSplitError

    form: dict[str, typing.Any] = {"image_size": image_size, "channels": channels, "data_dir": data_dir}
    try:
        return load_own(name, split, **form)
    except NoSplitError:
        if split != "selection":
            raise
    return splits.selection_of(load_own(name, "train", **form))


def load_own(
    name: str, split: str, *, image_size: int, channels: int = 3, data_dir: Path | str | None = None
) -> LabelledImages:
    """`load`, but a selection split that would be carved out of the training split raises NoSplitError, too."""
    from data_tools import splits

    if name not in DATASETS:
        raise ValueError(f"name must be one of {', '.join(DATASETS)}. Received: name={name!r}")
    if split not in splits.SPLITS:
        raise ValueError(f"split must be one of {', '.join(splits.SPLITS)}. Received: split={split!r}")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3. Received: channels={channels}")
    module = importlib.import_module(DATASETS[name])
    where = None if data_dir is None else Path(data_dir)
    return module.load(split, image_size=image_size, channels=channels, data_dir=where)
