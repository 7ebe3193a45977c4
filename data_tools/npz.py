"""`npz`: arrays that NumPy saved, `numpy.savez(path, images=..., labels=..., class_names=...)`.

`images` is uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3]; `labels`, integers [N], and `class_names`, strings, may be
left out. The names of Keras' files, `x_train`, `y_train`, `x_test`, `y_test`, are understood too, and give two splits;
so is `arr_0`, as NumPy calls an array that was saved without a name. `arrays` is the same for whoever takes
floating-point images as well, to score them; `read_all` is how every .npz file of the suite is opened.

A folder of such arrays, `x_train.npy`, `y_train.npy`, ..., `x_selection.npy` and `class_names.json`, as
`python -m data_tools.flickr export --format array` makes it, is read in the same way, as a memory map where nothing is
to be resized.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data_tools import splits
from data_tools.errors import DataError, SuiteError
from data_tools.images import LabelledImages
from data_tools.resized import prepared
from data_tools.visible_text import visible

Form = tuple[tuple[int, ...], np.dtype]  # shape and type of an array
MOST_BYTES = 8 << 30  # of what is read at once: whatever claims more is refused unread
# How many times its size in the file an array may have. Photographs pack to a half, drawings to a twentieth; only what
# is next to empty packs better, which does no harm while it is small.
MOST_EXPANSION = 100
_SMALL = 64 << 20
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those of numpy.savez and numpy.savez_compressed
_KINDS = "biufUS"  # of NumPy's types: booleans, real numbers, and strings of one length
MOST_CLASSES = 100_000
# split -> names of images and labels
_KERAS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test"), "selection": ("x_selection", "y_selection")}


@dataclasses.dataclass(frozen=True)
class Arrays:
    """What a file holds.

    Attributes:
        images: uint8, or other numbers where the caller takes them, [N, H, W, 1 or 3], as they are stored.
        labels: int32 [N], indices into `class_names`; None if there are none.
        class_names: no name twice; numbers where the file has labels and no names, () where it has neither.
    """

    images: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...]


def load(split: str, *, image_size: int, channels: int = 3, data_dir: Path | None = None) -> LabelledImages:
    """Read one split.

    Args:
        split: `"train"`; `"test"` of a file with Keras' names.
        image_size, channels: see `data_tools.resized.prepared`.
        data_dir: the file, or the folder.

    Raises:
        DataError: for a missing, damaged or hostile file, or arrays of another kind.
    """
    if data_dir is None:
        raise DataError("the dataset 'npz' needs --data-dir FILE.npz, which holds images and, if there are any, labels")
    if not data_dir.exists():
        raise DataError(
            f"--data-dir must be an .npz file or a folder of .npy files. Received: {data_dir}, which is none"
        )
    found = arrays(data_dir, split, floats=False)
    labels = np.zeros(len(found.images), np.int32) if found.labels is None else found.labels
    class_names = found.class_names or ("images",)
    return LabelledImages(prepared(found.images, image_size, channels), labels, class_names)


def arrays(path: Path, split: str = "train", *, floats: bool = True) -> Arrays:
    """The images of a file or folder as they are stored, with their labels, all of it checked.

    Args:
        path: the file, or the folder.
        split: `"train"`; `"test"` of a file with Keras' names.
        floats: whether images may be numbers of other types than uint8, whose range the caller knows.

    Raises:
        DataError: for a damaged or hostile file, or arrays of another kind.
        NoSplitError: for a split that it does not have.
    """
    names = names_in(path)
    of_images, of_labels = _keys(path, names, split, floats)
    images = _images(path, of_images, floats)
    labels = _labels(path, of_labels, len(images)) if of_labels in names else None
    if "class_names" in names:
        class_names = _class_names(path)
    elif labels is None:
        class_names = ()
    else:
        class_names = _numbered(path, names & {"labels", *(key for _, key in _KERAS.values())})
    if labels is not None and labels.max() >= len(class_names):
        raise DataError(f"{path}: the label {labels.max()} has no name, there are {len(class_names)} class_names")
    return Arrays(images, labels, class_names)


def _keys(path: Path, names: set[str], split: str, floats: bool) -> tuple[str, str]:
    """Names of the arrays with the images and the labels of a split."""
    having = [name for name, (images, _) in _KERAS.items() if images in names]
    if having and "images" not in names:
        splits.require(str(path), split, having)
        return _KERAS[split]
    for name in ("images", "arr_0"):
        if name in names:
            splits.require(str(path), split, ("train",))
            return name, "labels"
    wanted = "an array 'images' or 'arr_0'" if floats else "'images'"
    raise DataError(f"{path} must hold {wanted}, or 'x_train'. Received: {', '.join(map(_plain, sorted(names)[:9]))}")


def keras_split(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The two arrays of a split of one of Keras' files, as they are."""
    images, labels = (read(path, name) for name in _KERAS[split])
    return images, labels


def _images(path: Path, name: str, floats: bool) -> np.ndarray:
    images = read(path, name)
    if images.ndim == 3:
        images = images[..., None]
    numbers = images.dtype.kind in "fu" if floats else images.dtype == np.uint8
    if not numbers or images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        wanted = (
            "uint8 or floats [N, S, S, 1 or 3]" if floats else "uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3], 0 to 255"
        )
        raise DataError(f"{path}: {name} must be {wanted}. Received: {images.dtype} {images.shape}")
    return images


def _labels(path: Path, name: str, count: int | None = None) -> np.ndarray:
    labels = read(path, name)
    if count is None:
        count = max(1, labels.size)
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (count,):
        raise DataError(f"{path}: {name} must be {count} integers. Received: {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise DataError(
            f"{path}: {name} must be from 0 to {MOST_CLASSES - 1}. Received: {labels.min()}..{labels.max()}"
        )
    return labels.astype(np.int32)


def _class_names(path: Path) -> tuple[str, ...]:
    names = read(path, "class_names")
    if names.dtype.kind != "U" or names.ndim != 1 or not 0 < len(names) <= MOST_CLASSES:
        raise DataError(f"{path}: class_names must be strings [classes]. Received: {names.dtype} {names.shape}")
    class_names = tuple(map(str, names))
    if len(set(class_names)) < len(class_names):
        twice = collections.Counter(class_names).most_common(1)[0][0]
        raise DataError(f"{path}: class_names must differ from each other. Received: {twice[:80]!r} twice")
    return class_names


def _numbered(path: Path, keys: set[str]) -> tuple[str, ...]:
    """Names for labels without any; of all splits, so that a label means the same class in each."""
    return tuple(map(str, range(1 + max(int(_labels(path, key).max()) for key in sorted(keys)))))


def names_in(path: Path) -> set[str]:
    """Names of the arrays in the file, or in the folder.

    Raises:
        DataError: if the file is no .npz file, or holds a name twice.
    """
    if path.is_dir():
        return {file.name.removesuffix(".npy") for file in path.glob("*.npy")} | {
            "class_names" for _ in path.glob("class_names.json")
        }
    return set(_opened(path, lambda archive: _members(path, archive)))


def read(path: Path, name: str, *, most_bytes: int = MOST_BYTES) -> np.ndarray:
    """One array of the file, as it is; of a folder, as a memory map. Limits and errors: see `read_all`."""
    if path.is_dir():
        return _in_folder(path, name)
    return read_all(path, (name,), most_bytes=most_bytes)[name]


def read_all(
    path: Path,
    names: Iterable[str] | None = None,
    *,
    most_bytes: int = MOST_BYTES,
    expansion: int = MOST_EXPANSION,
    check: Callable[[dict[str, Form]], None] = lambda forms: None,
) -> dict[str, np.ndarray]:
    """Arrays of an .npz file from anywhere, each looked at by its header before anything is unpacked.

    Args:
        path: the file.
        names: of the arrays; all of the file if None.
        most_bytes: what they may have together.
        expansion: how many times its size in the file an array may have that is larger than 64 MiB.
        check: called with what the arrays claim to be, before any of them is unpacked; it raises for what is not to be
            read.

    Raises:
        DataError: for a file that is damaged or encrypted, holds a name twice, lacks one that is asked for, or has
            arrays of objects or records, larger ones than that, or ones whose size is not the one in their header.
    """

    def inside(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
        members = _members(path, archive)
        wanted = tuple(dict.fromkeys(members if names is None else names))
        claimed, forms = 0, {}
        for name in wanted:
            if name not in members:
                raise DataError(f"{path} must hold an array {name!r}: it does not")
            forms[name] = _claimed(path, archive, members[name], expansion)
            claimed += _size(forms[name])
            if claimed > most_bytes:
                raise DataError(
                    f"{path}: {_plain(name)} claims {claimed:,} bytes in a file of {path.stat().st_size:,}: at most "
                    f"{most_bytes:,} are read"
                )
        check(forms)
        return {name: _expanded(archive, members[name]) for name in wanted}

    return _opened(path, inside)


def forms(path: Path) -> dict[str, Form]:
    """Shape and type of every array of an .npz file, by their headers, which are all that is read; errors: see
    `read_all`."""

    def inside(archive: zipfile.ZipFile) -> dict[str, Form]:
        members = _members(path, archive)
        return {name: _claimed(path, archive, member, MOST_EXPANSION) for name, member in members.items()}

    return _opened(path, inside)


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """What the file holds, by the names of the arrays."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise DataError(f"{path} holds two arrays {_plain(name)!r}, and only one can be meant: save it anew")
        members[name] = member
    return members


def _claimed(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, expansion: int) -> Form:
    """What an array will be, by its header, which is all that is read of it."""
    name = _plain(member.filename.removesuffix(".npy"))
    if member.compress_type not in _PACKINGS:
        raise DataError(f"{path}: {name} is packed in a way that NumPy does not know: save it anew by numpy.savez")
    with archive.open(member) as file:
        form = _header(file)
        follow = member.file_size - file.tell()
    claimed = _size(form)
    if claimed != follow:
        raise DataError(
            f"{path}: {name} claims {claimed:,} bytes in a file of {member.file_size:,}, where {follow:,} follow its "
            f"header: save it anew"
        )
    held = min(member.compress_size, path.stat().st_size)
    if claimed > max(_SMALL, expansion * held):
        raise DataError(
            f"{path}: {name} claims {claimed:,} bytes and has {held:,} in the file, more than {expansion} times less: "
            f"it was not unpacked. If it is yours, save it by numpy.savez, which does not pack"
        )
    return form


def _expanded(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _in_folder(path: Path, name: str) -> np.ndarray:
    file = path / ("class_names.json" if name == "class_names" else f"{name}.npy")
    try:
        if not file.is_file():
            raise ValueError("it is no file")
        if file.suffix == ".npy":
            with open(file, "rb") as opened:
                if _size(_header(opened)) != os.fstat(opened.fileno()).st_size - opened.tell():
                    raise ValueError("its size is not what its header claims")
            return np.lib.format.open_memmap(file, mode="r")
        names = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError) as error:
        raise DataError(f"{file} cannot be read ({error}): export it again") from None
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise DataError(f"{file} must hold a list of strings: export it again")
    return np.array(names)


def _header(file: Any) -> Form:
    """Shape and type of the array that begins here.

    Raises:
        ValueError: for what is no array, or one of something else than numbers or strings.
    """
    version = np.lib.format.read_magic(file)
    of_version = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = of_version(file)
    except MemoryError:  # of Python's parser, for a header that nests too deep
        raise ValueError("its header cannot be parsed") from None
    if dtype.kind not in _KINDS or dtype.subdtype is not None or any(side < 0 for side in shape):
        raise ValueError(f"an array must hold real numbers or strings. Received: {str(dtype)[:60]} {str(shape)[:60]}")
    return shape, dtype


def _size(form: Form) -> int:
    return math.prod(form[0]) * form[1].itemsize


def _plain(name: str) -> str:
    """A name from a file, short and without what could steer a terminal."""
    return visible(name[:60])


def _opened(path: Path, function: Any) -> Any:
    if not path.is_file():
        raise DataError(f"{path} must be an .npz file. Received: {'no file' if path.exists() else 'nothing there'}")
    try:
        with zipfile.ZipFile(path) as archive:
            return function(archive)
    except SuiteError:
        raise
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, NotImplementedError, zlib.error,
            zipfile.BadZipFile, SyntaxError, TypeError, OverflowError) as error:  # fmt: skip
        raise DataError(f"{path} cannot be read as an .npz file of plain arrays ({error})") from None
