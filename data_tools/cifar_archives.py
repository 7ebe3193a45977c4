"""The archives of CIFAR-10 and CIFAR-100, python and binary version, packed or unpacked (Krizhevsky, 2009)."""

from __future__ import annotations

import dataclasses
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

from data_tools import splits
from data_tools.download import download
from data_tools.errors import DataError
from data_tools.images import LabelledImages
from data_tools.resized import prepared

MOST_BATCH_BYTES = 512 << 20  # thrice the largest official batch; anything larger is not one
_PIXELS = 3072  # red, green and blue plane of 32 x 32


@dataclasses.dataclass(frozen=True)
class Archive:
    """How one dataset lies in its archives.

    Attributes:
        title: its name in messages.
        batches: names of the batches of each split; with ".bin" in the binary version.
        python, binary: names of the folder and of the archive of each version.
        label_key: name of the labels in a pickled batch.
        label_bytes: bytes before the pixels in a record of the binary version.
        label_byte: which of them is the label.
        class_names: in label order.
    """

    title: str
    batches: dict[str, tuple[str, ...]]
    python: tuple[str, str]
    binary: tuple[str, str]
    label_key: bytes
    label_bytes: int
    label_byte: int
    class_names: tuple[str, ...]


def load(
    kind: Archive, url: str, sha256: str, split: str, *, image_size: int, channels: int, data_dir: Path | None
) -> LabelledImages:
    """Read one split in the order of the archive.

    Args:
        kind: what to read.
        url, sha256: of the python version's archive.
        split: `"train"` or `"test"`.
        image_size, channels: 32 and 3 leave the images as they are.
        data_dir: an official archive, its unpacked folder, or the folder that holds either. Downloads if None.

    Raises:
        DataError: for missing, damaged or hostile files.
    """
    splits.require(kind.title, split, tuple(kind.batches))
    place = Path(data_dir) if data_dir is not None else download(url, sha256)
    batches, suffix = _read_batches(kind, place, kind.batches[split])
    parse = _parse_binary if suffix else _parse_pickle
    parts = [parse(kind, data, f"{place}: {name + suffix}") for name, data in batches.items()]
    planes = np.concatenate([images for images, _ in parts]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([labels for _, labels in parts]).astype(np.int32)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return LabelledImages(prepared(images, image_size, channels), labels, kind.class_names)


def _read_batches(kind: Archive, place: Path, names: tuple[str, ...]) -> tuple[dict[str, bytes], str]:
    """The bytes of each batch, and the suffix of their names: "" for the python version, ".bin" for the binary one."""
    if place.is_file():
        return _from_archive(kind, place, names)
    if not place.is_dir():
        raise DataError(f"--data-dir must be {kind.title}'s archive or folder. Received: {place}, which does not exist")
    for (folder, archive), suffix in ((kind.python, ""), (kind.binary, ".bin")):
        for candidate in (place / folder, place):
            if (candidate / (kind.batches["test"][0] + suffix)).is_file():
                return {name: _from_folder(kind, candidate / (name + suffix)) for name in names}, suffix
        if (place / archive).is_file():
            return _from_archive(kind, place / archive, names)
    raise DataError(
        f"{place} holds neither of {', '.join((kind.python[0], kind.binary[0], kind.python[1], kind.binary[1]))}: "
        f"for class folders of images use --dataset folder"
    )


def _from_folder(kind: Archive, path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return _limited(kind, file.read(MOST_BATCH_BYTES + 1), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): unpack the archive again") from None


def _from_archive(kind: Archive, path: Path, names: tuple[str, ...]) -> tuple[dict[str, bytes], str]:
    """Reads regular members by name and never unpacks them, so no path or link in the archive can lead anywhere."""
    found: dict[str, bytes] = {}
    wanted = {name + suffix for name in names for suffix in ("", ".bin")}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                file = archive.extractfile(member) if member.isreg() and name in wanted else None
                if file is not None:
                    found[name] = _limited(kind, file.read(MOST_BATCH_BYTES + 1), f"{path}: {name}")
            while archive.fileobj.read(1 << 20):  # type: ignore[union-attr]
                pass  # to the end of the compressed stream, where its checksum stands
    except DataError:
        raise
    except Exception as error:  # tarfile and the decompressors raise nearly anything on damage
        raise DataError(f"{path} is damaged or no archive: download it again ({type(error).__name__})") from None
    suffix = ".bin" if names[0] + ".bin" in found else ""
    for name in names:
        if name + suffix not in found:
            raise DataError(f"{path} has no member {name + suffix}: it is not {kind.title}'s archive, or it is damaged")
    return {name: found[name + suffix] for name in names}, suffix


def _limited(kind: Archive, data: bytes, where: str) -> bytes:
    if len(data) > MOST_BATCH_BYTES:
        raise DataError(f"{where} is larger than {MOST_BATCH_BYTES:,} bytes: it is not a batch of {kind.title}")
    return data


def _parse_binary(kind: Archive, data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    record = kind.label_bytes + _PIXELS
    if not data or len(data) % record:
        raise DataError(f"{where} must be a multiple of {record} bytes. Received: {len(data)} bytes")
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    labels = records[:, kind.label_byte]
    if labels.max() >= len(kind.class_names):
        raise DataError(f"{where}: {_label_rule(kind)}")
    return records[:, kind.label_bytes :], labels


def _parse_pickle(kind: Archive, data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise DataError(f"{where} cannot be read safely: download it again ({error})") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"{where} is damaged: download it again ({type(error).__name__}: {error})") from None
    if not isinstance(batch, dict) or not {b"data", kind.label_key} <= batch.keys():
        raise DataError(
            f"{where} must be a dictionary with b'data' and {kind.label_key!r}, as in {kind.title}'s archive"
        )
    images, labels = batch[b"data"], batch[kind.label_key]
    if not isinstance(labels, list) or not all(
        type(label) is int and 0 <= label < len(kind.class_names) for label in labels
    ):
        raise DataError(f"{where}: {_label_rule(kind)}")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != (len(labels), _PIXELS):
        raise DataError(
            f"{where}: data must be uint8 [{len(labels)}, {_PIXELS}]. "
            f"Received: {getattr(images, 'dtype', type(images).__name__)} {getattr(images, 'shape', '')}"
        )
    if not labels:
        raise DataError(f"{where} holds no images: download it again")
    return images, np.array(labels)


def _label_rule(kind: Archive) -> str:
    return f"labels must be a list of integers from 0 to {len(kind.class_names) - 1}, one per image"


class ArrayUnpickler(pickle.Unpickler):
    """Reads plain containers, numbers, strings and NumPy arrays; any other name in a pickle is refused unexecuted."""

    _ALLOWED = {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy._core.numeric", "_frombuffer"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str):
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is neither an array nor a container")
        # NumPy 2 moved its internals; pickles name the old place.
        return super().find_class(module.replace("numpy.core", "numpy._core") if _NUMPY_2 else module, name)


_NUMPY_2 = int(np.__version__.split(".", 1)[0]) >= 2
