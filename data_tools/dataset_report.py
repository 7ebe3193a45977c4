"""What there is to know about a dataset before training on it; see `python -m data_tools.inspect`.

Images pass by in parts of bounded size; what is kept of each is a digest and a name, a few hundred bytes.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import data_tools
from data_tools import folder_advice, packing
from data_tools.errors import DataError, NoSplitError
from data_tools.images import LabelledImages, in_chunks
from data_tools.packing import Listing
from data_tools.pictures import quietly, read_header
from data_tools.progress import counting
from data_tools.splits import SPLITS

SHEET_CLASSES = 20
SHEET_COLUMNS = 10
_MOST_NAMED = 20  # files or pairs that a list in the report names


@dataclasses.dataclass
class Split:
    """One split, looked at.

    Attributes:
        report: what goes into `report.json`.
        digests: of each good image's pixels, with its name.
        samples: the first `SHEET_COLUMNS` images of each of the first `SHEET_CLASSES` classes, by label.
        class_names: in label order.
    """

    report: dict[str, Any]
    digests: dict[bytes, str]
    samples: dict[int, list[np.ndarray]]
    class_names: tuple[str, ...]


def inspect(
    name: str, *, image_size: int, channels: int, data_dir: Path | None
) -> tuple[dict[str, Any], dict[str, Split]]:
    """The report, ready for JSON, and the splits that it is about, by name.

    `selection` is among them only if the dataset has one of its own (`data_tools.splits`). Duplicates are images whose
    pixels are equal at the size and channels that were asked for, as training would see them.

    Args:
        name: a key of `data_tools.DATASETS`.

    Raises:
        DataError: if there is no training split. Single images that cannot be read are reported instead.
    """
    module = importlib.import_module(data_tools.DATASETS[name])
    found = {}
    for split in SPLITS:
        try:
            if hasattr(module, "listing"):
                listing = module.listing(split, data_dir=data_dir, image_size=image_size)
                found[split] = _of_files(listing, image_size, channels)
            else:
                data = module.load(split, image_size=image_size, channels=channels, data_dir=data_dir)
                found[split] = _of_array(data, split)
        except NoSplitError:
            if split == "train":
                raise
    between = {f"{one} and {other}": _shared(found[one], found[other]) for one, other in _pairs(list(found))}
    report: dict[str, Any] = {
        "dataset": name,
        "data_dir": None if data_dir is None else str(data_dir),
        "image_size": image_size,
        "channels": channels,
        "splits": {split: looked.report for split, looked in found.items()},
        "in_both_splits": between,
    }
    report["warnings"] = _warnings(found, between)
    return report, found


def _of_array(data: LabelledImages, split: str) -> Split:
    def parts() -> Iterator[list[tuple[int, str, Any]]]:
        start = 0
        for part in in_chunks(data.images):
            end = start + len(part)
            names = [f"{split}[{i}]" for i in range(start, end)]
            yield list(zip(data.labels[start:end].tolist(), names, part, strict=True))
            start = end

    return _look(parts(), data.class_names, len(data))


def _of_files(listing: Listing, image_size: int, channels: int) -> Split:
    def parts() -> Iterator[list[tuple[int, str, Any]]]:
        start = 0
        for part in packing.decoded(listing, image_size, channels):
            end = start + len(part)
            yield list(zip(listing.labels[start:end].tolist(), listing.names[start:end], part, strict=True))
            start = end

    looked = _look(parts(), listing.class_names, len(listing.names))
    looked.report["files"] = _files(listing)
    looked.report["advice"] = folder_advice.wrong_level(listing)
    return looked


def _look(parts: Iterator[list[tuple[int, str, Any]]], class_names: tuple[str, ...], num_images: int) -> Split:
    """One pass over (label, name, image or the error in its place)."""
    counts = np.zeros(len(class_names), np.int64)
    digests: dict[bytes, str] = {}
    samples: dict[int, list[np.ndarray]] = collections.defaultdict(list)
    broken: list[dict[str, str]] = []
    duplicates: list[list[str]] = []
    num_broken = num_duplicates = pixels = 0
    total = squares = np.zeros(1)
    with counting("inspecting", num_images) as advance:
        for part in parts:
            for label, name, image in part:
                if isinstance(image, DataError):
                    num_broken += 1
                    if len(broken) < _MOST_NAMED:
                        broken.append({"file": name, "reason": str(image)})
                    continue
                counts[label] += 1
                digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
                first = digests.setdefault(digest, name)
                if first != name:
                    num_duplicates += 1
                    if len(duplicates) < _MOST_NAMED:
                        duplicates.append([first, name])
                if label < SHEET_CLASSES and len(samples[label]) < SHEET_COLUMNS:
                    samples[label].append(np.array(image))
                values = image.reshape(-1, image.shape[2]).astype(np.float64)
                total, squares = total + values.sum(axis=0), squares + np.square(values).sum(axis=0)
                pixels += len(values)
            advance(len(part))
    mean = total / max(pixels, 1)
    report = {
        "images": int(counts.sum()),
        "per_class": dict(zip(class_names, counts.tolist(), strict=True)),
        "mean": mean.tolist(),
        "standard_deviation": np.sqrt(np.maximum(squares / max(pixels, 1) - np.square(mean), 0)).tolist(),
        "broken": {"count": num_broken, "files": broken},
        "duplicates": {"count": num_duplicates, "pairs": duplicates},
    }
    return Split(report, digests, dict(samples), class_names)


def _files(listing: Listing) -> dict[str, Any]:
    """Formats, colour modes, widths and heights, from the headers of the files."""
    formats: collections.Counter[str] = collections.Counter()
    modes: collections.Counter[str] = collections.Counter()
    sizes = []
    with quietly():
        for name in listing.names:
            try:
                header = read_header(listing.root / name)
            except DataError:  # already among the broken ones
                formats["unreadable"] += 1
                continue
            formats[header.format] += 1
            modes[header.mode] += 1
            sizes.append((header.width, header.height))
    spread = np.array(sizes or [(0, 0)])
    return {
        "formats": dict(formats.most_common()),
        "modes": dict(modes.most_common()),
        **{
            side: {"least": int(values.min()), "median": float(np.median(values)), "most": int(values.max())}
            for side, values in (("width", spread[:, 0]), ("height", spread[:, 1]))
        },
    }


def _warnings(found: dict[str, Split], between: dict[str, Any]) -> list[str]:
    """What is wrong, or looks so, one sentence each."""
    result = []
    for split, looked in found.items():
        report = looked.report
        result += [f"{split}: {sentence}" for sentence in report.pop("advice", [])]
        counts = report["per_class"]
        empty = [name for name, count in counts.items() if count == 0]
        if empty:
            result.append(f"{split}: no images in {len(empty)} of {len(counts)} classes: {', '.join(empty[:9])}")
        if len(counts) > 1 and len(counts) - len(empty) == 1:
            result.append(f"{split}: all images are in one class")
        elif len(counts) > 1 and max(counts.values()) > 10 * max(1, min(counts.values())):
            most, least = max(counts.values()), min(counts.values())
            result.append(f"{split}: the largest class has {most} images, the smallest {least}")
        for kind, words in (("broken", "cannot be read"), ("duplicates", "are the same as an earlier one")):
            if report[kind]["count"]:
                result.append(f"{split}: {report[kind]['count']} images {words}")
        if report["images"] > 1 and max(report["standard_deviation"]) == 0:
            result.append(f"{split}: all pixels have one value")
    names = {looked.class_names for looked in found.values()}
    if len(names) > 1:
        result.append("the splits do not have the same classes, so a label means another class in each")
    for pair, shared in between.items():
        if shared["count"]:
            result.append(f"{shared['count']} images stand in both {pair}")
    return result


def _pairs(names: list[str]) -> list[tuple[str, str]]:
    return [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]


def _shared(one: Split, other: Split) -> dict[str, Any]:
    both = [digest for digest in one.digests if digest in other.digests]
    return {"count": len(both), "pairs": [[one.digests[d], other.digests[d]] for d in both[:_MOST_NAMED]]}
