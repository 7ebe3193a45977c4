"""The small classifiers that score generated images without a download: train, save, export and load them.

`python -m tfgan_suite.classifier` is the command; it made the classifier of `shapes` that ships with the package.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_tools import files, npz
from data_tools.batches import from_uint8_in_graph
from data_tools.errors import DataError, SuiteError, UsageError
from tfgan_suite.networks import saved_models

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from data_tools.images import LabelledImages

BUILT_IN = {"shapes": Path(__file__).parent / "classifiers" / "shapes.npz"}
NETWORKS = ("small", "residual")  # the names in `models_zoo.classifier.CLASSIFIERS`, known without TensorFlow
_BATCH = 250
_TRAINING_BATCH = 128
SMALLEST_IMAGE = 8  # three poolings halve it to one
LARGEST_IMAGE = 1024  # a file that names more would only fill the memory
_MOST_BYTES = 1 << 30  # of a classifier's weights; those of the largest have a tenth


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained classifier with its name, image size, class names, and the SHA-256 of its weights."""

    network: keras.Model
    name: str
    image_size: int
    class_names: tuple[str, ...]
    fingerprint: str


def load(name: str) -> Classifier:
    """A built-in classifier by name, or one from a file that this command wrote.

    Raises:
        SuiteError: for a missing, damaged or foreign file.
    """
    import numpy as np

    from models_zoo.classifier import CLASSIFIERS

    path = BUILT_IN.get(name, Path(name))
    if not path.is_file():
        raise UsageError(f"--classifier must be one of {', '.join(BUILT_IN)}, 'none' or a file. Received: {name}")
    try:
        stored = npz.read_all(path, most_bytes=_MOST_BYTES)
        about = json.loads(str(stored["about"]))
        weights = [stored[f"weight_{i}"] for i in range(len(stored) - 1)]
        if not 1 <= about["image_size"] <= LARGEST_IMAGE:
            raise ValueError(f"image size {about['image_size']}")
        if not 0 < len(about["class_names"]) <= npz.MOST_CLASSES:
            raise ValueError(f"{len(about['class_names'])} classes")
        build = CLASSIFIERS[about.get("network", "small")]  # files made before there was a choice do not say
        network = build(about["image_size"], 3, len(about["class_names"]))
        network.set_weights(weights)
    except (DataError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SuiteError(f"{path} is no classifier made by tfgan_suite.classifier ({error})") from None
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(weight).tobytes() for weight in weights)).hexdigest()
    return Classifier(network, about["name"], about["image_size"], tuple(about["class_names"]), digest)


def train(
    train_data: LabelledImages,
    test_data: LabelledImages,
    *,
    kind: str = "small",
    augment: bool = False,
    weight_decay: float = 0.0,
    epochs: int,
    seed: int,
    report: Callable[[str], None],
) -> tuple[keras.Model, float]:
    """Train on uint8 images with Adam, the rate falling from 2e-3 along a cosine to zero.

    Args:
        train_data: what it learns.
        test_data: what its accuracy is measured on, once, at the end.
        kind: one of `NETWORKS`.
        augment: show half of the images mirrored, and all shifted by up to an eighth of their size.
        weight_decay: decoupled (Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019), of kernels only.
        epochs: passes over `train_data`.
        seed: of weights, order and augmentation.
        report: told after each epoch.

    Returns:
        The network and its accuracy in [0, 1] on the test images.
    """
    import keras

    from models_zoo.classifier import CLASSIFIERS

    keras.utils.set_random_seed(seed)
    network = CLASSIFIERS[kind](train_data.images.shape[1], 3, len(train_data.class_names))
    head = keras.Model(network.input, network.output["logits"])
    steps = -(-len(train_data) // _TRAINING_BATCH) * epochs
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(2e-3, steps), weight_decay=weight_decay or None
    )
    if weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    head.compile(
        optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )

    fit_set = _pairs(train_data).shuffle(len(train_data), seed=seed).batch(_TRAINING_BATCH).map(_scaled).prefetch(2)
    for epoch in range(epochs):
        shown = _augmented_epoch(train_data, seed, epoch) if augment else fit_set
        history = head.fit(shown, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0).history
        report(f"epoch {epoch + 1} of {epochs}: training accuracy {history['accuracy'][0]:.4f}")
    return network, float(head.evaluate(_pairs(test_data).batch(_BATCH).map(_scaled), verbose=0)[1])


def _pairs(data: LabelledImages) -> tf.data.Dataset:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((data.images, data.labels))


def _scaled(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return from_uint8_in_graph(images), labels


def _augmented_epoch(data: LabelledImages, seed: int, epoch: int) -> tf.data.Dataset:
    """The images of an epoch in its order, each shifted and perhaps mirrored: functions of the seed and the step."""
    import tensorflow as tf

    shuffled = _pairs(data).shuffle(len(data), seed=seed + epoch, reshuffle_each_iteration=False)
    first = epoch * -(-len(data) // _TRAINING_BATCH)

    def changed(step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return _scaled(augmented(batch[0], tf.stack([seed, tf.cast(step, tf.int32)])), batch[1])

    return shuffled.batch(_TRAINING_BATCH).enumerate(first).map(changed).prefetch(2)


def augmented(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Images uint8 [B, S, S, C], each mirrored with probability 1/2 and shifted by up to S / 8 pixels both ways.

    What comes in at an edge is the mirror image of what is there. `key`, int32 [2], decides both.
    """
    import tensorflow as tf

    count, size = tf.shape(images)[0], images.shape[1]
    most = size // 8
    mirrored = tf.random.stateless_uniform([count], key, alg="philox") < 0.5
    images = tf.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    padded = tf.pad(images, [[0, 0], [most, most], [most, most], [0, 0]], mode="REFLECT")
    key = tf.random.experimental.stateless_fold_in(key, 1, alg="philox")
    offsets = tf.random.stateless_uniform([2, count], key, 0, 2 * most + 1, tf.int32, alg="philox")
    rows = offsets[0][:, None] + tf.range(size)
    columns = offsets[1][:, None] + tf.range(size)
    return tf.gather(tf.gather(padded, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def save(path: Path, network: keras.Model, *, name: str, data: LabelledImages, about: dict[str, Any]) -> None:
    """Write weights and origin; `load` reads it back."""
    import numpy as np

    about = {"name": name, "image_size": data.images.shape[1], "class_names": list(data.class_names), **about}
    arrays = {f"weight_{i}": weight for i, weight in enumerate(network.get_weights())}
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, lambda file: np.savez(file, about=np.array(json.dumps(about)), **arrays))


def export(folder: Path, network: keras.Model, *, name: str, data: LabelledImages, about: dict[str, Any]) -> None:
    """Write a SavedModel that `scoring_network.load` takes, reload it and compare before it is put in its place.

    Its signature `serving_default` takes `images`, float32 [N, S, S, 3] in [-1, 1], and gives `logits` [N, classes] and
    `pool_3` [N, d]; its asset `classifier.json` holds what the `.npz` file has beside the weights.

    Raises:
        SuiteError: if it cannot be written, or the reloaded model gives other values.
    """
    import numpy as np
    import tensorflow as tf

    size = data.images.shape[1]
    images = np.stack([data.images[0], data.images[-1]]) / np.float32(127.5) - 1

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32, name="images")])
    def serve(images):
        return network(images, training=False)

    with files.writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
        try:
            (work / saved_models.ABOUT).write_text(
                json.dumps({"name": name, "image_size": size, "class_names": list(data.class_names), **about}, indent=2)
            )
            module = tf.Module()
            module.variables_of_network = [variable.value for variable in network.variables]
            module.assets = [tf.saved_model.Asset(str(work / saved_models.ABOUT))]
            tf.saved_model.save(module, str(work / "model"), signatures={"serving_default": serve})
            reloaded = saved_models.load(work / "model").function(tf.constant(images))
            for output, values in serve(images).items():
                if not np.array_equal(values, reloaded[output]):
                    raise SuiteError(f"the reloaded model differs in {output!r}: nothing was exported")
            os.replace(work / "model", folder)
        except tf.errors.OpError as error:
            raise OSError(error.message) from None
        finally:
            shutil.rmtree(work, ignore_errors=True)
