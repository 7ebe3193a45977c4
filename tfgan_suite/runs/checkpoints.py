"""Checkpoints: all state of a run as one flat set of named arrays in one `.npz` file.

`tf.train.Checkpoint`, `.keras` and `.weights.h5` each drop something a GAN needs (the second optimizer, variables in
lists, the step), and drop it silently. Here the set of names is explicit, and a file that does not hold exactly that
set is refused. Beside them stands `about`: the format's version and a hash of all the rest.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from data_tools import files, npz
from data_tools.errors import DataError, SuiteError

if TYPE_CHECKING:
    import keras

FORMAT = 2
_ABOUT, _STEP = "about", "training/step"
_MOST_ABOUT = 4000  # bytes


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
    """Write one file of named arrays, with what `read` holds them against, by rename."""
    about = {"format": FORMAT, "sha256": _digest(arrays)}
    files.replace(path, lambda file: _write(file, {**arrays, _ABOUT: np.array(json.dumps(about))}))


def _write(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """What `numpy.savez` writes, but closed at once when the disk is full (before NumPy 2.2 a traceback came later)."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of all names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def newest_first(folder: Path) -> list[Path]:
    """All checkpoints in a folder."""
    return sorted(filter(_is_of_a_step, folder.glob("step-*.npz")), key=step_of, reverse=True)


def _is_of_a_step(path: Path) -> bool:
    return re.fullmatch(r"step-[0-9]{1,18}", path.stem) is not None


def read(path: Path, state: Mapping[str, keras.Variable] | None = None) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint, checked: each by its CRC-32, the whole by its hash, and that all numbers are finite.

    A file of format 1, before there were format and hash, is read without them.

    Args:
        path: named by its step, which must be the one inside; or any other name.
        state: the variables that the arrays are for: a file with others, or with other shapes or types, is refused by
            its headers, before anything in it is expanded.

    Raises:
        SuiteError: for a damaged or foreign file, or one that does not fit.
    """

    def check(forms: dict[str, npz.Form]) -> None:
        about = forms.pop(_ABOUT, None)
        if about is not None and (about[0] or about[1].kind != "U" or about[1].itemsize > _MOST_ABOUT):
            raise SuiteError(f"{path} is damaged (it does not say its format)")
        if state is not None:
            _require_fit(forms, state, path)

    try:
        arrays = npz.read_all(path, check=check)
    except DataError as error:
        raise _damaged(path, error) from None
    _require_own_hash(path, arrays.pop(_ABOUT, None), arrays)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise SuiteError(f"{path} holds numbers that are not finite, in {name}")
    named = step_of(path) if _is_of_a_step(path) else None
    if named is not None and _STEP in arrays and arrays[_STEP] != named:
        raise SuiteError(f"{path} holds the state of step {arrays[_STEP]}, which is not the one in its name")
    return arrays


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every array of a checkpoint, from their headers alone.

    Raises:
        SuiteError: for a damaged or foreign file.
    """
    try:
        found = npz.forms(path)
    except DataError as error:
        raise _damaged(path, error) from None
    return {name: shape for name, (shape, _) in found.items() if name != _ABOUT}


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


def _damaged(path: Path, error: DataError) -> SuiteError:
    reason = str(error).removeprefix(f"{path} ").removeprefix(f"{path}: ")
    return SuiteError(f"{path} is damaged ({reason})")


def _require_own_hash(path: Path, about: np.ndarray | None, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises SuiteError if the file is of a format that is not known here, or its content is not what was written."""
    if about is None:
        return
    try:
        said = json.loads(str(about))
        number, digest = said["format"], said.get("sha256")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SuiteError(f"{path} is damaged (it does not say its format)") from None
    if number != FORMAT:
        raise SuiteError(
            f"{path} is of format {str(number)[:20]}, not of {FORMAT} or earlier: it needs a newer tfgan_suite"
        )
    if digest != _digest(arrays):
        raise SuiteError(f"{path} is damaged (its content has another hash than was written)")


def newest(
    folder: Path, report: Callable[[str], None], state: Mapping[str, keras.Variable] | None = None
) -> tuple[Path, dict[str, np.ndarray]]:
    """The newest checkpoint that can be used; each that is passed over is reported with its reason.

    Args:
        state: see `read`.

    Raises:
        SuiteError: if none can be used, with the reason of the newest: to go on from the beginning would delete all.
    """
    reasons = []
    for path in newest_first(folder):
        try:
            return path, read(path, state)
        except SuiteError as error:
            reasons.append(str(error))
            report(f"{error}: skipped, trying the one before")
    raise SuiteError(f"{folder} holds no checkpoint that can be used" + (f": {reasons[0]}" if reasons else ""))


def arrays_of(state: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Copies of the values of named variables."""
    return {name: np.array(variable.numpy()) for name, variable in state.items()}


def restore(state: Mapping[str, keras.Variable], arrays: Mapping[str, np.ndarray], source: Path) -> None:
    """Assign every array to the variable of its name.

    Raises:
        SuiteError: if a name is missing, left over, or of another shape or type; nothing is assigned then.
    """
    _require_fit({name: (array.shape, array.dtype) for name, array in arrays.items()}, state, source)
    for name, variable in state.items():
        variable.assign(arrays[name])


def _require_fit(forms: Mapping[str, npz.Form], state: Mapping[str, keras.Variable], source: Path) -> None:
    missing, unknown = sorted(state.keys() - forms.keys()), sorted(forms.keys() - state.keys())
    if missing or unknown:
        raise SuiteError(
            f"{source} does not fit this model: {len(missing)} arrays missing {missing[:3]}, "
            f"{len(unknown)} unknown {[name[:80] for name in unknown[:3]]}"
        )
    for name, variable in state.items():
        shape, dtype = tuple(variable.shape), np.dtype(variable.dtype)
        if forms[name] != (shape, dtype):
            raise SuiteError(
                f"{source} does not fit this model: {name} should be {dtype} {shape}. "
                f"Received: {forms[name][1]} {forms[name][0]}"
            )
