"""A sheet on the disk: the picture, and beside it a JSON file from which it can be made again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_tools import files
from data_tools.errors import UsageError
from tfgan_suite.exploring import points, sheets
from tfgan_suite.exploring.points import Points
from tfgan_suite.exploring.sheets import Sheet
from tfgan_suite.exploring.subject import Subject
from tfgan_suite.images import pictures
from tfgan_suite.runs.provenance import versions

_MILLISECONDS = 80


def picture(sheet: Sheet) -> Image.Image:
    """The sheet, enlarged by a whole number, with its names."""
    return pictures.named_grid(sheet.images, sheet.columns, column_names=sheet.column_names, row_names=sheet.row_names)


def write(sheet: Sheet, path: Path, **record: Any) -> Path:
    """Write the picture to `path`, and what it is, with the fields of `record`, beside it; gives the JSON file."""
    pictures.save_png(picture(sheet), path)
    return write_record(path, {**record, **described(sheet, record.get("class_names", ()))})


def write_record(path: Path, record: dict[str, Any]) -> Path:
    """Write the JSON file that stands beside the picture `path`; gives its path."""
    beside = path.with_suffix(".json")
    files.replace_text(beside, json.dumps({**record, "versions": versions()}, allow_nan=False) + "\n")
    return beside


def described(sheet: Sheet, class_names: tuple[str, ...]) -> dict[str, Any]:
    """What a sheet shows, as JSON: its layout, `samples` and, if all were generated, `images`, null for a white one."""
    record = {**sheet.about, "columns": sheet.columns, "column_names": list(sheet.column_names),
              "row_names": list(sheet.row_names)}  # fmt: skip
    if sheet.samples is not None:
        record["samples"] = points.as_records(sheet.samples, class_names)
    if sheet.shown is not None and sheet.places is not None:
        shown = points.as_records(sheet.shown, class_names)
        record["images"] = [shown[place] if place >= 0 else None for place in sheet.places.tolist()]
    return record


def samples_in(subject: Subject, path: Path) -> Points:
    """What the picture beside this JSON file starts from.

    Raises:
        UsageError: for a file that is none, or is of a generator with other latents or classes.
    """
    return points.of_records(points.read_file(path)["samples"], subject.latent_dim, subject.class_names, path)


def groups_in(subject: Subject, path: Path) -> tuple[Points, Points, Points]:
    """The groups A, B and C of an `arithmetic`; UsageError for the file of another picture."""
    groups = points.read_file(path).get("groups")
    samples = samples_in(subject, path)
    if not isinstance(groups, list) or len(groups) != 3 or not all(type(n) is int and n > 0 for n in groups):
        raise UsageError(f"{path} has no groups A, B and C: it stands beside no picture of arithmetic")
    if sum(groups) != len(samples):
        raise UsageError(f"{path} has {len(samples)} samples, where its groups have {sum(groups)}")
    first, second = groups[0], groups[0] + groups[1]
    return samples[:first], samples[first:second], samples[second:]


def again(subject: Subject, path: Path) -> Sheet:
    """The picture beside this JSON file, made again: all of its images, or its samples if not all were generated.

    Raises:
        UsageError: as `samples_in`.
    """
    record, samples = points.read_file(path), samples_in(subject, path)
    found = record.get("images")
    if not isinstance(found, list) or not any(each is not None for each in found):
        return sheets.grid(subject, samples)
    filled = [each for each in found if each is not None]
    shown = points.of_records(filled, subject.latent_dim, subject.class_names, path)
    places = np.full(len(found), -1)
    places[[number for number, each in enumerate(found) if each is not None]] = np.arange(len(filled))
    columns = record.get("columns")
    if type(columns) is not int or not 0 < columns <= len(found):
        raise UsageError(f"{path} must say its columns, from 1 to {len(found)}. Received: {str(columns)[:40]}")
    rows = -(-len(found) // columns)
    column_names, row_names = (
        tuple(map(str, names)) if isinstance(names := record.get(key), list) and len(names) == count else ()
        for key, count in (("column_names", columns), ("row_names", rows))
    )
    return sheets.of_points(
        subject, shown, columns, samples=samples, places=places, column_names=column_names, row_names=row_names
    )


def write_walk(sheet: Sheet, path: Path) -> Path:
    """Write a walk as a moving picture, there and back, beside the picture `path`; gives its path."""
    beside = path.with_suffix(".gif")
    pictures.save_gif(_there_and_back(sheet.images), beside, milliseconds=_MILLISECONDS)
    return beside


def _there_and_back(images: np.ndarray) -> Iterator[Image.Image]:
    for image in np.concatenate([images, images[-2:0:-1]]):
        yield pictures.enlarged(pictures.grid(image[None], 1, gap=0))
