"""A generator as a SavedModel that needs nothing but TensorFlow: written, reloaded and compared, then put in place."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_tools import files
from data_tools.errors import SuiteError, UsageError
from tfgan_suite.images.pixels import to_uint8_in_graph
from tfgan_suite.runs.config import Config, load_json, replace

if TYPE_CHECKING:
    import keras

_CHECKED_IMAGES = 9


def export(
    generator: keras.Model,
    folder: Path,
    *,
    settings: Config,
    class_names: tuple[str, ...],
    scores: list[dict[str, Any]],
) -> Path:
    """Write `generator` to `folder`, reload it, compare bit by bit, and only then put it in its place.

    Signatures, each with the outputs `images` (float32 in [-1, 1]) and `uint8`, [N, S, S, C]:

    - `serving_default(latents)`: latents float32 [N, latent_dim], standard normal in training; a conditional
      generator takes `labels`, int32 [N], too.
    - `sample(num_images, seed)`: int32 scalars; image i, its class included, is a function of (seed, i) alone.
    - `sample_class(labels, seed)`, of a conditional generator: int32 [N] and scalar; image i has the class labels[i]
      and the latents of image i of `sample`.

    Assets: `metadata.json` (latent and image size, channels, classes), `config.json`, `scores.json`.

    Args:
        generator: Keras model from latents, or from [latents, labels], to images.
        folder: where to put it; an earlier export there is replaced, anything else refused.
        settings: configuration of the run.
        class_names: names of the training data's classes.
        scores: lines of `metrics.jsonl` for these weights.

    Raises:
        UsageError: if `folder` holds something that is no export.
        SuiteError: if it cannot be written, or the reloaded model differs.
    """
    import tensorflow as tf

    given, folder = folder, folder.resolve()
    if folder.exists() and not _is_replaceable(folder):
        raise UsageError(f"{folder} holds something that is no export of this suite: choose a new or empty folder")
    with files.writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        with files.writing(folder):
            assets = _write_assets(work / "given", generator, settings, class_names, scores)
            module, signatures = _module(generator, assets, settings.num_classes or len(class_names))
            try:
                tf.saved_model.save(module, str(work / "model"), signatures=signatures)
            except tf.errors.OpError as error:
                raise OSError(f"{error.message}") from None
            _compare(signatures, work / "model")
            if folder.exists():
                os.replace(folder, work / "old")
            os.replace(work / "model", folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return given


def rebuilt(folder: Path) -> keras.Model:
    """The generator of an export as the Keras model that it was, for what has to look into it; nothing of it is run.

    Raises:
        SuiteError: for a SavedModel that this suite did not export.
    """
    import tensorflow as tf

    from tfgan_suite.training.building import build

    settings = settings_of(folder)
    if settings is None:
        raise SuiteError(f"{folder} does not say how its generator is made, as an export of this suite does")
    try:
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        generator = build(settings).ema_generator
        for number, variable in enumerate(generator.variables):
            variable.assign(reader.get_tensor(f"variables_of_generator/{number}/.ATTRIBUTES/VARIABLE_VALUE"))
    except (UsageError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise SuiteError(f"{folder} is no export of this suite that can be taken apart: {reason}") from None
    return generator


def settings_of(folder: Path) -> Config | None:
    """The configuration of the run that was exported; None for a SavedModel that does not say."""
    path = folder / "assets" / "config.json"
    try:
        return replace(Config(), load_json(path), source=str(path))
    except UsageError:
        return None


def _is_replaceable(folder: Path) -> bool:
    """Whether `folder` is empty, or an earlier export with nothing else in it."""
    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir()}
    ours = {"assets", "variables", "saved_model.pb", "fingerprint.pb"}
    return not names or (names <= ours and (folder / "assets" / "metadata.json").is_file())


def _write_assets(
    folder: Path, generator: keras.Model, settings: Config, class_names: tuple[str, ...], scores: list[dict[str, Any]]
) -> list[Path]:
    from models_zoo.inputs import is_conditional

    _, size, _, channels = generator.output_shape
    contents = {
        "metadata.json": {
            "variant": settings.variant,
            "dataset": settings.dataset,
            "latent_dim": generator.inputs[0].shape[-1],
            "image_size": size,
            "channels": channels,
            "conditional": is_conditional(generator),
            "class_names": list(class_names),
        },
        "config.json": settings.as_dict(),
        "scores.json": scores,
    }
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return [folder / name for name in contents]


def _module(generator: keras.Model, assets: list[Path], num_classes: int) -> tuple[Any, dict[str, Any]]:
    """A `tf.Module` that holds weights and assets, and the signatures of `export`."""
    import tensorflow as tf

    from models_zoo.inputs import check_labels, is_conditional
    from models_zoo.randomness import labels_of, latents_of

    latent_dim = generator.inputs[0].shape[-1]
    conditional = is_conditional(generator)
    latents_spec = tf.TensorSpec([None, latent_dim], tf.float32, name="latents")
    labels_spec = tf.TensorSpec([None], tf.int32, name="labels")
    seed_spec = tf.TensorSpec([], tf.int32, name="seed")
    num_images_spec = tf.TensorSpec([], tf.int32, name="num_images")

    def images_of(inputs: Any) -> dict[str, Any]:
        images = tf.clip_by_value(generator(inputs, training=False), -1.0, 1.0)  # not every generator ends with tanh
        return {"images": images, "uint8": to_uint8_in_graph(images)}

    module = tf.Module()
    module.variables_of_generator = [variable.value for variable in generator.variables]
    module.assets = [tf.saved_model.Asset(str(path)) for path in assets]
    if conditional:

        @tf.function(input_signature=[latents_spec, labels_spec])
        def serve_labels(latents, labels):
            return images_of([latents, check_labels(labels, num_classes)])

        @tf.function(input_signature=[num_images_spec, seed_spec])
        def sample_labels(num_images, seed):
            return images_of([latents_of(num_images, seed, latent_dim), labels_of(num_images, seed, num_classes)])

        @tf.function(input_signature=[labels_spec, seed_spec])
        def sample_class(labels, seed):
            return images_of([latents_of(tf.shape(labels)[0], seed, latent_dim), check_labels(labels, num_classes)])

        return module, {"serving_default": serve_labels, "sample": sample_labels, "sample_class": sample_class}

    @tf.function(input_signature=[latents_spec])
    def serve(latents):
        return images_of(latents)

    @tf.function(input_signature=[num_images_spec, seed_spec])
    def sample(num_images, seed):
        return images_of(latents_of(num_images, seed, latent_dim))

    return module, {"serving_default": serve, "sample": sample}


def _compare(signatures: dict[str, Any], path: Path) -> None:
    """Raises unless every signature on the disk gives the same bits as the one in memory."""
    import numpy as np
    import tensorflow as tf

    from models_zoo.randomness import latents_of

    loaded = tf.saved_model.load(str(path))
    latent_dim = signatures["serving_default"].input_signature[0].shape[1]
    inputs = {
        "latents": latents_of(_CHECKED_IMAGES, 11, latent_dim),
        "labels": tf.zeros([_CHECKED_IMAGES], tf.int32),
        "num_images": tf.constant(_CHECKED_IMAGES),
        "seed": tf.constant(7),
    }
    for name, function in signatures.items():
        given = {spec.name: inputs[spec.name] for spec in function.input_signature}
        ours, theirs = function(**given), loaded.signatures[name](**given)
        for output in ours:
            if not np.array_equal(ours[output].numpy(), theirs[output].numpy()):
                raise SuiteError(f"the reloaded signature {name!r} differs in {output!r}: nothing was exported")
