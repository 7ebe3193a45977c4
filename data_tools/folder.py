"""`folder`: images in class folders, `DIR/<class>/<any name>.jpg`, decoded into memory.

`DIR` may itself hold `train` and `test`. If `DIR` is called `train` and has a neighbour `test`, that is the test split.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from data_tools.errors import DataError, NoSplitError
from data_tools.images import LabelledImages, read_image
from data_tools.progress import counting

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def load(split: str, *, image_size: int, data_dir: Path | None = None) -> LabelledImages:
    """Read one split.

    Args:
        split: `"train"` or `"test"`.
        image_size: pixels per side; see `data_tools.images.read_image` for how pictures are cut and resized.
        data_dir: the folder.

    Raises:
        DataError: for a missing or empty folder, one without class folders, or one with a broken picture.
    """
    if data_dir is None:
        raise DataError("the dataset 'folder' needs --data-dir DIR, a folder with one folder of images per class")
    root = split_folder(Path(data_dir), split)
    class_names = tuple(sorted(entry.name for entry in root.iterdir() if entry.is_dir() and entry.name[0] != "."))
    if not class_names:
        raise DataError(f"{root} has no class folders: expected {root}/<class>/<image>.jpg")
    files = [(label, path) for label, name in enumerate(class_names) for path in _image_files(root / name)]
    if not files:
        raise DataError(f"the class folders of {root} hold no images ({', '.join(EXTENSIONS)})")
    images = np.empty((len(files), image_size, image_size, 3), dtype=np.uint8)

    def read(index: int) -> None:
        images[index] = read_image(files[index][1], image_size)

    with ThreadPoolExecutor(os.cpu_count()) as pool, counting(f"reading {root}", len(files)) as advance:
        for start in range(0, len(files), 1024):  # in parts, so that a broken file ends the reading soon
            part = range(start, min(start + 1024, len(files)))
            list(pool.map(read, part))
            advance(len(part))
    return LabelledImages(images, np.array([label for label, _ in files], dtype=np.int32), class_names)


def split_folder(root: Path, split: str) -> Path:
    """The folder of a split under the rules at the top of this file."""
    if not root.is_dir():
        raise DataError(f"--data-dir must be an existing folder. Received: {root}")
    if (root / "train").is_dir():
        found = root / split
    elif split == "train":
        found = root
    elif root.resolve().name == "train":
        found = root.resolve().parent / split
    else:
        found = root / split
    if not found.is_dir():
        raise NoSplitError(f"{root} has no {split!r} split: expected the folder {found}")
    return found


def _image_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
