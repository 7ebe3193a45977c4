"""From what a user names to a `Source`: run folder, SavedModel, folder of pictures, `.npz` or `dataset:split`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import data_tools
from data_tools import npz
from data_tools.images import LabelledImages, prepared
from tfgan_suite import checkpoints, saved_models
from tfgan_suite.errors import SuiteError, UsageError
from tfgan_suite.run_folder import RunFolder
from tfgan_suite.sources import LATENT_SEED, ArraySource, FileSource, GeneratorSource, Source, as_uint8, require_range

BEST = "best"
NEWEST = "newest"


@dataclasses.dataclass(frozen=True)
class Options:
    """How to open what is named; each field is the flag of `tfgan_suite.evaluate` of that name.

    `data_dir_of` is the only dataset that `data_dir` is for, if it is not for all; `report` is called with what the
    user should know, such as a damaged checkpoint that was skipped.
    """

    weights: str = "ema"
    checkpoint: str = NEWEST
    data_dir: Path | None = None
    data_dir_of: str | None = None
    image_size: int | None = None
    shuffle_seed: int | None = 0
    latent_seed: int = LATENT_SEED
    values: str = "tanh"
    report: Callable[[str], None] = lambda message: None


def open_source(text: str, options: Options) -> Source:
    """The source that `text` names.

    Raises:
        UsageError: if it names nothing.
        SuiteError, DataError: if it cannot be read.
    """
    path = Path(text)
    if is_run(path):
        return _run(path, options)
    if (path / "saved_model.pb").is_file():
        return _saved_model(path, options)
    if path.is_dir():
        return FileSource(path, shuffle_seed=options.shuffle_seed, image_size=options.image_size)
    if path.is_file() and path.suffix == ".npz":
        return _npz(path, options)
    dataset, colon, split = text.partition(":")
    if colon and dataset in data_tools.DATASETS:
        data_dir = options.data_dir if options.data_dir_of in (None, dataset) else None
        try:
            data = data_tools.load(dataset, split, image_size=options.image_size or 32, data_dir=data_dir)
        except ValueError as error:
            raise UsageError(f"{text} cannot be opened: {error}") from None
        return ArraySource(data, text, shuffle_seed=options.shuffle_seed)
    raise UsageError(
        f"SOURCE must be a run folder, a SavedModel, a folder of pictures, an .npz file or dataset:split "
        f"with a dataset of {', '.join(data_tools.DATASETS)}. Received: {text}"
    )


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder."""
    return (path / "config.json").is_file() and (path / "checkpoints").is_dir()


def _run(path: Path, options: Options) -> Source:
    from tfgan_suite.building import build
    from tfgan_suite.sampling import Sampler

    run = RunFolder(path)
    settings, record = run.read_config()
    gan = build(settings)
    if options.checkpoint == NEWEST:
        found = checkpoints.newest(run.checkpoints, options.report)
    elif options.checkpoint == BEST:
        found = (run.best, checkpoints.read(run.best)) if run.best.is_file() else None
    elif options.checkpoint.isdigit():
        chosen = checkpoints.path_of(run.checkpoints, int(options.checkpoint))
        found = (chosen, checkpoints.read(chosen)) if chosen.is_file() else None
    else:
        raise UsageError(f"--checkpoint must be newest, best or a step. Received: {options.checkpoint}")
    if found is None:
        have = ", ".join(str(checkpoints.step_of(path)) for path in checkpoints.newest_first(run.checkpoints))
        best = ", best" if run.best.is_file() else ""
        raise UsageError(f"{path} has no checkpoint {options.checkpoint!r}, only of the steps {have or '(none)'}{best}")
    checkpoints.restore(gan.state(), found[1], found[0])
    sampler = Sampler(gan.ema_generator if options.weights == "ema" else gan.generator, gan.num_classes)
    step = int(gan.step.numpy())
    names = tuple(record.get("class_names", ()))
    return GeneratorSource(
        sampler.generate,
        name=str(path),
        image_size=sampler.image_size,
        latent_dim=sampler.latent_dim,
        class_names=names if sampler.conditional else (),
        latent_seed=options.latent_seed,
        certain=True,
        weights=options.weights,
        step=step,
        images_seen=step * settings.batch_size * settings.discriminator_steps,
    )


def _saved_model(path: Path, options: Options) -> Source:
    """One of this suite, or another whose signature takes latents [N, d] alone and gives one batch of images."""
    import tensorflow as tf

    saved_models.check(path)
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
    except Exception as error:  # TensorFlow raises nearly anything on damage
        raise SuiteError(f"{path} is no SavedModel with the signature serving_default ({error})") from None
    inputs = signature.structured_input_signature[1]
    latents = [name for name, spec in inputs.items() if spec.dtype == tf.float32 and spec.shape.rank == 2]
    labels = [name for name, spec in inputs.items() if spec.dtype.is_integer and spec.shape.rank == 1]
    images = [name for name, spec in signature.structured_outputs.items() if spec.shape.rank == 4]
    if len(latents) != 1 or len(latents) + len(labels) != len(inputs) or len(labels) > 1 or not images:
        taken = ", ".join(f"{name} {spec.dtype.name} {spec.shape}" for name, spec in inputs.items())
        given = ", ".join(f"{name} {spec.shape}" for name, spec in signature.structured_outputs.items())
        raise SuiteError(
            f"{path}: serving_default must take latents float32 [N, d], and labels int32 [N] if conditional, and give "
            f"images [N, S, S, C]. Received: {taken} -> {given}"
        )
    output = "uint8" if "uint8" in images else images[0]
    latent_dim, size = inputs[latents[0]].shape[1], signature.structured_outputs[output].shape[1]
    about = _metadata(path)
    names = tuple(map(str, about.get("class_names", ()))) if labels else ()
    if latent_dim is None or size is None or (labels and not names):
        raise SuiteError(f"{path} must say its latent dimension, its image size and, if conditional, its class names")

    def generate(latent: Any, label: Any) -> Any:
        given = {latents[0]: latent}
        if labels:
            given[labels[0]] = tf.cast(label, inputs[labels[0]].dtype)
        return signature(**given)[output]

    return GeneratorSource(
        generate, name=str(path), image_size=size, latent_dim=latent_dim, class_names=names,
        latent_seed=options.latent_seed, values=options.values, certain=output == "uint8", weights="as exported",
    )  # fmt: skip


def _metadata(path: Path) -> dict[str, Any]:
    try:
        about = json.loads((path / "assets" / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _npz(path: Path, options: Options) -> Source:
    """Arrays `images` (or `arr_0`) [N, S, S, 1 or 3] and, if there, `labels` int [N] and `class_names`."""
    held = npz.names_in(path)
    images = npz.read(path, "arr_0" if "arr_0" in held and "images" not in held else "images")
    labels = npz.read(path, "labels") if "labels" in held else None
    names = tuple(map(str, npz.read(path, "class_names"))) if "class_names" in held else ()
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape or images.dtype.kind not in "fu":
        raise SuiteError(
            f"{path}: images must be uint8 or floats [N, S, S, 1 or 3]. Received: {images.dtype} {images.shape}"
        )
    pixels = as_uint8(images, options.values, str(path))
    if images.dtype != np.uint8:
        require_range(images.min(), images.max(), options.values, str(path))
    if options.image_size is not None:
        pixels = prepared(pixels, options.image_size, 3)
    labelled = labels is not None
    if labels is None:
        labels = np.zeros(len(images), np.int32)
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),) or labels.max() >= npz.MOST_CLASSES:
        raise SuiteError(f"{path}: labels must be {len(images)} integers. Received: {labels.dtype} {labels.shape}")
    names = names or tuple(map(str, range(int(labels.max()) + 1)))
    try:
        data = LabelledImages(pixels, labels.astype(np.int32), names)
    except ValueError as error:
        raise SuiteError(f"{path}: {error}") from None
    return ArraySource(data, str(path), shuffle_seed=options.shuffle_seed, labelled=labelled)
