"""`folder`: images in class folders, `DIR/<class>/<any name>.jpg`, or without classes, `DIR/<any name>.jpg`.

`DIR` may itself hold `train`, and then `test` and `selection` (or `val`, or `validation`), each of that form. If `DIR`
is called `train`, its neighbours are the other splits. Folders that look like splits under other names are refused,
because a test split taken for a class would be trained on. Without class folders all images are of one class, `images`,
which serves variants that take no labels.

Names that begin with a dot, and `__MACOSX`, are passed over at every level: archives made on a Mac are full of them.

Symbolic links are followed, to images and to folders, at every level. A folder that is reached a second time, through a
link back to where it came from or by two ways, is refused, since its images would count twice; so is an image's name
that is a link to nothing.

The images are packed into one array in the cache folder the first time (`data_tools.packing`).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from data_tools.errors import DataError, NoSplitError
from data_tools.flickr import store
from data_tools.images import LabelledImages
from data_tools.packing import Listing, packed
from data_tools.pictures import EXTENSIONS
from data_tools.splits import FOLDER_NAMES, FOLDERS

ONLY_CLASS = "images"
_LIKE_SPLITS = (*FOLDER_NAMES, "training", "testing", "valid")


def load(split: str, *, image_size: int, channels: int = 3, data_dir: Path | None = None) -> LabelledImages:
    """Read one split.

    Args:
        split: `"train"`, `"test"` or `"selection"`.
        image_size, channels: see `data_tools.pictures.read_image` for how pictures are cut and resized.
        data_dir: the folder.

    Raises:
        DataError: for a missing or empty folder, or one with a broken picture.
        NoSplitError: for a split that has no folder.
    """
    return packed(listing(split, data_dir=data_dir, image_size=image_size), image_size, channels)


def listing(split: str, *, data_dir: Path | None, image_size: int = 0) -> Listing:
    """The images of a split by class and name. A folder is the same for every `image_size`."""
    if data_dir is None:
        raise DataError("the dataset 'folder' needs --data-dir DIR, a folder with one folder of images per class")
    return images_in(split_folder(data_dir, split))


def images_in(root: Path) -> Listing:
    """The images in the class folders of `root`, or in `root` itself if there are none.

    Images beside class folders that hold some are left out, and counted.

    Raises:
        DataError: if there are none.
    """
    reached: dict[tuple[int, int], str] = {}
    entries = sorted(_entries(str(root), reached), key=lambda entry: entry.name)
    class_names = tuple(entry.name for entry in entries if entry.is_dir() and is_seen(entry.name))
    by_class = [sorted(_names_below(root, name, reached)) for name in class_names]
    names = [name for members in by_class for name in members]
    loose = [entry.name for entry in entries if _is_image(entry)]
    if names:
        labels = np.repeat(np.arange(len(class_names), dtype=np.int32), [len(members) for members in by_class])
        return Listing(root, class_names, labels, names, left_out=len(loose))
    if loose:
        return Listing(root, (ONLY_CLASS,), np.zeros(len(loose), np.int32), loose)
    if class_names:
        raise DataError(f"the class folders of {root} hold no images ({', '.join(EXTENSIONS)})")
    raise DataError(
        f"{root} has no class folders and no images: expected {root}/<class>/<image>.jpg or {root}/<image>.jpg"
    )


def split_folder(root: Path, split: str) -> Path:
    """The folder of a split under the rules at the top of this file."""
    if not root.is_dir():
        raise DataError(f"--data-dir must be an existing folder. Received: {root}")
    _refuse_other_layouts(root)
    if split == "train":
        return root / "train" if (root / "train").is_dir() else root
    parent = root.resolve().parent if not (root / "train").is_dir() and root.resolve().name == "train" else root
    for name in FOLDERS[split]:
        if (parent / name).is_dir():
            return parent / name
    raise NoSplitError(f"{root} has no {split!r} split: expected the folder {parent / FOLDERS[split][0]}")


def _refuse_other_layouts(root: Path) -> None:
    if (root / store.NAME).is_file():
        raise DataError(f"{root} is a collection made by python -m data_tools.flickr: use --dataset reptiles")
    folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and is_seen(entry.name))
    if "train" in folders:
        others = [name for name in folders if name not in FOLDER_NAMES]
        if others:
            raise DataError(
                f"{root} holds the folder train beside {', '.join(others[:5])}: move those away, "
                f"or rename them if they are splits ({', '.join(FOLDER_NAMES)}), or train if it is a class"
            )
        return
    splits = [name for name in folders if name.lower() in _LIKE_SPLITS]
    if splits:
        raise DataError(
            f"{root} has splits ({', '.join(splits)}) but no train: name the folder of the training images train, "
            f"or rename {splits[0]} if it is a class"
        )


def _entries(place: str, reached: dict[tuple[int, int], str]) -> list[os.DirEntry]:
    """What is in a folder, which is noted as reached.

    Raises:
        DataError: for a folder that was reached before, or an image's name that is a link to nothing.
    """
    found = os.stat(place)
    identity = found.st_dev, found.st_ino
    if identity in reached:
        raise DataError(
            f"{place} is the folder {reached[identity]} again, by a link or a mount, and its images would count twice: "
            "remove one of the two"
        )
    reached[identity] = place
    entries = list(os.scandir(place))
    for entry in entries:
        if entry.is_symlink() and is_seen(entry.name) and _has_extension(entry.name) and not os.path.exists(entry):
            raise DataError(f"{entry.path} is a link to nothing: mend or remove it")
    return entries


def _names_below(root: Path, class_name: str, reached: dict[tuple[int, int], str]) -> list[str]:
    names, waiting = [], [class_name]
    while waiting:
        inside = waiting.pop()
        for entry in _entries(f"{root}/{inside}", reached):
            if _is_image(entry):
                names.append(f"{inside}/{entry.name}")
            elif entry.is_dir() and is_seen(entry.name):
                waiting.append(f"{inside}/{entry.name}")
    return names


def is_seen(name: str) -> bool:
    """Whether a file or folder of this name is looked at."""
    return name[0] != "." and name != "__MACOSX"


def holds_images(place: Path) -> bool:
    """Whether there is an image right in a folder; one that may not be read counts as empty."""
    try:
        return any(_is_image(entry) for entry in os.scandir(place))
    except OSError:
        return False


def not_images(listing: Listing) -> int:
    """How many of the files in the class folders, or in a folder without classes, have no known extension."""
    places = [listing.root / name for name in listing.class_names if (listing.root / name).is_dir()]
    count = 0
    for place in places if listing.has_classes else [listing.root]:
        for path, folders, names in os.walk(place, followlinks=True):  # which `images_in` found to be without loops
            folders[:] = [name for name in folders if is_seen(name)] if path != str(listing.root) else []
            count += sum(is_seen(name) and not _has_extension(name) for name in names)
    return count


def _has_extension(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _is_image(entry: os.DirEntry) -> bool:
    return is_seen(entry.name) and _has_extension(entry.name) and entry.is_file()
