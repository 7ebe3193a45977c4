"""The networks that score images: TF-GAN's Inception, the built-in classifiers, a SavedModel, a Keras model.

    network = scoring_network.load("shapes")
    outputs = network(images)  # uint8 [B, H, W, 3] -> {"logits": [B, classes], "pool_3": [B, d]}

Whatever the network, images are resized and scaled inside its graph by a rule that is recorded in the score.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_tools.errors import SuiteError, UsageError
from data_tools.images import distinct
from tfgan_suite.networks import inception as tfgan_inception
from tfgan_suite.networks import keras_files, saved_models, small_classifiers
from tfgan_suite.networks.input_rules import DTYPES, RESIZES, VALUE_RULES

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

INCEPTION = "inception"
_TRIAL_SIZE = 299  # of a network that takes any size
# How far an image's outputs may move with what else is in the batch: of the difference between two images, for sums in
# another order, which float32 rounds otherwise, of the outputs themselves.
_ALONE, _ROUNDING = 1e-3, 1e-5


@dataclasses.dataclass(frozen=True)
class ScoringNetwork:
    """A network with all that a score has to say about it.

    Attributes:
        name: "tfgan-inception", a built-in classifier's name, or the stem of the file.
        is_inception: whether it came in the place of TF-GAN's module, so that its scores are called
            `inception_score`, `fid` and `kid`. A copy that the user gives cannot be told from the genuine module by
            its form: the fingerprint says which one it was.
        fingerprint: SHA-256 of the weights and the graph, hexadecimal.
        image_size: pixels per side that the network takes; None if it takes any.
        resize: rule that brings images to that size ("tf1 bilinear to 299", "none"); see `resize_of`.
        values: rule that scales the pixels x in 0..255 ("(x - 128) / 128").
        dtype: "float32", or "bfloat16" for convolutions and products in that type; outputs are float32 in any case.
        class_names: () if unknown.
        outputs: which of "logits" and "pool_3" it has.
    """

    name: str
    is_inception: bool
    fingerprint: str
    image_size: int | None
    resize: str
    values: str
    dtype: str
    class_names: tuple[str, ...]
    outputs: tuple[str, ...]
    _run: Callable[[tf.Tensor], dict[str, tf.Tensor]] = dataclasses.field(repr=False, compare=False)
    _owner: Any = dataclasses.field(repr=False, compare=False)  # its variables live as long as something holds it

    def __call__(self, images: np.ndarray | tf.Tensor) -> dict[str, tf.Tensor]:
        """Outputs for a batch, a dict of float32 tensors [B, k], one for each of `outputs`.

        Args:
            images: uint8 [B, S, S, 3], array or tensor, any B of 1 or more; another B or S costs no new tracing.

        Raises:
            UsageError: for anything else, images that are not square among them: to stretch them would be to score
                other pictures.
        """
        import tensorflow as tf

        shape: tuple[Any, ...]
        dtype, shape = getattr(images, "dtype", type(images).__name__), tuple(getattr(images, "shape", ()))
        if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise UsageError(
                f"{self.name} scores batches of one or more RGB images, uint8 [B, H, W, 3]. "
                f"Received: {getattr(dtype, 'name', dtype)} {list(shape)}"
            )
        if shape[1] != shape[2]:
            raise UsageError(
                f"{self.name} scores square images, none are stretched: cut them first. "
                f"Received: {shape[1]}x{shape[2]} pixels"
            )
        if self.resize == "none" and self.image_size and shape[1:3] != (self.image_size, self.image_size):
            raise UsageError(
                f"{self.name} takes {self.image_size}x{self.image_size} pixels and resizing is off (--resize none). "
                f"Received: {shape[1]}x{shape[2]}"
            )
        with exact_products(), _bfloat16() if self.dtype == "bfloat16" else contextlib.nullcontext():
            return self._run(tf.convert_to_tensor(images))

    def resize_of(self, height: int, width: int) -> str:
        """What `resize` did to images of this size: "none" if they had the network's size already."""
        return "none" if height == width == self.image_size else self.resize


def load(
    classifier: str, *, resize: str = "auto", inception: Path | None = None, dtype: str = "float32"
) -> ScoringNetwork:
    """The network that `--classifier` names.

    Args:
        classifier: one of
            "inception": TF-GAN's Inception module, downloaded once;
            "shapes": the built-in classifier of that name;
            a `.npz` file written by `tfgan_suite.classifier`;
            a folder with a TensorFlow 2 SavedModel, one of whose signatures, or which itself, takes float32 images
            [B, S, S, 3] in [-1, 1] and gives `logits` and/or `pool_3`;
            a `.keras` file: a Keras model of such images with a dict of these outputs, with the two in this order, or
            with one output, which is taken for logits. See `keras_files` for what it may hold.
        resize: a key of `RESIZES`; "none" takes only images of the network's size; "auto" is "tf1" for Inception,
            "none" for a network that takes any size, and "bilinear" for others.
        inception: folder or archive of TF-GAN's module instead of the downloaded one.
        dtype: "float32" or "bfloat16", which is faster where the processor has it and moves features by some tenths
            of a percent.

    Raises:
        UsageError: for an unknown name or option.
        SuiteError: for a file that is missing, damaged, without the outputs, or with operations that could do harm.
    """
    if resize not in ("auto", "none", *RESIZES):
        raise UsageError(f"--resize must be one of auto, none, {', '.join(RESIZES)}. Received: {resize}")
    if dtype not in DTYPES:
        raise UsageError(f"--dtype must be one of {', '.join(DTYPES)}. Received: {dtype}")
    if inception is not None and classifier != INCEPTION:
        raise UsageError(f"--inception goes with --classifier inception. Received: --classifier {classifier}")
    path = Path(classifier)
    if classifier == INCEPTION:
        model = tfgan_inception.load(inception)
        return _build(
            model.function, name="tfgan-inception", is_inception=True, fingerprint=model.fingerprint,
            image_size=tfgan_inception.IMAGE_SIZE, outputs=saved_models.OUTPUTS, class_names=(),
            values="(x - 128) / 128", resize="tf1" if resize == "auto" else resize, dtype=dtype,
        )  # fmt: skip
    if classifier in small_classifiers.BUILT_IN or path.suffix == ".npz":
        small = small_classifiers.load(classifier)
        return of_keras_model(
            small.network, name=small.name, fingerprint=small.fingerprint, class_names=small.class_names,
            resize=resize, dtype=dtype,
        )  # fmt: skip
    if path.suffix == ".keras" and path.is_file():
        return of_keras_model(keras_files.load(path), name=path.stem, resize=resize, dtype=dtype)
    if path.is_dir():
        model = saved_models.load(path)
        return _build(
            model.function, name=model.name or path.resolve().name, fingerprint=model.fingerprint,
            image_size=model.image_size, outputs=model.outputs, class_names=model.class_names, resize=resize,
            dtype=dtype,
        )  # fmt: skip
    raise UsageError(
        f"--classifier must be {INCEPTION}, {', '.join(small_classifiers.BUILT_IN)}, a .npz file of "
        f"tfgan_suite.classifier, a .keras file or the folder of a SavedModel, which must exist. Received: {classifier}"
    )


def of_keras_model(
    network: keras.Model, *, name: str, fingerprint: str | None = None, class_names: tuple[str, ...] = (),
    resize: str = "auto", dtype: str = "float32",
) -> ScoringNetwork:  # fmt: skip
    """A Keras model in memory as a scoring network; arguments and what the model must be: see `load`.

    Without `fingerprint` it is the SHA-256 of configuration and weights.
    """
    shape = getattr(network, "input_shape", None)  # a subclassed model has none
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2] or shape[0]:
        raise SuiteError(f"{name} must take one batch of square RGB images, [None, S, S, 3]. Received: {shape}")
    if fingerprint is None:
        digest = hashlib.sha256(json.dumps(network.get_config(), sort_keys=True, default=str).encode())
        for weight in network.get_weights():
            digest.update(np.ascontiguousarray(weight).tobytes())
        fingerprint = digest.hexdigest()

    def function(images: Any) -> dict[str, Any]:
        outputs = network(images, training=False)
        if isinstance(outputs, dict):
            return outputs
        return dict(
            zip(saved_models.OUTPUTS, outputs if isinstance(outputs, (list, tuple)) else [outputs], strict=False)
        )

    given = (
        network.output
        if isinstance(network.output, dict)
        else dict(zip(saved_models.OUTPUTS, network.outputs, strict=False))
    )
    outputs = tuple(output for output in saved_models.OUTPUTS if output in given)
    if not outputs or (not isinstance(network.output, dict) and len(network.outputs) > len(saved_models.OUTPUTS)):
        found = ", ".join(network.output) if isinstance(network.output, dict) else f"{len(network.outputs)} outputs"
        raise SuiteError(f"{name} must have the outputs logits and/or pool_3. Received: {found}")
    return _build(
        function, name=name, fingerprint=fingerprint, image_size=shape[1], outputs=outputs, class_names=class_names,
        resize=resize, dtype=dtype,
    )  # fmt: skip


def _build(
    function: Callable[[Any], dict[str, Any]], *, name: str, fingerprint: str, image_size: int | None,
    outputs: tuple[str, ...], class_names: tuple[str, ...], resize: str, dtype: str, values: str = "x / 127.5 - 1",
    is_inception: bool = False,
) -> ScoringNetwork:  # fmt: skip
    """Put resizing and scaling in front of `function`, and try the whole on two images."""
    import tensorflow as tf

    if resize == "auto":
        resize = "bilinear" if image_size else "none"
    if resize in RESIZES and image_size is None:
        raise UsageError(f"{name} takes images of any size: only --resize none goes with it. Received: {resize}")
    class_names = distinct(class_names, name)
    shift, scale = VALUE_RULES[values]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)], autograph=False)
    def run(images: Any) -> dict[str, Any]:
        x = tf.cast(images, tf.float32)
        if resize in RESIZES and image_size:
            x = RESIZES[resize][0](x, image_size)
        x = tf.ensure_shape((x - shift) / scale, [None, image_size, image_size, 3])
        found = function(x)
        return {output: _rows(tf.cast(found[output], tf.float32)) for output in outputs}

    rule = f"{RESIZES[resize][1]} to {image_size}" if resize in RESIZES else "none"
    network = ScoringNetwork(
        name,
        is_inception,
        fingerprint,
        image_size,
        rule,
        values,
        dtype,
        class_names,
        outputs,
        _run=run.get_concrete_function(),
        _owner=function,
    )
    _try(network)
    return network


def _rows(values: tf.Tensor) -> tf.Tensor:
    """[B, k] as it is; [B, 1, 1, k], a pooled map that was not flattened, as [B, k], be it known only when it runs."""
    import tensorflow as tf

    if values.shape.rank == 2:
        return values
    shape = tf.shape(values)
    return tf.reshape(values, [shape[0], shape[-1]])  # fails where there is more than one value to a channel


def _try(network: ScoringNetwork) -> None:
    """Raises unless two images give two rows of finite numbers, the first the same one as it gives alone, and bfloat16,
    if asked for, makes a difference."""
    import tensorflow as tf

    side = network.image_size or _TRIAL_SIZE
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    images[1] //= 4  # another mean and contrast, as another image has
    try:
        found = network(images)
    except (tf.errors.OpError, ValueError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise SuiteError(f"{network.name} cannot be run on two images of {side}x{side} pixels: {reason}") from None
    for output, values in found.items():
        if values.shape.rank != 2 or len(values) != 2 or not np.isfinite(values).all():
            raise SuiteError(
                f"{network.name} must give finite numbers [2, k] as {output!r} for two images. "
                f"Received: {list(values.shape)}"
            )
    known = len(network.class_names)
    if known and "logits" in found and found["logits"].shape[1] != known:
        raise SuiteError(f"{network.name} names {known} classes, but has {found['logits'].shape[1]} logits")
    plain = found if network.dtype == "float32" else dataclasses.replace(network, dtype="float32")(images)
    _try_alone(network.name, plain, dataclasses.replace(network, dtype="float32")(images[:1]))
    if network.dtype == "bfloat16" and all(np.array_equal(plain[output], found[output]) for output in found):
        raise SuiteError(f"{network.name} cannot be run in bfloat16 on this processor: use --dtype float32")


def _try_alone(name: str, pair: dict[str, tf.Tensor], alone: dict[str, tf.Tensor]) -> None:
    """Raises if the first of a pair of images has other outputs than the same image alone."""
    for output, values in pair.items():
        (first, second), (single,) = np.asarray(values, np.float64), np.asarray(alone[output], np.float64)
        allowed = _ALONE * np.abs(first - second).max() + _ROUNDING * np.abs(values).max()
        if not (moved := np.abs(first - single).max()) <= allowed:
            raise SuiteError(
                f"{name} gives an image other {output} alone than beside another image (by {moved:.3g}, where "
                f"rounding allows {allowed:.3g}): it was saved as it trains, with batch statistics or noise; save it "
                f"with training=False"
            )


@contextlib.contextmanager
def exact_products() -> Iterator[str]:
    """Inside, GPUs do not round the factors of float32 products to TF32's 10 bits; gives "off", what a score records.

    Training in the same process may want it: afterwards it is as it was.
    """
    import tensorflow as tf

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield "on" if tf.config.experimental.tensor_float_32_execution_enabled() else "off"
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


@contextlib.contextmanager
def _bfloat16() -> Iterator[None]:
    """Functions that are called inside run their convolutions and products in bfloat16."""
    import tensorflow as tf

    option = "auto_mixed_precision_onednn_bfloat16"
    before = tf.config.optimizer.get_experimental_options().get(option, False)
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: before})
