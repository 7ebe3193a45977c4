"""What each command takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from data_tools.errors import UsageError
from data_tools.flickr.checks import Rules
from data_tools.flickr.duplicates import NEAR
from data_tools.flickr.export import FORMATS
from data_tools.flickr.licences import LICENCES, PERMIT_DERIVATIVES
from data_tools.flickr.prepare import FITS
from data_tools.flickr.queries import PRESETS

if TYPE_CHECKING:
    Preset = str
    Fit = str
    Format = str
else:
    Preset, Fit, Format = Literal[tuple(PRESETS)], Literal[tuple(FITS)], Literal[tuple(FORMATS)]

FLICKR_API = "https://api.flickr.com/services/rest/"
# numbers that may be less than 1 or whatever is more than 0
_LEAST = {"retries": 0, "retry_wait": 0, "near": -1}


def _about_presets() -> str:
    found = (
        f"{name} finds {sum(query.target for query in queries):,} photographs of {len(queries)} classes"
        for name, queries in PRESETS.items()
    )
    return f"Lists of queries: {', '.join(found)}."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collection:
    """What every command takes."""

    output: Path
    """Folder of the collection."""
    debug: bool = False
    """Show tracebacks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network(Collection):
    """What every command takes that asks a server."""

    endpoint: str = FLICKR_API
    """Address of the API, for another server that speaks it; its host may then serve the pictures, too."""
    retries: int = 5
    """How often a failed request is repeated."""
    retry_wait: float = 2.0
    """Seconds before the first repetition; doubled each time."""
    timeout: float = 30.0
    """Seconds without a byte after which a request has failed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search(Network):
    """Find photographs: their ids, addresses, owners and licences. Fetches no picture.

    Examples:
      python -m data_tools.flickr search --output reptiles --preset reptiles arachnids
      python -m data_tools.flickr search --output snakes --tags viper "python=ballpython,burmesepython" --per-query 500
      python -m data_tools.flickr search --output dragons --text "dragon=komodo dragon" --licences by cc0
    """

    preset: Annotated[tuple[Preset, ...], tyro.conf.arg(help=_about_presets())] = ()
    tags: tuple[str, ...] = ()
    """Queries by tags, [CLASS=]TAG,TAG,...: photographs with any of these tags."""
    text: tuple[str, ...] = ()
    """Queries by words in title, description and tags, [CLASS=]WORDS."""
    per_query: int | None = None
    """Photographs to find for each query; by default what the preset says, or 1,000."""
    limit: int | None = None
    """At most so many photographs in this run."""
    licences: Annotated[tuple[str, ...], tyro.conf.arg(metavar=f"[{{{','.join(LICENCES)}}} ...]")] = PERMIT_DERIVATIVES
    """Allowed licences. By default those that permit derivatives."""
    shorter_side: int = 320
    """Of each photograph take the smallest file whose shorter side has so many pixels."""
    key_file: Path | None = None
    """File with the key of the API; by default the key is in FLICKR_API_KEY."""
    rate: float = 2_400
    """API requests per hour, repeated ones included, of all commands with this key. Flickr allows 3,600."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Download(Network):
    """Fetch what was found, and set aside what is of no use: broken, tiny, long or empty pictures. What was broken is
    asked for again, as it may have been cut on its way.

    Examples:
      python -m data_tools.flickr download --output reptiles
      python -m data_tools.flickr download --output reptiles --limit 500 --workers 2
    """

    limit: int | None = None
    """At most so many photographs in this run."""
    workers: int = 4
    """Photographs fetched at a time."""
    rate: float = 3_000
    """Pictures per hour, repeated requests included, of all commands: by default fewer than the 3,600 API requests that
    Flickr allows an hour, although it does not count pictures among them."""
    min_side: int = Rules.min_side
    """Set aside pictures whose shorter side has fewer pixels."""
    max_aspect: float = Rules.max_aspect
    """Set aside pictures that are more than so many times as long as wide."""
    again: bool = False
    """Fetch again what prepare --no-keep-originals has deleted, and what was set aside as refused."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepare(Collection):
    """Set copies aside, and make square RGB pictures: upright, in sRGB, PNG in class folders.

    Examples:
      python -m data_tools.flickr prepare --output reptiles
      python -m data_tools.flickr prepare --output reptiles --size 64 --fit pad --no-keep-originals
    """

    size: int = 108
    """Pixels per side."""
    fit: Fit = "crop"
    """Cut out the centre square, or fill up with black."""
    near: int = NEAR
    """Set aside as copies what differs by so many of 128 bits of the perceptual hash; -1 for the same file only."""
    keep_originals: bool = True
    """Keep the files as they came; without them, another size needs download --again."""
    limit: int | None = None
    """At most so many photographs in this run."""
    workers: int = 2
    """Photographs prepared at a time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status(Collection):
    """Show how far a collection is; write status.json, manifest.jsonl and ATTRIBUTION.md.

    Examples:
      python -m data_tools.flickr status --output reptiles
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export(Collection):
    """Write prepared pictures to a new folder: class folders, TFRecord shards or one packed array.

    Examples:
      python -m data_tools.flickr export --output reptiles --format array --to reptiles108
      python -m data_tools.flickr export --output reptiles --format tfrecord --to shards --shard-size 2000
    """

    to: Path
    """New folder."""
    format: Format = "folders"
    """folders: SPLIT/CLASS/ID.png; tfrecord: shards of tf.train.Example by split; array: x_train.npy, y_train.npy, and
    the same of test and selection."""
    size: int = 108
    """Which of the prepared sizes."""
    link: bool = False
    """With folders: hard links instead of copies."""
    shard_size: int = 1_000
    """With tfrecord: pictures per file."""


def check_numbers(arguments: Collection) -> None:
    """Refuse numbers that make no sense.

    Raises:
        UsageError: for a negative, infinite or unfinished number, or 0 where there must be something.
    """
    for field in dataclasses.fields(arguments):
        value = getattr(arguments, field.name)
        if type(value) not in (int, float):
            continue
        least = _LEAST.get(field.name)
        if not value < float("inf") or (value <= 0 if least is None else value < least):
            bound = "more than 0" if least is None else f"at least {least}"
            raise UsageError(f"--{field.name.replace('_', '-')} must be {bound}. Received: {value}")
