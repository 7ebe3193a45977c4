"""A folder of images packed once into one array in the cache folder, and read from there afterwards.

A pack is a folder in the cache, named after the images' folder and the rule by which they were prepared:

    images.npy      uint8 [N, S, S, C], read as a memory map
    manifest.json   the rule, and a digest of every file's class, name, size and time
    blocks.json     hashes of images.npy, which each process checks once (`data_tools.blocks`)
    images.part     what an unfinished packing has written, with part.json, which says how much of it is good

If a name, a size or a time in the folder changes, it is packed anew; so is a pack whose bytes are not those that were
written, or that was made before packs had hashes. Nothing is written into the folder itself. A good pack in a cache
that cannot be written is read all the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from data_tools import blocks, cache, files
from data_tools.cache import cores
from data_tools.errors import DataError
from data_tools.images import LabelledImages
from data_tools.pictures import RULE, quietly, read_image
from data_tools.progress import counting, note

_MOST_NAMED = 20  # broken images that an error names


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of one folder, in a fixed order.

    Attributes:
        root: the folder.
        class_names: in label order.
        labels: int32 [N].
        names: path of each image below `root`, N of them.
        part: which part of the folder, if not all of it; parts are packed apart.
        left_out: how many images beside the class folders are not among them.
    """

    root: Path
    class_names: tuple[str, ...]
    labels: np.ndarray
    names: list[str]
    part: str = ""
    left_out: int = 0

    @property
    def has_classes(self) -> bool:
        """Whether the images are in class folders; without them, all are of one class that says nothing."""
        return "/" in self.names[0]

    def digest(self) -> str:
        """Follows every file's class, name, size and time of change."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for label, name in zip(self.labels.tolist(), self.names, strict=True):
            found = os.stat(self.root / name)
            digest.update(f"\0{label}/{name}\0{found.st_size}/{found.st_mtime_ns}".encode(errors="surrogateescape"))
        return digest.hexdigest()


def packed(listing: Listing, image_size: int, channels: int, place: Path | None = None) -> LabelledImages:
    """The images of `listing` as a read-only memory map, packed first unless they are already.

    Memory does not grow with the number of images, but for their names. A packing that was killed goes on where it was.

    Args:
        listing: what to pack.
        image_size, channels: see `data_tools.pictures.read_image`.
        place: where packs are kept; the cache folder if None.

    Raises:
        DataError: for an image that cannot be read, a folder that changes meanwhile, or a cache that cannot be written.
    """
    rule = {"image_size": image_size, "channels": channels, "preparation": RULE}
    named = (str(listing.root.resolve()), rule, *filter(None, [listing.part]))
    key = hashlib.sha256(repr(named).encode(errors="surrogateescape")).hexdigest()[:24]
    pack = (place or cache.cache_folder()) / "packed" / key
    manifest = {"folder": str(listing.root.resolve()), "rule": rule, "num_images": len(listing.names)}
    manifest["class_names"] = list(listing.class_names)
    shape = (len(listing.names), image_size, image_size, channels)
    waiting = lambda: note(f"another process is packing {listing.root}: waiting for it")  # noqa: E731
    with cache.explained(pack), blocks.locked(pack, waiting) as refusal:
        manifest["digest"] = listing.digest()
        if not _is_good(pack, manifest, shape):
            if refusal:
                raise refusal
            _pack(pack, listing, manifest, shape)
        images = np.load(pack / "images.npy", mmap_mode="r", allow_pickle=False)
    return LabelledImages(images, listing.labels, listing.class_names)


def _is_good(pack: Path, manifest: dict[str, Any], shape: tuple[int, int, int, int]) -> bool:
    """Whether the pack is of these images, and as it was written."""
    if _read_json(pack / "manifest.json") != manifest or not _has_size(pack / "images.npy", shape):
        return False
    if blocks.are_whole(pack / "images.npy"):
        return True
    if (pack / blocks.NAME).exists():
        note(f"the pack of {manifest['folder']} in {pack} is damaged: packing it again")
    return False


def decoded(listing: Listing, image_size: int, channels: int, start: int = 0) -> Iterator[list[Any]]:
    """The images from `start` on, in parts, decoded by all cores: each as an array, or the DataError that it raised.

    The next part is being decoded while the caller uses one.
    """
    rows = cache.rows_per_part(image_size, channels)
    root = str(listing.root)

    def read(index: int) -> Any:
        try:
            return read_image(os.path.join(root, listing.names[index]), image_size, channels)
        except DataError as error:
            return error

    def submit(pool: ThreadPoolExecutor, first: int) -> list[Future]:
        return [pool.submit(read, i) for i in range(first, min(first + rows, len(listing.names)))]

    with quietly(), ThreadPoolExecutor(cores()) as pool:
        ahead = submit(pool, start)
        try:
            while ahead:
                current, start = ahead, start + rows
                ahead = submit(pool, start)
                yield [future.result() for future in current]
        finally:
            for future in ahead:
                future.cancel()


def _pack(pack: Path, listing: Listing, manifest: dict[str, Any], shape: tuple[int, int, int, int]) -> None:
    part, progress = pack / "images.part", pack / "part.json"
    header = cache.npy_header(shape)
    (pack / "manifest.json").unlink(missing_ok=True)
    done = _already_done(progress, manifest)
    good = len(header) + done * math.prod(shape[1:])
    if not part.is_file() or part.stat().st_size < good:
        done = 0
    if done == 0:
        progress.unlink(missing_ok=True)  # before its images.part goes
    broken: dict[str, DataError] = {}
    seen = done
    with open(part, "r+b" if done else "wb") as file:
        file.write(header)
        file.truncate(good if done else len(header))
        file.seek(0, os.SEEK_END)
        with counting(f"packing {listing.root}", shape[0], done=done) as advance:
            for images in decoded(listing, shape[1], shape[3], done):
                names = listing.names[seen : seen + len(images)]
                seen += len(images)
                broken |= {n: image for n, image in zip(names, images, strict=True) if isinstance(image, DataError)}
                if broken:  # the others are only looked at, so that all are named at once
                    advance(len(images))
                    continue
                for image in images:
                    file.write(image.data)
                file.flush()
                os.fsync(file.fileno())
                done += len(images)
                files.replace_text(progress, json.dumps({"manifest": manifest, "done": done}))
                advance(len(images))
    if broken:
        raise _all_of(broken, listing)
    if listing.digest() != manifest["digest"]:
        raise DataError(f"{listing.root} was changed while it was read: run it again when it is at rest")
    blocks.record(part)
    os.replace(part, pack / "images.npy")
    files.replace_text(pack / "manifest.json", json.dumps(manifest, indent=1))
    progress.unlink()


def _all_of(broken: dict[str, DataError], listing: Listing) -> DataError:
    if len(broken) == 1:
        return next(iter(broken.values()))
    more = f" and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
    return DataError(
        f"{len(broken):,} of {len(listing.names):,} images in {listing.root} cannot be read as images: "
        f"{', '.join(list(broken)[:_MOST_NAMED])}{more}\nmend or remove them; python -m data_tools.inspect lists them"
    )


def _has_size(path: Path, shape: tuple[int, int, int, int]) -> bool:
    return path.is_file() and path.stat().st_size == len(cache.npy_header(shape)) + math.prod(shape)


def _already_done(progress: Path, manifest: dict[str, Any]) -> int:
    state = _read_json(progress)
    if not isinstance(state, dict) or state.get("manifest") != manifest:
        return 0
    done = state.get("done")
    return done if type(done) is int and 0 <= done <= manifest["num_images"] else 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
