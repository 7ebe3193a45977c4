"""From what a user names to a `Source`: run folder, SavedModel, folder of pictures, `.npz` or `dataset:split`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import data_tools
from data_tools import npz
from data_tools.errors import SuiteError, UsageError
from data_tools.images import LabelledImages
from data_tools.resized import prepared
from tfgan_suite.images.pixels import as_uint8, require_range
from tfgan_suite.images.sources import LATENT_SEED, ArraySource, FileSource, GeneratorSource, Source
from tfgan_suite.networks import saved_models
from tfgan_suite.runs import opening
from tfgan_suite.runs.config import Config

if TYPE_CHECKING:
    from tfgan_suite.images.sampler import Sampler


@dataclasses.dataclass(frozen=True)
class Options:
    """How to open what is named; each field is the flag of `tfgan_suite.evaluate` of that name.

    `channels` is how datasets are read: 3, or 1 for grey, which is then repeated to three. `data_dir_of` is the only
    dataset that `data_dir` is for, if it is not for all. `report` is called with what the user should know, such as a
    damaged checkpoint that was skipped.
    """

    weights: str = "ema"
    checkpoint: str = opening.NEWEST
    data_dir: Path | None = None
    data_dir_of: str | None = None
    image_size: int | None = None
    channels: int = 3
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
    if opening.is_run(path):
        return _run(path, options)
    if (path / "saved_model.pb").is_file():
        return _saved_model(path, options)
    if path.is_dir():
        source = FileSource(path, shuffle_seed=options.shuffle_seed, image_size=options.image_size)
        if source.left_out:
            noun, verb = ("picture", "is") if source.left_out == 1 else ("pictures", "are")
            options.report(f"note: {source.left_out:,} {noun} beside the class folders of {path} {verb} left out")
        return source
    if path.is_file() and path.suffix == ".npz":
        return _npz(path, options)
    dataset, colon, split = text.partition(":")
    if colon and dataset in data_tools.DATASETS:
        data_dir = options.data_dir if options.data_dir_of in (None, dataset) else None
        try:
            data = data_tools.load(
                dataset, split, image_size=options.image_size or 32, channels=options.channels, data_dir=data_dir
            )
        except ValueError as error:
            raise UsageError(f"{text} cannot be opened: {error}") from None
        return ArraySource(data, text, shuffle_seed=options.shuffle_seed)
    raise UsageError(
        f"SOURCE must be a run folder, a SavedModel, a folder of pictures, an .npz file or dataset:split "
        f"with a dataset of {', '.join(data_tools.DATASETS)}. Received: {text}"
    )


def _run(path: Path, options: Options) -> Source:
    from tfgan_suite.images.sampler import Sampler

    run = opening.open_run(path, options.checkpoint, report=options.report)
    return trained(
        Sampler(run.generator(options.weights), run.gan.num_classes),
        run.settings,
        run.step,
        name=str(path),
        class_names=run.class_names,
        weights=options.weights,
        latent_seed=options.latent_seed,
    )


def trained(
    sampler: Sampler, settings: Config, step: int, *, name: str, class_names: tuple[str, ...], weights: str = "ema",
    latent_seed: int = LATENT_SEED,
) -> GeneratorSource:  # fmt: skip
    """What a run's generator makes after `step` steps, whether it is being trained or was opened.

    Args:
        class_names: of the training data; those of an unconditional generator's images are not known.
        name, weights, latent_seed: for the record.
    """
    return GeneratorSource(
        sampler.generate,
        name=name,
        image_size=sampler.image_size,
        latent_dim=sampler.latent_dim,
        class_names=class_names if sampler.conditional else (),
        latent_seed=latent_seed,
        certain=True,
        weights=weights,
        step=step,
        images_seen=settings.images_seen(step),
    )


def _saved_model(path: Path, options: Options) -> Source:
    """One of this suite, or another whose signature takes latents [N, d] alone and gives one batch of images."""
    import tensorflow as tf

    loaded = saved_models.opened(path)
    if "serving_default" not in getattr(loaded, "signatures", ()):
        raise SuiteError(f"{path} is no SavedModel with the signature serving_default")
    signature = loaded.signatures["serving_default"]
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
    names = _class_names(path) if labels else ()
    if latent_dim is None or size is None or (labels and not names):
        raise SuiteError(f"{path} must say its latent dimension, its image size and, if conditional, its class names")

    def generate(latent: Any, label: Any) -> Any:
        given = {latents[0]: latent}
        if labels:
            given[labels[0]] = tf.cast(label, inputs[labels[0]].dtype)
        try:
            return signature(**given)[output]
        except tf.errors.ResourceExhaustedError:
            raise
        except (tf.errors.OpError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise SuiteError(f"{path} cannot make images: {reason}") from None

    return GeneratorSource(
        generate, name=str(path), image_size=size, latent_dim=latent_dim, class_names=names,
        latent_seed=options.latent_seed, values=options.values, certain=output == "uint8", weights="as exported",
    )  # fmt: skip


def _class_names(path: Path) -> tuple[str, ...]:
    """What an export says that its labels mean; () if it does not say."""
    about: Any = {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        about = json.loads((path / "assets" / "metadata.json").read_text(encoding="utf-8"))
    names = about.get("class_names", []) if isinstance(about, dict) else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SuiteError(f"{path}: class_names in assets/metadata.json must be strings. Received: {str(names)[:80]}")
    return tuple(names)


def _npz(path: Path, options: Options) -> Source:
    """The arrays that `data_tools.npz.arrays` reads; floating-point pixels are in the range that `values` names."""
    found = npz.arrays(path)
    if not {"images", "arr_0"} & npz.names_in(path):
        options.report(f"note: of {path} the training split, x_train, is taken")
    pixels = as_uint8(found.images, options.values, str(path))
    if found.images.dtype != np.uint8:
        require_range(found.images.min(), found.images.max(), options.values, str(path))
    if options.image_size is not None:
        pixels = prepared(pixels, options.image_size, 3)
    labels = np.zeros(len(pixels), np.int32) if found.labels is None else found.labels
    data = LabelledImages(pixels, labels, found.class_names or ("images",))
    return ArraySource(data, str(path), shuffle_seed=options.shuffle_seed, labelled=found.labels is not None)
