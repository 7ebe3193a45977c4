"""Hand prepared pictures on: class folders, TFRecord shards, or packed arrays; always split, and with attribution.

The splits are those of the dataset `reptiles` (`data_tools.splits.split_of_photograph`), so that whoever trains on an
export leaves the test photographs out by doing nothing.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_tools.errors import DataError, UsageError
from data_tools.flickr.manifest import records, write_manifest
from data_tools.flickr.store import Store
from data_tools.pictures import Unreadable, opened
from data_tools.splits import SPLITS

Record = dict[str, Any]


def export(
    store: Store,
    target: Path,
    *,
    format: str,
    size: int,
    link: bool,
    shard_size: int,
    advance: Callable[[int], None],
) -> int:
    """Write all pictures that are prepared at `size` to the new folder `target`; gives how many.

    Whatever the format, `target` holds `manifest.jsonl` (one line per picture with its split; those of one split in
    the order of its array or examples), `ATTRIBUTION.md`, `class_names.json` (in label order) and `export.json`.

    Args:
        format: a key of `FORMATS`.
        link: with `folders`, hard links instead of copies.
        shard_size: with `tfrecord`, pictures per file.

    Raises:
        UsageError: if `target` is there and not empty.
        DataError: if nothing is prepared at this size, or a prepared file is gone or changed.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"--to must be a new or empty folder. Received: {target}, which is there and not empty")
    write_manifest(store)
    chosen = [record for record in records(store) if record["state"] == "prepared" and str(size) in record["prepared"]]
    if not chosen:
        raise DataError(f"nothing is prepared at {size} x {size}: run the command prepare --size {size} first")
    class_names = sorted({record["class"] for record in chosen})
    work = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    pictures = _pictures(store, chosen, size, advance)
    details = FORMATS[format](work, pictures, chosen, class_names, size=size, link=link, shard_size=shard_size)
    with open(work / "manifest.jsonl", "w", encoding="utf-8") as file:
        for record in chosen:
            file.write(json.dumps({"label": class_names.index(record["class"]), **record}, ensure_ascii=False) + "\n")
    shutil.copy(store.folder / "ATTRIBUTION.md", work)
    (work / "class_names.json").write_text(json.dumps(class_names) + "\n", encoding="utf-8")
    facts = {"format": format, "images": len(chosen), "splits": _counts(chosen), "size": size}
    facts |= {"classes": len(class_names), **details}
    (work / "export.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if target.exists():
        target.rmdir()
    os.replace(work, target)
    return len(chosen)


def _counts(chosen: list[Record]) -> dict[str, int]:
    """How many pictures each split has; a split without any is left out."""
    counts = collections.Counter(record["split"] for record in chosen)
    return {split: counts[split] for split in SPLITS if split in counts}


def _pictures(store: Store, chosen: list[Record], size: int, advance) -> Iterator[tuple[Record, Path, bytes]]:
    for record in chosen:
        entry = record["prepared"][str(size)]
        path = store.path(entry["file"])
        body = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(body).hexdigest() != entry["sha256"]:
            raise DataError(f"{path} is gone or was changed: delete it and run the command prepare again")
        yield record, path, body
        advance(1)


def _opened(path: Path, body: bytes) -> Image.Image:
    """A prepared picture, which is as little to be trusted as the rest of a collection that came from elsewhere."""
    try:
        return opened(body, ("PNG",))
    except Unreadable as error:
        raise DataError(f"{path} {error}") from None


def _folders(work: Path, pictures, chosen, class_names, *, link: bool, **_: Any) -> dict[str, Any]:
    """`<split>/<class>/<photo id>.png`; every split has the folders of all classes, so that labels mean the same."""
    for split in _counts(chosen):
        for name in class_names:
            (work / split / name).mkdir(parents=True)
    for record, path, body in pictures:
        target = work / record["split"] / record["class"] / path.name
        if link:
            os.link(path, target)
        else:
            target.write_bytes(body)
    return {}


def _array(work: Path, pictures, chosen, class_names, *, size: int, **_: Any) -> dict[str, Any]:
    """`x_<split>.npy` uint8 [N, S, S, 3], `y_<split>.npy` int32 [N], which `numpy.load(..., mmap_mode="r")` reads."""
    counts, done, digest = _counts(chosen), collections.Counter[str](), hashlib.sha256()
    images = {
        split: np.lib.format.open_memmap(work / f"x_{split}.npy", mode="w+", dtype=np.uint8, shape=(n, size, size, 3))
        for split, n in counts.items()
    }
    labels = {split: np.empty(count, dtype=np.int32) for split, count in counts.items()}
    for record, path, body in pictures:
        split, index = record["split"], done[record["split"]]
        images[split][index] = np.asarray(_opened(path, body))
        digest.update(images[split][index].data)
        labels[split][index] = class_names.index(record["class"])
        done[split] += 1
    for split in counts:
        images[split].flush()
        np.save(work / f"y_{split}.npy", labels[split])
    return {"pixels_sha256": digest.hexdigest()}


def _tfrecord(work: Path, pictures, chosen, class_names, *, shard_size: int, **_: Any) -> dict[str, Any]:
    """`train-00000-of-00024.tfrecord`, ...: `tf.train.Example` with the PNG file, the label, and where it is from."""
    import tensorflow as tf

    shards = {split: -(-count // shard_size) for split, count in _counts(chosen).items()}
    writers: dict[str, Any] = {}
    done: collections.Counter[str] = collections.Counter()
    for record, _path, body in pictures:
        split = record["split"]
        if done[split] % shard_size == 0:
            if split in writers:
                writers[split].close()
            name = f"{split}-{done[split] // shard_size:05d}-of-{shards[split]:05d}.tfrecord"
            writers[split] = tf.io.TFRecordWriter(str(work / name))
        done[split] += 1
        texts = {
            "image/encoded": body,
            "image/format": b"png",
            "image/class/text": record["class"].encode(),
            "image/split": split.encode(),
            "image/id": record["id"].encode(),
            "image/licence": record["licence"].encode(),
            "image/attribution": record["attribution"].encode(),
        }
        features = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in texts.items()
        }
        label = tf.train.Int64List(value=[class_names.index(record["class"])])
        features["image/class/label"] = tf.train.Feature(int64_list=label)
        writers[split].write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    for writer in writers.values():
        writer.close()
    return {"shards": shards}


FORMATS: dict[str, Callable[..., dict[str, Any]]] = {"folders": _folders, "tfrecord": _tfrecord, "array": _array}
