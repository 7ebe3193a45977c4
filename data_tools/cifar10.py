"""`cifar10`: the official archives, python and binary version, packed or unpacked (Krizhevsky, 2009)."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

from data_tools.download import download
from data_tools.errors import DataError
from data_tools.images import LabelledImages, resize

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_PYTHON = ("cifar-10-batches-py", "cifar-10-python.tar.gz", "")
_BINARY = ("cifar-10-batches-bin", "cifar-10-binary.tar.gz", ".bin")
_BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
_MAX_BATCH_BYTES = 64 << 20  # twice an official batch; anything larger is not one
_RECORD = 1 + 3072  # binary version: label, then red, green and blue planes


def load(split: str, *, image_size: int = 32, data_dir: Path | None = None) -> LabelledImages:
    """Read one split: 50,000 training or 10,000 test images in the order of the archive.

    Args:
        split: `"train"` or `"test"`.
        image_size: pixels per side; 32 leaves the images as they are.
        data_dir: an official archive, its unpacked folder, or the folder that holds either. Downloads if None.

    Raises:
        DataError: for missing, damaged or hostile files.
    """
    if split not in _BATCHES:
        raise DataError(f"cifar10 has the splits {', '.join(_BATCHES)}. Received: split={split!r}")
    place = Path(data_dir) if data_dir is not None else download(URL, SHA256)
    batches, suffix = _read_batches(place, _BATCHES[split])
    parse = _parse_binary if suffix else _parse_pickle
    parts = [parse(data, f"{place}: {name + suffix}") for name, data in batches.items()]
    planes = np.concatenate([images for images, _ in parts]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([labels for _, labels in parts]).astype(np.int32)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return LabelledImages(resize(images, image_size), labels, CLASS_NAMES)


def _read_batches(place: Path, names: list[str]) -> tuple[dict[str, bytes], str]:
    """The bytes of each batch, and the suffix of their names: "" for the python version, ".bin" for the binary one."""
    if place.is_file():
        return _from_archive(place, names)
    if not place.is_dir():
        raise DataError(f"--data-dir must be CIFAR-10's archive or folder. Received: {place}, which does not exist")
    for folder, archive, suffix in (_PYTHON, _BINARY):
        for candidate in (place / folder, place):
            if (candidate / ("test_batch" + suffix)).is_file():
                return {name: _from_folder(candidate / (name + suffix)) for name in names}, suffix
        if (place / archive).is_file():
            return _from_archive(place / archive, names)
    raise DataError(
        f"{place} holds neither of {_PYTHON[0]}, {_BINARY[0]}, {_PYTHON[1]}, {_BINARY[1]}: "
        f"for class folders of images use --dataset folder"
    )


def _from_folder(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return _limited(file.read(_MAX_BATCH_BYTES + 1), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): unpack the archive again") from None


def _from_archive(path: Path, names: list[str]) -> tuple[dict[str, bytes], str]:
    """Reads regular members by name and never unpacks them, so no path or link in the archive can lead anywhere."""
    found: dict[str, bytes] = {}
    wanted = {name + suffix for name in names for suffix in ("", ".bin")}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                file = archive.extractfile(member) if member.isreg() and name in wanted else None
                if file is not None:
                    found[name] = _limited(file.read(_MAX_BATCH_BYTES + 1), f"{path}: {name}")
            while archive.fileobj.read(1 << 20):  # type: ignore[union-attr]
                pass  # to the end of the compressed stream, where its checksum stands
    except DataError:
        raise
    except Exception as error:  # tarfile and the decompressors raise nearly anything on damage
        raise DataError(f"{path} is damaged or no archive: download it again ({type(error).__name__})") from None
    suffix = ".bin" if names[0] + ".bin" in found else ""
    for name in names:
        if name + suffix not in found:
            raise DataError(f"{path} has no member {name + suffix}: it is not CIFAR-10's archive, or it is damaged")
    return {name: found[name + suffix] for name in names}, suffix


def _limited(data: bytes, where: str) -> bytes:
    if len(data) > _MAX_BATCH_BYTES:
        raise DataError(f"{where} is larger than {_MAX_BATCH_BYTES:,} bytes: it is not a CIFAR-10 batch")
    return data


def _parse_binary(data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    if not data or len(data) % _RECORD:
        raise DataError(f"{where} must be a multiple of {_RECORD} bytes. Received: {len(data)} bytes")
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, _RECORD)
    return records[:, 1:], _checked_labels(records[:, 0], where)


def _parse_pickle(data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise DataError(f"{where} cannot be read safely: download it again ({error})") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"{where} is damaged: download it again ({type(error).__name__}: {error})") from None
    if not isinstance(batch, dict) or not {b"data", b"labels"} <= batch.keys():
        raise DataError(f"{where} must be a dictionary with b'data' and b'labels', as in CIFAR-10's archive")
    images, labels = batch[b"data"], batch[b"labels"]
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label <= 9 for label in labels):
        raise DataError(f"{where}: labels must be a list of integers from 0 to 9")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != (len(labels), 3072):
        raise DataError(
            f"{where}: data must be uint8 [{len(labels)}, 3072]. "
            f"Received: {getattr(images, 'dtype', type(images).__name__)} {getattr(images, 'shape', '')}"
        )
    return images, _checked_labels(np.array(labels), where)


def _checked_labels(labels: np.ndarray, where: str) -> np.ndarray:
    if labels.ndim != 1 or len(labels) == 0 or labels.min() < 0 or labels.max() >= len(CLASS_NAMES):
        raise DataError(f"{where}: labels must be integers from 0 to 9, one per image")
    return labels


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
