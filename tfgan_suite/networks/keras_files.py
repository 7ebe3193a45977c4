"""Keras models from elsewhere: what a `.keras` file may name and hold, looked at before Keras sees it.

A `.keras` file is a zip file with a description of layers and an HDF5 file of weights. The description can name any
class of Keras, of which some run code, open other files or download; the weights can be links into other files, and
both can be far larger than the file. Keras refuses most of that itself, each release some more of it.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_tools.errors import SuiteError

if TYPE_CHECKING:
    import keras

_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}  # no assets: only tables of words have any
_MOST_BYTES = 4 << 30  # of all that is in the file
_MOST_CONFIG = 64 << 20
_SMALL, _EXPANSION = 64 << 20, 100  # what is larger may not have more than so many times its size in the file
_MOST_OBJECTS = 100_000
# Where Keras keeps layers, and what layers are made of.
_MODULES = {
    "keras", "keras.activations", "keras.constraints", "keras.dtype_policies", "keras.initializers", "keras.layers",
    "keras.losses", "keras.metrics", "keras.models", "keras.optimizers", "keras.optimizers.schedules",
    "keras.regularizers",
}  # fmt: skip
_INNER_MODULES = ("keras.src.applications.", "keras.src.models.", "keras.src.ops.", "keras.src.engine.")
# Layers that run code, load other models, or read tables of words from files.
_REACHING_OUT = {
    "FlaxLayer", "HashedCrossing", "Hashing", "IntegerLookup", "JaxLayer", "Lambda", "Pipeline", "StringLookup",
    "TFSMLayer", "TextVectorization", "TorchModuleWrapper",
}  # fmt: skip
_VALUES = {"__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__", "__tuple__"}  # not classes


def load(path: Path) -> keras.Model:
    """The model, not compiled, with Keras' `safe_mode` and after a look at all that the file names and holds.

    Raises:
        SuiteError: for a file that is damaged, too large, or none; for layers that could reach out; for weights that
            are elsewhere.
    """
    import keras

    try:
        _check(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, zipfile and h5py raise whatever they meet
        reason = str(error).strip().partition("\n")[0][:200]
        raise SuiteError(f"{path} is no Keras model that can be loaded safely: {reason}") from None


def _check(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if not set(names) <= _MEMBERS or len(set(names)) < len(names):
            raise ValueError(f"it must hold {', '.join(sorted(_MEMBERS))} and nothing else, each once")
        held = path.stat().st_size
        for member in members:
            most = _MOST_CONFIG if member.filename.endswith(".json") else _MOST_BYTES
            _require_size(member.filename, member.file_size, min(member.compress_size, held), most)
        for kind in _objects(json.loads(archive.read("config.json"))):
            _require_kind(kind)
        _check_weights(archive.read("model.weights.h5"))


def _require_size(name: str, claimed: int, held: int, most: int = _MOST_BYTES) -> None:
    if claimed > most or claimed > max(_SMALL, _EXPANSION * held):
        raise ValueError(f"{name} claims {claimed:,} bytes and has {held:,} in the file")


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every description of an object, however deep; nesting that would end Python raises on parsing."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _require_kind(described: dict[str, Any]) -> None:
    name, module = described["class_name"], described.get("module") or ""
    if not isinstance(name, str) or not isinstance(module, str):
        name, module = str(name), "?"
    is_layer = (module in _MODULES or module.startswith(_INNER_MODULES)) and not name.startswith("__")
    is_function = (module, name) == ("builtins", "function") and isinstance(described.get("config"), str)
    is_value = module in ("", "builtins") and name in _VALUES
    if not (is_layer and name not in _REACHING_OUT) and not is_function and not is_value:
        raise ValueError(f"it names {module[:40]}.{name[:40]}, which is no layer that only computes")


def _check_weights(content: bytes) -> None:
    """Raises for links, arrays that lie elsewhere, and arrays far larger than their place in the file."""
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:
        waiting, seen, total = [file["/"]], 0, 0
        while waiting:
            group = waiting.pop()
            for name in group:
                seen += 1
                if seen > _MOST_OBJECTS:
                    raise ValueError(f"its weights have more than {_MOST_OBJECTS:,} parts, or go round in a circle")
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"its weights hold a link, {name[:40]!r}")
                found = group[name]
                if isinstance(found, h5py.Group):
                    waiting.append(found)
                    continue
                if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
                    raise ValueError(f"its weights lie outside of it, {name[:40]!r}")
                claimed = math.prod(found.shape or ()) * found.dtype.itemsize
                total += claimed
                _require_size(f"the array {name[:40]!r}", claimed, min(found.id.get_storage_size(), len(content)))
                if total > _MOST_BYTES:
                    raise ValueError(f"its arrays claim more than {_MOST_BYTES:,} bytes")
