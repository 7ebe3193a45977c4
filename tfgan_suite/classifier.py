"""Train and load the small classifiers that score generated images without a download.

    python -m tfgan_suite.classifier --dataset shapes --output classifier.npz

trains `models_zoo.classifier` on a labelled dataset and writes its weights, accuracy and origin to one `.npz` file;
`--export DIR` writes it as a SavedModel, too, which needs nothing but TensorFlow. Either goes to `--classifier` of the
commands that score. The classifier of `shapes` that ships with the package was made by that command (about a minute on
two cores).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import data_tools
from tfgan_suite import cli, files, pictures, saved_models
from tfgan_suite.config import Dataset
from tfgan_suite.errors import SuiteError, UsageError

BUILT_IN = {"shapes": Path(__file__).parent / "classifiers" / "shapes.npz"}
_BATCH = 250
_SMALLEST_IMAGE = 8  # three poolings halve it to one
_LARGEST_IMAGE = 1024  # a file that names more would only fill the memory


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained classifier with its name, image size, class names, and the SHA-256 of its weights."""

    network: Any
    name: str
    image_size: int
    class_names: tuple[str, ...]
    fingerprint: str

    def __call__(self, images):
        """Logits [N, classes] and features [N, d], float32 arrays, of images uint8 [N, H, W, 1 or 3].

        Images of another size are resized (bilinear, antialiased); grey ones are repeated to three channels.
        """
        import numpy as np

        parts = [self._run(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
        return tuple(np.concatenate([part[i].numpy() for part in parts]) for i in range(2))

    @functools.cached_property
    def _run(self):
        import tensorflow as tf

        @tf.function(reduce_retracing=True)
        def run(batch):
            x = pictures.from_uint8_in_graph(batch)
            if batch.shape[-1] == 1:
                x = tf.repeat(x, 3, axis=-1)
            if batch.shape[1] != self.image_size:
                x = tf.image.resize(x, (self.image_size, self.image_size), antialias=True)
            outputs = self.network(x, training=False)
            return outputs["logits"], outputs["pool_3"]

        return run


def load(name: str) -> Classifier:
    """A built-in classifier by name, or one from a file that this command wrote.

    Raises:
        SuiteError: for a missing, damaged or foreign file.
    """
    import numpy as np

    from models_zoo.classifier import classifier

    path = BUILT_IN.get(name, Path(name))
    if not path.is_file():
        raise UsageError(f"--classifier must be one of {', '.join(BUILT_IN)}, 'none' or a file. Received: {name}")
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            weights = [stored[f"weight_{i}"] for i in range(len(stored.files) - 1)]
        if not 1 <= about["image_size"] <= _LARGEST_IMAGE:
            raise ValueError(f"image size {about['image_size']}")
        network = classifier(about["image_size"], 3, len(about["class_names"]))
        network.set_weights(weights)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise SuiteError(f"{path} is no classifier made by tfgan_suite.classifier ({error})") from None
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(weight).tobytes() for weight in weights)).hexdigest()
    return Classifier(network, about["name"], about["image_size"], tuple(about["class_names"]), digest)


def train(train_data, test_data, *, epochs: int, seed: int, report) -> tuple[Any, float]:
    """Train on uint8 images; returns the network and its accuracy in [0, 1] on the test images."""
    import keras
    import tensorflow as tf

    from models_zoo.classifier import classifier

    keras.utils.set_random_seed(seed)
    network = classifier(train_data.images.shape[1], 3, len(train_data.class_names))
    head = keras.Model(network.input, network.output["logits"])
    steps = -(-len(train_data) // 128) * epochs
    head.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )

    def scaled(images, labels):
        return pictures.from_uint8_in_graph(images), labels

    def pipeline(data):
        return tf.data.Dataset.from_tensor_slices((data.images, data.labels))

    fit_set = pipeline(train_data).shuffle(len(train_data), seed=seed).batch(128).map(scaled).prefetch(2)
    test_set = pipeline(test_data).batch(_BATCH).map(scaled)
    for epoch in range(epochs):
        history = head.fit(fit_set, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0).history
        report(f"epoch {epoch + 1} of {epochs}: training accuracy {history['accuracy'][0]:.4f}")
    return network, float(head.evaluate(test_set, verbose=0)[1])


def save(path: Path, network, *, name: str, data, about: dict[str, Any]) -> None:
    """Write weights and origin; `load` reads it back."""
    import numpy as np

    about = {"name": name, "image_size": data.images.shape[1], "class_names": list(data.class_names), **about}
    arrays = {f"weight_{i}": weight for i, weight in enumerate(network.get_weights())}
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, lambda file: np.savez(file, about=np.array(json.dumps(about)), **arrays))


def export(folder: Path, network, *, name: str, data, about: dict[str, Any]) -> None:
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


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train a small classifier on a labelled dataset and export it for scoring.

    Example: python -m tfgan_suite.classifier --dataset shapes --output classifier.npz
    """

    output: Path
    """File to write, .npz."""
    export: Path | None = None
    """Folder for the same network as a SavedModel; must be new or empty."""
    dataset: Dataset = "shapes"
    """Labelled images with a train and a test split."""
    data_dir: Path | None = None
    """Where the dataset is."""
    image_size: int = 32
    """Pixels per side."""
    epochs: int = 3
    """Passes over the training images."""
    seed: int = 0
    """Seed of weights and order."""
    name: str | None = None
    """Name to report in scores; the dataset's name if not given."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    arguments = cli.parse(Arguments, argv, prog="python -m tfgan_suite.classifier")
    if arguments.epochs < 1:
        raise UsageError(f"--epochs must be at least 1. Received: {arguments.epochs}")
    if not _SMALLEST_IMAGE <= arguments.image_size <= _LARGEST_IMAGE:
        raise UsageError(
            f"--image-size must be from {_SMALLEST_IMAGE} to {_LARGEST_IMAGE}. Received: {arguments.image_size}"
        )
    target = arguments.export
    if target and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"--export must be a new or an empty folder. Received: {arguments.export}")
    cli.load_tensorflow()
    data = {
        split: data_tools.load(arguments.dataset, split, image_size=arguments.image_size, data_dir=arguments.data_dir)
        for split in ("train", "test")
    }
    network, accuracy = train(
        data["train"], data["test"], epochs=arguments.epochs, seed=arguments.seed, report=cli.report
    )
    about = {
        "dataset": arguments.dataset,
        "dataset_fingerprint": data["train"].fingerprint(),
        "test_accuracy": accuracy,
        "epochs": arguments.epochs,
        "seed": arguments.seed,
    }
    name = arguments.name or arguments.dataset
    save(arguments.output, network, name=name, data=data["train"], about=about)
    if arguments.export:
        export(arguments.export, network, name=name, data=data["train"], about=about)
    print(f"test accuracy {accuracy:.4f} on {len(data['test']):,} images")
    print(f"classifier    {arguments.output}")
    if arguments.export:
        print(f"SavedModel    {arguments.export}")


if __name__ == "__main__":
    sys.exit(cli.run(main))
