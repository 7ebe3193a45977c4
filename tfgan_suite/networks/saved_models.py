"""SavedModels that score images: what one may contain, its fingerprint, and how its function is found.

A SavedModel is a program. Its graph can read and write files and call Python, its resources run while it is loaded, and
a loop in it may never end. `load` looks at every operation first and refuses those that reach outside of the
computation; time and memory it cannot bound. Load models of unknown origin in a container all the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from data_tools.errors import SuiteError

OUTPUTS = ("logits", "pool_3")
ABOUT = "classifier.json"  # asset that tfgan_suite.classifier --export adds: name and class names
_LARGEST_GRAPH = 1 << 30
_LARGEST_IMAGE = 4096

# Operations with state or effects that an image classifier may need; all others of that kind are refused.
_HARMLESS = {
    "AssignVariableOp", "Assert", "Case", "DisableCopyOnRead", "If", "Multinomial", "NoOp", "Placeholder",
    "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "ReadVariableOp", "StatefulPartitionedCall",
    "TensorArrayV3", "TruncatedNormal", "VarHandleOp", "VarIsInitializedOp", "While",
}  # fmt: skip
# Operations that TensorFlow calls free of effects though they open files, call Python, or send values elsewhere.
_REACHING_OUT = re.compile(
    r"File|PyFunc|Reader|Record|Dataset|Iterator|Snapshot|Save|Restore|Checkpoint|Cache|Debug|Dump|Print|Summary|"
    r"Remote|Rpc|Tpu|TPU|Xla(Custom|Call|Launch)|Callback|Proto|^_"
)
# What every exporter writes into the function that saves a model again, which loading does not run.
_SAVER = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"}


@dataclasses.dataclass(frozen=True)
class ImageModel:
    """A loaded SavedModel.

    `function` takes float32 images [B, S, S, 3] and gives a dict with `outputs`; S is `image_size`, any if None.
    """

    function: Callable[[Any], dict[str, Any]]
    outputs: tuple[str, ...]
    image_size: int | None
    fingerprint: str
    name: str | None
    class_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class _Call:
    """Calls `function` with the images under `key`, or first, and the other arguments that it was traced with."""

    owner: Any  # whose variables would be deleted if nothing held it
    function: Callable[..., Any]
    named: dict[str, Any]
    key: str | None
    rest: tuple[Any, ...] = ()

    def __call__(self, images: Any) -> dict[str, Any]:
        if self.key is not None:
            return self.function(**{self.key: images})
        return self.function(images, *self.rest, **self.named)


def load(folder: Path) -> ImageModel:
    """Load a TensorFlow 2 SavedModel after looking at its operations.

    The first signature that gives `logits` or `pool_3` for one float32 batch of images is used, `serving_default`
    before others; without one, the object itself, if it can be called so, as TF-GAN calls its module.

    Raises:
        SuiteError: if it is none, holds operations that could do harm, or has no such function.
    """
    import tensorflow as tf

    check(folder)
    digest = fingerprint(folder)
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises whatever it meets
        reason = str(error).strip().partition("\n")[0][:200]
        raise SuiteError(f"{folder} cannot be loaded as a SavedModel: {reason}") from None
    function, outputs, image_size = _find(loaded, folder)
    name, class_names = _about(folder)
    return ImageModel(function, outputs, image_size, digest, name, class_names)


def fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of the files that make up the model: graph, variables and assets."""
    parts = [folder / "saved_model.pb"]
    for part in ("variables", "assets"):
        parts += [path for path in (folder / part).rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted(parts, key=lambda path: path.relative_to(folder).as_posix()):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def check(folder: Path) -> None:
    """Look at every operation of a SavedModel without running anything.

    Raises:
        SuiteError: if it is no TensorFlow 2 SavedModel, or holds an operation that is unknown, that reaches files,
            processes or Python, or that keeps a state other than variables.
    """
    model = _parse(folder)
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise SuiteError(f"{folder} is no TensorFlow 2 SavedModel (one graph, with objects): export it anew")
    meta_graph = model.meta_graphs[0]
    functions = {function.signature.name: function.node_def for function in meta_graph.graph_def.library.function}
    savers = {name for name, nodes in functions.items() if any(node.op in _SAVER for node in nodes)}
    called = set(meta_graph.object_graph_def.concrete_functions)
    for nodes in functions.values():
        called |= _called(nodes)
    if savers & called:
        raise _harmful(folder, sorted(_SAVER & {node.op for name in savers & called for node in functions[name]}))
    # a saver, and the graph around the functions, are not run by loading: what saving needs may stand there
    nodes = [node for nodes in (*functions.values(), meta_graph.graph_def.node) for node in nodes]
    bad = {node.op for node in nodes if node.op not in _SAVER and not _is_harmless(node.op, functions)}
    if bad:
        raise _harmful(folder, sorted(bad))


def _parse(folder: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    if not path.is_file() or (folder / "saved_model.cpb").exists():  # TensorFlow would read the .cpb instead
        raise SuiteError(f"{folder} is no SavedModel: expected a folder with saved_model.pb and variables/")
    try:
        if path.stat().st_size > _LARGEST_GRAPH:
            raise DecodeError(f"larger than {_LARGEST_GRAPH} bytes")
        return saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except DecodeError as error:
        raise SuiteError(f"{path} is damaged or no SavedModel ({error})") from None


def _called(nodes: Iterable[Any]) -> set[str]:
    """Names of functions that these nodes call or pass on."""
    names = set()
    for node in nodes:
        names.add(node.op)
        for value in node.attr.values():
            names.update(function.name for function in (value.func, *value.list.func))
    return names


def _is_harmless(operation: str, functions: dict[str, Any]) -> bool:
    from tensorflow.python.framework import op_def_registry

    if operation in _HARMLESS or operation in functions:
        return True
    definition = op_def_registry.get(operation)
    return definition is not None and not definition.is_stateful and not _REACHING_OUT.search(operation)


def _harmful(folder: Path, operations: list[str]) -> SuiteError:
    return SuiteError(
        f"{folder} holds operations that no classifier needs and that may reach files, Python or other machines, and "
        f"was not loaded: {', '.join(operations[:8])}"
    )


def _find(loaded: Any, folder: Path) -> tuple[Callable[[Any], dict[str, Any]], tuple[str, ...], int | None]:
    """The function from images to outputs, the outputs it has, and the image size it takes."""
    seen = []
    signatures = dict(getattr(loaded, "signatures", {}))
    for name in sorted(signatures, key=lambda name: (name != "serving_default", name)):
        signature = signatures[name]
        inputs = signature.structured_input_signature[1]
        outputs = _outputs(signature.structured_outputs)
        seen.append(_described(name, inputs.values(), signature.structured_outputs))
        if len(inputs) == 1 and outputs and _takes_images(*inputs.values()):
            key, spec = next(iter(inputs.items()))
            return _Call(loaded, signature, {}, key), outputs, _side(spec)
    for concrete in loaded.__call__.concrete_functions if callable(loaded) else ():
        (first, *rest), named = concrete.structured_input_signature
        outputs = _outputs(concrete.structured_outputs)
        seen.append(_described("__call__", [first, *rest, *named.values()], concrete.structured_outputs))
        if outputs and _takes_images(first) and not any(value is True for value in (*rest, *named.values())):
            return _Call(loaded, loaded, named, None, tuple(rest)), outputs, _side(first)
    raise SuiteError(
        f"{folder} has no function from a float32 batch of images [None, S, S, 3] to 'logits' and/or 'pool_3'. "
        f"Received: {'; '.join(seen) or 'no function at all'}"
    )


def _outputs(structure: Any) -> tuple[str, ...]:
    return tuple(output for output in OUTPUTS if isinstance(structure, dict) and output in structure)


def _takes_images(spec: Any) -> bool:
    import tensorflow as tf

    if not isinstance(spec, tf.TensorSpec) or spec.dtype != tf.float32 or spec.shape.rank not in (None, 4):
        return False
    batch, height, width, channels = spec.shape if spec.shape.rank else (None, None, None, None)
    return batch is None and height == width and (height or 1) <= _LARGEST_IMAGE and channels in (3, None)


def _side(spec: Any) -> int | None:
    return spec.shape[1] if spec.shape.rank else None


def _described(name: str, inputs: Iterable[Any], outputs: Any) -> str:
    given = ", ".join(
        f"{spec.dtype.name} {spec.shape}" if hasattr(spec, "shape") else repr(spec)[:40] for spec in inputs
    )
    return f"{name}({given}) -> {', '.join(outputs) if isinstance(outputs, dict) else 'unnamed outputs'}"


def _about(folder: Path) -> tuple[str | None, tuple[str, ...]]:
    """Name and class names from the asset that this suite's export adds; (None, ()) without it."""
    path = folder / "assets" / ABOUT
    if not path.is_file():
        return None, ()
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        return str(about["name"]), tuple(str(name) for name in about["class_names"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise SuiteError(f"{path} is damaged ({error!r})") from None
