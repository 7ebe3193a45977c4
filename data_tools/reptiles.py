"""`reptiles`: a collection made by `python -m data_tools.flickr`, classes by taxon.

    DIR/prepared/<size>/<class>/<photo id>.png
    DIR/ATTRIBUTION.md, DIR/collection.sqlite

It has a training split and no other.
"""

from __future__ import annotations

from pathlib import Path

from data_tools import folder, splits
from data_tools.errors import DataError
from data_tools.images import LabelledImages
from data_tools.packing import Listing, packed


def load(split: str, *, image_size: int, channels: int = 3, data_dir: Path | None = None) -> LabelledImages:
    """Read the photographs prepared at `image_size`, or else the largest that were prepared larger, resized.

    Raises:
        DataError: for a missing collection, or one with no photographs of that size or larger.
    """
    return packed(listing(split, data_dir=data_dir, image_size=image_size), image_size, channels)


def listing(split: str, *, data_dir: Path | None, image_size: int) -> Listing:
    """The photographs by class and name."""
    splits.require("reptiles", split, ("train",))
    if data_dir is None:
        raise DataError("the dataset 'reptiles' needs --data-dir DIR, a collection made by python -m data_tools.flickr")
    if not data_dir.is_dir():
        raise DataError(f"--data-dir must be an existing folder. Received: {data_dir}")
    folders = (data_dir / "prepared").glob("*")
    sizes = [int(entry.name) for entry in folders if entry.name.isdecimal() and entry.is_dir()]
    if image_size not in sizes and max(sizes, default=0) < image_size:
        having = f"only those of {', '.join(map(str, sorted(sizes)))} pixels" if sizes else "none"
        raise DataError(
            f"{data_dir} must hold photographs prepared at {image_size} pixels or more. Received: {having}\n"
            f"python -m data_tools.flickr prepare --output {data_dir} --size {image_size} makes them"
        )
    return folder.images_in(data_dir / "prepared" / str(image_size if image_size in sizes else max(sizes)))
