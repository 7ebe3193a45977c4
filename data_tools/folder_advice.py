"""What in a folder of pictures looks as if another folder had been meant, a sentence each."""

from __future__ import annotations

import os
from pathlib import Path

from data_tools import folder
from data_tools.packing import Listing
from data_tools.pictures import EXTENSIONS
from data_tools.splits import FOLDER_NAMES


def wrong_level(listing: Listing) -> list[str]:
    """What looks as if another folder had been meant."""
    advice = []
    unknown = folder.not_images(listing)
    if unknown:
        advice.append(f"{unknown} files without a known extension are not used ({', '.join(EXTENSIONS)})")
    if not listing.has_classes:
        return [*advice, *_without_classes(listing.root)]
    loose = sum(entry.is_file() and folder.is_seen(entry.name) for entry in os.scandir(listing.root))
    folders = [entry.name for entry in os.scandir(listing.root) if entry.is_dir() and folder.is_seen(entry.name)]
    if folders and loose:
        advice.append(f"{loose} files beside the class folders of {listing.root} are not used")
    if len(folders) == 1:
        below = sorted(entry.name for entry in os.scandir(listing.root / folders[0]) if entry.is_dir())
        if below:
            advice.append(
                f"all images are in one class, {folders[0]!r}, which holds the folders {', '.join(below[:5])}: "
                f"if those are the classes, give {listing.root / folders[0]}"
            )
    nested = sum(name.count("/") > 1 for name in listing.names)
    if nested and len(folders) > 1:
        advice.append(f"{nested} images stand in folders inside the class folders and count for the outer one")
    return advice


def _without_classes(root: Path) -> list[str]:
    """That there are no labels, and, if the folders beside this one hold images as well, where the classes may be."""
    advice = ["the images are in no class folders, so there are no labels"]
    parent = root.resolve().parent
    if root.resolve().name in FOLDER_NAMES:
        return advice
    beside = sorted(
        entry.name for entry in os.scandir(parent)
        if entry.is_dir() and folder.is_seen(entry.name) and entry.name not in FOLDER_NAMES
        and folder.holds_images(Path(entry.path))
    )  # fmt: skip
    if len(beside) > 1:
        advice.append(
            f"{parent} holds {len(beside)} folders of images ({', '.join(beside[:5])}): "
            f"if those are the classes, give {parent}"
        )
    return advice
