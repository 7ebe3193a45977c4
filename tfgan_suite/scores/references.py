"""Statistics of the images that others are compared with: gathered once, cached, saved and read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from data_tools import files, npz
from data_tools.cache import cache_folder
from data_tools.download import file_sha256
from data_tools.errors import DataError, SuiteError
from data_tools.progress import counting
from tfgan_suite.images.sources import Source
from tfgan_suite.networks.scoring_network import ScoringNetwork
from tfgan_suite.scores.gathering import PICTURES, Needs, Statistics, gather
from tfgan_suite.scores.moments import Moments

_LARGEST = 1e38
_FORMAT = 2  # to be raised when what is stored, or how it is computed, changes
_MOST_BYTES = 1 << 30  # of statistics that are given; those of 2,048 features have a thirtieth


@dataclasses.dataclass(frozen=True)
class Reference:
    """Statistics of the real images of a score.

    Attributes:
        name: `dataset:split`, or the file.
        num_images: of how many images; None if a file of another tool does not say.
        class_names: of their labels.
        fingerprint: of pixels, labels and names, or of the file.
        shuffle_seed: of their order, on which subsets and blocks depend; None for the order they are stored in.
    """

    statistics: Statistics
    name: str
    num_images: int | None
    class_names: tuple[str, ...] = ()
    fingerprint: str | None = None
    shuffle_seed: int | None = None

    @property
    def has_features(self) -> bool:
        """Whether there are features of single images, which stored statistics are without."""
        return self.statistics.needs.outputs

    @property
    def has_pictures(self) -> bool:
        """Whether there are pictures, which stored statistics are without."""
        return self.statistics.has_pictures


def reference_of(
    source: Source,
    network: ScoringNetwork,
    needs: Needs,
    *,
    cache: Path | None = None,
) -> Reference:
    """Statistics of all images of `source`; taken from the cache if they were gathered before.

    The cache is keyed by everything that changes them: pixels, labels and names, the network with its rules and type,
    what was gathered, and the versions of TensorFlow and of the format. Entries are written by rename; a damaged one is
    written anew.

    Args:
        cache: its folder; `statistics` in the cache folder if None.

    Raises:
        UsageError: for images that `needs` refuses, before the pass.
    """
    size = source.size
    if size is None:
        raise ValueError("a reference must be a finite set of images")
    needs.require(source, size)
    stored = dataclasses.replace(needs.gathered(), pictures=False)  # pictures are read again, which is quick
    pixels = source.fingerprint()
    path = (cache or cache_folder() / "statistics") / f"{_key(pixels, source, network, stored)}.npz" if pixels else None
    arrays = _read_cached(path) if path is not None else None
    if arrays is not None:
        statistics = Statistics.from_arrays(arrays, stored)
    else:
        with counting(f"features of {source.name}", size) as advance:
            statistics = gather(source, network, size, stored, advance=advance)
        if path is not None:
            _write(path, statistics.arrays())
    if needs.pictures:
        count = min(size, PICTURES)
        statistics.keep_pictures(*next(source.batches(count, count)))
    return Reference(statistics, source.name, size, source.class_names, pixels, source.record["shuffle_seed"])


def save(reference: Reference, network: ScoringNetwork, path: Path) -> None:
    """Write mean and covariance as `mu` and `sigma`, as other tools name them, with what they are of."""
    moments = reference.statistics.moments
    about = {
        "reference": reference.name, "num_images": reference.num_images, "classifier": network.name,
        "classifier_fingerprint": network.fingerprint, "resize": network.resize, "values": network.values,
    }  # fmt: skip
    _write(path, {"mu": moments.mean, "sigma": moments.covariance, "about": np.array(json.dumps(about))})


def is_statistics(path: Path) -> bool:
    """Whether `path` is an `.npz` with `mu` and `sigma`."""
    try:
        return path.is_file() and {"mu", "sigma"} <= npz.names_in(path)
    except DataError:
        return False


def read(path: Path, network: ScoringNetwork) -> Reference:
    """Stored statistics, of this suite or another tool: `mu` [d] and `sigma` [d, d].

    Args:
        network: that will be used; statistics that say that they are of another one are refused.

    Raises:
        SuiteError: for a damaged file or another network.
    """
    try:
        stored = npz.read_all(path, {"mu", "sigma", "about"} & npz.names_in(path), most_bytes=_MOST_BYTES)
        mean, covariance = stored["mu"], stored["sigma"]
        about = _about(stored["about"]) if "about" in stored else {}
        count = about.get("num_images")
        if count is not None and (type(count) is not int or count < 2):
            raise ValueError(f"num_images must be a whole number from 2 on, not {count!r}")
        of = about.get("classifier_fingerprint", network.fingerprint)
        rule = about.get("resize", network.resize), about.get("values", network.values)
        if of != network.fingerprint or rule != (network.resize, network.values):
            raise ValueError(
                f"they are of {about.get('classifier', 'another network')} {of[:12]} with {rule}, not of {network.name}"
            )
        moments = Moments.from_covariance(count or 2, mean, covariance)
        if max(abs(moments.mean).max(), abs(moments.covariance).max() ** 0.5) > _LARGEST:
            raise ValueError(f"mu and sigma must be of features of at most {_LARGEST:g}, as float32 has them")
    except (DataError, ValueError, KeyError, TypeError) as error:
        raise SuiteError(f"{path} cannot serve as --reference: {error}") from None
    statistics = Statistics(count or 2, needs=Needs())
    statistics.halves = [Moments(moments.dimension), moments]
    return Reference(statistics, str(path), count, fingerprint=file_sha256(path))


def _about(stored: np.ndarray) -> dict[str, Any]:
    """What the file says of itself; raises ValueError unless it is a JSON object."""
    try:
        about = json.loads(str(stored))
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise ValueError("about must be a JSON object. Received: something else")
    return about


def _key(pixels: str, source: Source, network: ScoringNetwork, needs: Needs) -> str:
    import tensorflow as tf

    parts = [
        _FORMAT, pixels, source.record["shuffle_seed"], source.class_names, network.fingerprint, network.resize,
        network.values, network.dtype, dataclasses.asdict(needs), tf.__version__, np.__version__,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _read_cached(path: Path) -> dict[str, np.ndarray] | None:
    try:
        return npz.read_all(path)
    except DataError:
        return None


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with files.writing(path):
        os.makedirs(path.parent, exist_ok=True)
    files.replace(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
