"""`reptiles`: a collection made by `python -m data_tools.flickr`, classes by taxon.

    DIR/prepared/<size>/<class>/<photo id>.png
    DIR/ATTRIBUTION.md, DIR/collection.sqlite

What belongs to it is what `collection.sqlite` says is downloaded and prepared; a file that is only there does not.
Class folders without `collection.sqlite` are taken as they are.

The photographs are split into train, test and selection, about 80, 10 and 10 of a hundred, by a hash of their owner
(`data_tools.splits.split_of_photograph`), whatever the size: nobody's photographs are in two of them, and none changes
its split as the collection grows. A collection so small that a split is empty does not have that split. Class folders
without `collection.sqlite` have their owners from `manifest.jsonl`; photographs that are not in it go by their id.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from pathlib import Path, PurePath

import numpy as np

from data_tools import folder, splits
from data_tools.errors import DataError, NoSplitError
from data_tools.flickr import store
from data_tools.images import LabelledImages
from data_tools.packing import Listing, packed

_FILE = f"{store.CLASS_NAME.pattern}/{store.PHOTO_ID.pattern}[.]png"


def load(split: str, *, image_size: int, channels: int = 3, data_dir: Path | None = None) -> LabelledImages:
    """Read the photographs prepared at `image_size`, or else the largest that were prepared larger, resized.

    Raises:
        DataError: for a missing collection, or one that is not wholly prepared, in one way, at such a size.
    """
    return packed(listing(split, data_dir=data_dir, image_size=image_size), image_size, channels)


def listing(split: str, *, data_dir: Path | None, image_size: int) -> Listing:
    """The photographs of a split by class and name; every split has the classes of the whole collection.

    Raises:
        NoSplitError: if no photograph is in it.
    """
    splits.require("reptiles", split, splits.SPLITS)
    if data_dir is None:
        raise DataError("the dataset 'reptiles' needs --data-dir DIR, a collection made by python -m data_tools.flickr")
    if not data_dir.is_dir():
        raise DataError(f"--data-dir must be an existing folder. Received: {data_dir}")
    if (data_dir / store.NAME).is_file():
        return _part(*_of_state(data_dir, image_size), split)
    if any(data_dir.glob("x_*.npy")) or (data_dir / "images.npy").is_file():
        raise DataError(f"{data_dir} is the packed array of a collection: use --dataset npz")
    folders = (data_dir / "prepared").glob("*")
    sizes = {int(entry.name) for entry in folders if entry.name.isdecimal() and entry.is_dir()}
    whole = folder.images_in(data_dir / "prepared" / str(_size(data_dir, sizes, image_size)))
    return _part(whole, _owners(data_dir / "manifest.jsonl"), split)


def _part(whole: Listing, owners: dict[str, str], split: str) -> Listing:
    identities = [PurePath(name).stem for name in whole.names]
    splits_of = [splits.split_of_photograph(owners.get(identity, ""), identity) for identity in identities]
    chosen = [i for i, found in enumerate(splits_of) if found == split]
    if not chosen:
        people = len({owners.get(identity) or identity for identity in identities})
        raise NoSplitError(
            f"{whole.root} has photographs of so few people, {people}, that none is for {split!r}: each person's are "
            "in one split"
        )
    return Listing(whole.root, whole.class_names, whole.labels[chosen], [whole.names[i] for i in chosen], split)


def _size(data_dir: Path, sizes: set[int], image_size: int) -> int:
    if image_size in sizes:
        return image_size
    if max(sizes, default=0) < image_size:
        having = f"only those of {', '.join(map(str, sorted(sizes)))} pixels" if sizes else "none"
        raise DataError(
            f"{data_dir} must hold photographs prepared at {image_size} pixels or more. Received: {having}\n"
            f"{_prepare(data_dir, image_size)} makes them"
        )
    return max(sizes)


def _owners(manifest: Path) -> dict[str, str]:
    """Photo id -> owner, as far as a manifest that may come from elsewhere says so."""
    owners = {}
    try:
        with open(manifest, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with contextlib.suppress(ValueError, RecursionError):
                    record = json.loads(line)
                    if isinstance(record, dict) and isinstance(record.get("owner"), str):
                        owners[str(record.get("id"))] = record["owner"]
    except FileNotFoundError:
        pass
    return owners


def _of_state(data_dir: Path, image_size: int) -> tuple[Listing, dict[str, str]]:
    """What the state file says, and the owner of each photograph.

    It may come from elsewhere: no name in it leads out of the collection.
    """
    with store.snapshot(data_dir) as state:
        total = state.downloaded()
        size = _size(data_dir, state.sizes(), image_size)
        found = state.prepared(size)
    command = _prepare(data_dir, size)
    fits = sorted({photo.fit for photo in found})
    if len(fits) > 1:
        raise DataError(
            f"{data_dir} must hold photographs prepared in one way. Received: {' and '.join(fits)} at {size} pixels\n"
            f"{command} --fit {fits[0]} makes them one"
        )
    if len(found) < total:
        raise DataError(
            f"{data_dir} must hold all {total:,} photographs prepared at {size} pixels. Received: {len(found):,}\n"
            f"{command} makes the others"
        )
    root = data_dir / "prepared" / str(size)
    for photo in found:
        if not store.CLASS_NAME.fullmatch(photo.class_name) or not re.fullmatch(f"prepared/{size}/{_FILE}", photo.file):
            raise DataError(
                f"{data_dir / store.NAME} is damaged: it has {photo.file[:99]!r} of the class {photo.class_name[:99]!r}"
            )
    members = sorted((photo.class_name, photo.file.split("/", 2)[2]) for photo in found)
    _check_files(data_dir, root, [name for _, name in members], command)
    class_names = sorted({class_name for class_name, _ in members})
    numbers = {class_name: label for label, class_name in enumerate(class_names)}
    labels = np.array([numbers[class_name] for class_name, _ in members], np.int32)
    owners = {PurePath(photo.file).stem: photo.owner for photo in found}
    return Listing(root, tuple(class_names), labels, [name for _, name in members]), owners


def _check_files(data_dir: Path, root: Path, names: list[str], command: str) -> None:
    """Raises DataError unless all are plain files inside the collection; whole folders are resolved, which is quick."""
    inside = data_dir.resolve()
    for place in sorted({root / os.path.dirname(name) for name in names}):
        if not place.resolve().is_relative_to(inside):
            raise DataError(f"{place} leads out of the collection {data_dir}: it was not followed")
    for name in names:
        try:
            plain = stat.S_ISREG(os.lstat(root / name).st_mode)
        except OSError:
            plain = False
        if not plain:
            raise DataError(f"{root / name} is gone or no plain file\n{command} makes it again")


def _prepare(data_dir: Path, size: int) -> str:
    return f"python -m data_tools.flickr prepare --output {data_dir} --size {size}"
