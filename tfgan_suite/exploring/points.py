"""Points of a latent space: by the name of a sample, by an array, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.errors import UsageError

_LARGEST_FILE = 256 << 20
_MOST_POINTS = 100_000
MOST_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Points:
    """N places in a latent space, and what stands there.

    Attributes:
        latents: float32 [N, d].
        labels: classes int32 [N]; zeros for a generator without classes.
        others: classes int32 [N], towards which the class has gone by `shares`.
        shares: float32 [N] in [0, 1].
        names: of the samples, "seed:index", or whatever says what stands there; "" for none.
    """

    latents: np.ndarray
    labels: np.ndarray
    others: np.ndarray
    shares: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, rows: Any) -> Points:
        """The points of these rows: a slice, or integers [M]."""
        rows = np.arange(len(self))[rows]
        arrays = (self.latents[rows], self.labels[rows], self.others[rows], self.shares[rows])
        return Points(*arrays, tuple(self.names[row] for row in rows))

    @property
    def between(self) -> np.ndarray:
        """bool [N]: whether the class is a mixture of two."""
        return (self.labels != self.others) & (self.shares > 0)

    def with_labels(self, labels: np.ndarray) -> Points:
        """The same latents in other classes, int [N]."""
        labels = np.asarray(labels, np.int32)
        return dataclasses.replace(self, labels=labels, others=labels, shares=np.zeros(len(self), np.float32))

    def with_latents(self, latents: np.ndarray) -> Points:
        """Other latents [N, d] in the same classes; the names, which are those of samples, go."""
        return dataclasses.replace(self, latents=np.asarray(latents, np.float32), names=("",) * len(self))


def of(latents: np.ndarray, labels: np.ndarray, names: Sequence[str] = ()) -> Points:
    """Points of latents [N, d] and classes int [N]."""
    labels = np.asarray(labels, np.int32)
    shares = np.zeros(len(labels), np.float32)
    return Points(np.asarray(latents, np.float32), labels, labels, shares, tuple(names) or ("",) * len(labels))


def joined(parts: Iterable[Points]) -> Points:
    """All points of some parts, one after the other."""
    parts = list(parts)

    def of_all(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    names = tuple(name for part in parts for name in part.names)
    return Points(of_all("latents"), of_all("labels"), of_all("others"), of_all("shares"), names)


def parse_name(text: str) -> tuple[int, int]:
    """Seed and index of a sample named "SEED:INDEX", or "SEED" for index 0.

    Raises:
        UsageError: for anything else, or a seed above 2147483647.
    """
    found = re.fullmatch(r"(\d{1,10})(?::(\d{1,9}))?", text.strip(), re.ASCII)
    if not found or int(found[1]) > MOST_SEED:
        raise UsageError(
            f"a sample is named SEED:INDEX, such as 7:3 for image 3 of seed 7, with a seed up to {MOST_SEED}. "
            f"Received: {text[:80]}"
        )
    return int(found[1]), int(found[2] or 0)


def as_records(points: Points, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """One JSON object per point; every float32 is written so that it is read back to the bit."""
    records = []
    for row in range(len(points)):
        record: dict[str, Any] = {"name": points.names[row]} if points.names[row] else {}
        record["latents"] = [float(str(number)) for number in points.latents[row]]
        if class_names:
            record["class"] = class_names[points.labels[row]]
            if points.between[row]:
                record |= {"towards": class_names[points.others[row]], "share": float(str(points.shares[row]))}
        records.append(record)
    return records


def read_file(path: Path) -> dict[str, Any]:
    """The JSON object of a file that stands beside a picture.

    Raises:
        UsageError: for a file that is none.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError(f"larger than {_LARGEST_FILE >> 20} MiB")
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--latents must be a JSON file that stands beside a picture: {path} ({error})") from None
    if not isinstance(record, dict) or not isinstance(record.get("samples"), list) or not record["samples"]:
        raise UsageError(f"{path} holds no latents: expected the JSON file beside a picture of samples")
    return record


def of_records(records: Any, latent_dim: int, class_names: Sequence[str], path: Path) -> Points:
    """The points that `as_records` wrote.

    Raises:
        UsageError: for other latents than numbers [latent_dim], or a class that the generator does not have.
    """
    if not isinstance(records, list) or not 0 < len(records) <= _MOST_POINTS:
        raise UsageError(f"{path} must hold 1 to {_MOST_POINTS:,} points")
    numbers = {name: number for number, name in enumerate(class_names)}
    read = [_of_record(record, latent_dim, numbers, path) for record in records]
    latents, labels, others, shares, names = zip(*read, strict=True)
    return Points(
        np.array(latents, np.float32), np.array(labels, np.int32), np.array(others, np.int32),
        np.array(shares, np.float32), names,
    )  # fmt: skip


def _of_record(
    record: Any, latent_dim: int, numbers: dict[str, int], path: Path
) -> tuple[list[float], int, int, float, str]:
    latents = record.get("latents") if isinstance(record, dict) else None
    if not isinstance(latents, list) or not all(_is_number(number) for number in latents):
        raise UsageError(f"{path} must hold latents as lists of finite numbers")
    if len(latents) != latent_dim:
        raise UsageError(f"{path} has latents of {len(latents)} numbers, where the generator takes {latent_dim}")
    label, other, share = 0, 0, record.get("share", 0.0)
    if numbers:
        label = _class(record.get("class"), numbers, path)
        other = _class(record["towards"], numbers, path) if "towards" in record else label
    if not _is_number(share) or not 0 <= share <= 1:
        raise UsageError(f"{path} must hold shares from 0 to 1. Received: {str(share)[:40]}")
    return latents, label, other, share, str(record.get("name", ""))[:80]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


def _class(name: Any, numbers: dict[str, int], path: Path) -> int:
    if not isinstance(name, str) or name not in numbers:
        raise UsageError(f"{path} has the class {str(name)[:60]!r}, which is none of {', '.join(numbers)[:300]}")
    return numbers[name]
