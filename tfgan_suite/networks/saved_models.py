"""SavedModels from elsewhere: what one may contain, its fingerprint, and how a function that scores images is found.

A SavedModel is a program. Its graph can read and write files and call Python, its resources run while it is loaded, and
a loop in it may never end. `opened` looks at every operation first, takes only those that `numeric_operations` lists,
and gives TensorFlow a copy of the graph without what loading does not need; time and memory it bounds only where the
graph alone tells them. Load models of unknown origin in a container all the same.
"""

from __future__ import annotations

import dataclasses
import graphlib
import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from data_tools.errors import SuiteError
from tfgan_suite.networks.numeric_operations import NUMERIC, SAVING

OUTPUTS = ("logits", "pool_3")
ABOUT = "classifier.json"  # asset that tfgan_suite.classifier --export adds: name and class names
_LARGEST_GRAPH = 1 << 30
_MOST_CONSTANTS = 1 << 29  # numbers in all constants of a graph; in the file, one can stand for a whole tensor
_MOST_OPERATIONS = 10_000_000  # of one function when all that it calls is written out
_LARGEST_IMAGE = 4096
_PARTS = ("variables", "assets")  # what belongs to a model beside its graph


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
    loaded = opened(folder)
    digest = fingerprint(folder)
    function, outputs, image_size = _find(loaded, folder)
    name, class_names = _about(folder)
    return ImageModel(function, outputs, image_size, digest, name, class_names)


def opened(folder: Path) -> Any:
    """What `tf.saved_model.load` makes of a TensorFlow 2 SavedModel, once every operation in it was looked at.

    TensorFlow gets a copy of the graph without the functions that save and restore, so that nothing can call them.

    Raises:
        SuiteError: if it is none, is damaged, or holds an operation that `numeric_operations` does not list.
    """
    import tensorflow as tf

    model = _checked(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="tfgan-suite-") as copy:
            (Path(copy) / "saved_model.pb").write_bytes(model.SerializeToString())
            for part in _PARTS:
                if (folder / part).is_dir():
                    (Path(copy) / part).symlink_to((folder / part).resolve())
            return tf.saved_model.load(copy)
    except Exception as error:  # TensorFlow raises whatever it meets
        reason = str(error).strip().partition("\n")[0][:200]
        raise SuiteError(f"{folder} cannot be loaded as a SavedModel: {reason}") from None


def fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of the files that make up the model: graph, variables and assets."""
    parts = [folder / "saved_model.pb"]
    for part in _PARTS:
        parts += [path for path in (folder / part).rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted(parts, key=lambda path: path.relative_to(folder).as_posix()):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def _checked(folder: Path) -> Any:
    """The parsed SavedModel, without what saves and restores; nothing of it has run.

    Raises:
        SuiteError: as `opened`.
    """
    model = _parse(folder)
    odd = [path for part in _PARTS for path in (folder / part).rglob("*") if not (path.is_file() or path.is_dir())]
    if odd:
        raise SuiteError(f"{folder} is no SavedModel: {odd[0]} is no file")
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise SuiteError(f"{folder} is no TensorFlow 2 SavedModel (one graph, with objects): export it anew")
    meta_graph = model.meta_graphs[0]
    graph = meta_graph.graph_def
    functions = {function.signature.name: function for function in graph.library.function}
    _require_plain_functions(folder, graph.library, functions)
    operations = {name: {node.op for node in function.node_def} for name, function in functions.items()}
    bad = {node.op for node in graph.node}.union(*operations.values()) - NUMERIC.keys() - SAVING - functions.keys()
    bad |= {_odd(node) for node in meta_graph.object_graph_def.nodes} - {""}
    _keep(graph.library.function, lambda function: not SAVING & operations[function.signature.name])
    _keep(graph.node, lambda node: node.op == "Const")  # of the graph around the functions, loading takes no more
    for name in _named(meta_graph) & functions.keys():
        bad |= SAVING & operations[name]
    if bad:
        raise _harmful(folder, sorted(bad))
    _require_bounds(folder, graph)
    return model


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


def _keep(items: Any, wanted: Callable[[Any], bool]) -> None:
    for index in reversed(range(len(items))):
        if not wanted(items[index]):
            del items[index]


def _odd(node: Any) -> str:
    """What an object is whose making runs something, such as a table that is filled; "" for all others."""
    if node.registered_name not in ("", "tf.TrackableConstant"):
        return f"object {node.registered_name}"
    return "object with a resource" if node.HasField("resource") else ""


def _require_plain_functions(folder: Path, library: Any, functions: dict[str, Any]) -> None:
    """Raises if a name could mean two things: TensorFlow looks for a function before it looks for an operation."""
    from tensorflow.python.framework import op_def_registry

    doubtful = [name for name in functions if name in NUMERIC or op_def_registry.get(name) is not None]
    if doubtful or len(functions) < len(library.function):
        which = (
            f"the function {doubtful[0]!r} is called like an operation" if doubtful else "two functions share a name"
        )
        raise SuiteError(f"{folder} is no SavedModel that TensorFlow wrote: {which}. It was not loaded")


def _require_bounds(folder: Path, graph: Any) -> None:
    """Raises for what would fill the memory before anything runs: functions that multiply, constants of one value."""
    calls = {
        function.signature.name: [name for node in function.node_def for name in _called(node)]
        for function in graph.library.function
    }
    size: dict[str, int] = {}
    try:
        for name in graphlib.TopologicalSorter(calls).static_order():
            size[name] = 1 + sum(size[called] for called in calls.get(name, ()))
    except graphlib.CycleError:
        raise SuiteError(f"{folder} holds functions that call themselves, and was not loaded") from None
    if max(size.values(), default=0) > _MOST_OPERATIONS:
        raise SuiteError(f"{folder} holds functions of more than {_MOST_OPERATIONS:,} operations, and was not loaded")
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    shapes = [node.attr["value"].tensor.tensor_shape.dim for node in nodes if node.op == "Const"]
    constants = sum(math.prod(max(0, dimension.size) for dimension in shape) for shape in shapes)
    if constants > _MOST_CONSTANTS:
        raise SuiteError(f"{folder} holds constants of {constants:,} numbers, and was not loaded")


def _named(meta_graph: Any) -> set[str]:
    """Names of all functions that the objects and the functions of a graph call, hold or pass on."""
    objects = meta_graph.object_graph_def
    names = set(objects.concrete_functions)
    for node in objects.nodes:
        names.update(node.function.concrete_functions)
        names.add(node.bare_concrete_function.concrete_function_name)
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            names.update(_called(node))
        for value in function.attr.values():
            names.update(_functions_of(value))
            names.add(value.s.decode(errors="replace"))  # names of the functions of a gradient
    for gradient in meta_graph.graph_def.library.gradient:
        names |= {gradient.function_name, gradient.gradient_func}
    for gradient in meta_graph.graph_def.library.registered_gradients:
        names.add(gradient.gradient_func)
    return names


def _called(node: Any) -> Iterator[str]:
    """What a node does, and the names of the functions that it is given, one inside another, too."""
    yield node.op
    for value in node.attr.values():
        yield from _functions_of(value)


def _functions_of(value: Any) -> Iterator[str]:
    for function in (value.func, *value.list.func):
        if function.name:
            yield function.name
        for inner in function.attr.values():
            yield from _functions_of(inner)


def _harmful(folder: Path, operations: list[str]) -> SuiteError:
    return SuiteError(
        f"{folder} holds operations that no image network needs and that may reach files, Python or other machines, "
        f"and was not loaded: {', '.join(repr(name)[1:41] for name in operations[:8])}"
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
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise SuiteError(f"{path} is damaged ({error!r})") from None
