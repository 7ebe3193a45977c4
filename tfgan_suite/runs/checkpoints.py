"""Checkpoints: all state of a run as one flat set of named arrays in one `.npz` file.

`tf.train.Checkpoint`, `.keras` and `.weights.h5` each drop something a GAN needs (the second optimizer, variables in
lists, the step), and drop it silently. Here the set of names is explicit, and a file that does not hold exactly that
set is refused.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from data_tools import files
from data_tools.errors import SuiteError

if TYPE_CHECKING:
    import keras


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step stands."""
    return folder / f"step-{step:08d}.npz"


def step_of(path: Path) -> int:
    """The step in a checkpoint's name."""
    return int(path.stem.removeprefix("step-"))


def save(folder: Path, step: int, arrays: Mapping[str, np.ndarray], keep: int) -> Path:
    """Write the checkpoint of `step` and delete all but the newest `keep`.

    Older ones are deleted only after the new one is whole on the disk.

    Raises:
        SuiteError: if it cannot be written; earlier checkpoints stay as they are.
    """
    path = path_of(folder, step)
    write(path, arrays)
    for old in newest_first(folder)[keep:]:
        old.unlink(missing_ok=True)
    return path


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write one file of named arrays, by rename."""
    files.replace(path, lambda file: _write(file, arrays))


def _write(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """What `numpy.savez` writes, but closed at once when the disk is full (before NumPy 2.2 a traceback came later)."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def newest_first(folder: Path) -> list[Path]:
    """All checkpoints in a folder."""
    paths = (path for path in folder.glob("step-*.npz") if path.stem.removeprefix("step-").isdigit())
    return sorted(paths, key=step_of, reverse=True)


def read(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint, each checked against its CRC-32.

    Raises:
        SuiteError: for a damaged or foreign file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as error:  # zip, NumPy and the operating system each raise their own on damage
        raise SuiteError(f"{path} is damaged ({type(error).__name__}: {error})") from None


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every array of a checkpoint, from their headers alone.

    Raises:
        SuiteError: for a damaged or foreign file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): _shape(archive, name) for name in archive.namelist()}
    except Exception as error:  # zip, NumPy and the operating system each raise their own on damage
        raise SuiteError(f"{path} is damaged ({type(error).__name__}: {error})") from None


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as member:
        np.lib.format.read_magic(member)
        return np.lib.format.read_array_header_1_0(member)[0]


def num_parameters(path: Path) -> dict[str, int]:
    """Trainable parameters of `"generator"` and `"discriminator"` in a checkpoint: the values that their optimizers
    keep a second moment of. A network whose optimizer keeps none is left out.

    Raises:
        SuiteError: for a damaged or foreign file.
    """
    stored = shapes(path)
    found = {
        network: [
            shape
            for name, shape in stored.items()
            if name.startswith(f"{network}_optimizer/") and name.endswith("_velocity")
        ]
        for network in ("generator", "discriminator")
    }
    return {network: sum(math.prod(shape) for shape in moments) for network, moments in found.items() if moments}


def newest(folder: Path, report: Callable[[str], None]) -> tuple[Path, dict[str, np.ndarray]] | None:
    """The newest readable checkpoint, or None; each damaged one is reported and skipped."""
    for path in newest_first(folder):
        try:
            return path, read(path)
        except SuiteError as error:
            report(f"{error}: skipped, trying the one before")
    return None


def arrays_of(state: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Copies of the values of named variables."""
    return {name: np.array(variable.numpy()) for name, variable in state.items()}


def restore(state: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray], source: Path) -> None:
    """Assign every array to the variable of its name.

    Raises:
        SuiteError: if a name is missing, left over, or of another shape or type; nothing is assigned then.
    """
    missing, unknown = sorted(state.keys() - arrays.keys()), sorted(arrays.keys() - state.keys())
    if missing or unknown:
        raise SuiteError(
            f"{source} does not fit this model: {len(missing)} arrays missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}"
        )
    for name, variable in state.items():
        expected = (tuple(variable.shape), np.dtype(variable.dtype))
        if (arrays[name].shape, arrays[name].dtype) != expected:
            raise SuiteError(
                f"{source} does not fit this model: {name} should be {expected[1]} {expected[0]}. "
                f"Received: {arrays[name].dtype} {arrays[name].shape}"
            )
    for name, variable in state.items():
        variable.assign(arrays[name])
