"""What is explored: the generator of a run, or an exported one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_tools.errors import SuiteError, UsageError
from tfgan_suite.exploring import points as points_module
from tfgan_suite.exploring.directions import factorised, first_layer
from tfgan_suite.exploring.points import Points
from tfgan_suite.images import named_sources, pixels
from tfgan_suite.images.sources import GeneratorSource
from tfgan_suite.runs import opening
from tfgan_suite.runs.config import Config

if TYPE_CHECKING:
    import keras

    from tfgan_suite.runs.opening import OpenRun

_BATCH = 200


@dataclasses.dataclass(frozen=True)
class Subject:
    """A generator, and where it is from.

    Attributes:
        name: as it was named.
        latent_dim: length of its latents.
        image_size: pixels per side of its images.
        class_names: of a conditional generator; () of another.
        record: `weights` and `step`, for what is written beside a picture.
        run: the run, unless it is an exported generator.
        generate: from latents [B, d] and classes int32 [B] to images uint8 [B, S, S, C].
    """

    name: str
    latent_dim: int
    image_size: int
    class_names: tuple[str, ...]
    record: dict[str, Any]
    run: OpenRun | None
    generate: Callable[[Any, Any], np.ndarray]

    def samples(self, names: Sequence[tuple[int, int]]) -> Points:
        """The samples of these seeds and indices.

        Image i of a seed is the image i that the signature `sample` of an exported generator makes of that seed, its
        class included.
        """
        from models_zoo.randomness import labels_of, latents_of

        latents = [latents_of(1, seed, self.latent_dim, first=index)[0] for seed, index in names]
        labels = [labels_of(1, seed, len(self.class_names) or 1, first=index)[0] for seed, index in names]
        return points_module.of(np.array(latents), np.array(labels), [f"{seed}:{index}" for seed, index in names])

    def images(self, points: Points) -> np.ndarray:
        """Images uint8 [N, S, S, C].

        Raises:
            SuiteError: for a mixture of classes, if the generator is a SavedModel that cannot be taken apart.
        """
        parts = [self._batch(points[i : i + _BATCH]) for i in range(0, len(points), _BATCH)]
        return np.concatenate(parts)

    def classes(self, names: Sequence[str]) -> np.ndarray:
        """The numbers of these classes, int32 [N].

        Raises:
            UsageError: for a name that is none, or a generator without classes.
        """
        if not self.class_names:
            raise UsageError(f"{self.name} takes no classes: leave out --classes")
        for name in names:
            if name not in self.class_names:
                raise UsageError(f"--classes must be among {', '.join(self.class_names)}. Received: {name}")
        return np.array([self.class_names.index(name) for name in names], np.int32)

    def require_run(self, what: str) -> OpenRun:
        """The run; UsageError if there is none, `what` being what needs it."""
        if self.run is None:
            raise UsageError(f"{what}, and {self.name} is an exported generator: give the folder of its run")
        return self.run

    @functools.cached_property
    def network(self) -> keras.Model:
        """The generator as a Keras model, for what has to look into it."""
        if self.run is not None:
            return self.run.generator(self.record["weights"])
        from tfgan_suite.runs.generator_export import rebuilt

        return rebuilt(Path(self.name))

    @functools.cached_property
    def directions(self) -> tuple[str, np.ndarray, np.ndarray]:
        """The layer that `directions.first_layer` finds, its directions [d, d] and their strengths [d], strongest
        first."""
        layer, matrix = first_layer(self.network)
        return (layer, *factorised(matrix))

    @property
    def settings(self) -> Config | None:
        """The configuration of the run that made the generator; None where it is not known."""
        if self.run is not None:
            return self.run.settings
        from tfgan_suite.runs.generator_export import settings_of

        return settings_of(Path(self.name))

    def _batch(self, points: Points) -> np.ndarray:
        if not points.between.any():
            return self.generate(points.latents, points.labels)
        classes = np.stack([points.labels, points.others, points.shares], axis=1).astype(np.float32)
        made = self._blended([points.latents, classes], training=False)
        return pixels.to_uint8(np.asarray(made))

    @functools.cached_property
    def _blended(self) -> keras.Model:
        from tfgan_suite.exploring.class_blends import blended

        return blended(self.network)


def open_subject(
    text: str,
    *,
    weights: str = "ema",
    checkpoint: str = opening.NEWEST,
    values: str = "tanh",
    report: Callable[[str], None] = lambda message: None,
) -> Subject:
    """Open a run folder or the folder of a SavedModel.

    Args:
        text: its path.
        weights, checkpoint: of a run, see `opening.open_run`.
        values: of a SavedModel whose images are floating-point numbers: a key of `pixels.RANGES`.
        report: called with what the user should know.

    Raises:
        UsageError, SuiteError: if it is neither, or cannot be opened.
    """
    path = Path(text)
    if opening.is_run(path):
        if values != "tanh":
            raise UsageError("--values is for SavedModels of others: leave it out")
        return _of_run(path, weights, checkpoint, report)
    if (path / "saved_model.pb").is_file():
        if (weights, checkpoint) != ("ema", opening.NEWEST):
            raise UsageError("--weights and --checkpoint are for runs: an exported generator has the weights it has")
        source = named_sources.open_source(text, named_sources.Options(values=values, report=report))
        if not isinstance(source, GeneratorSource):
            raise SuiteError(f"{text} is no generator")
        record = {"weights": source.record["weights"], "step": None}
        return Subject(text, source.latent_dim, source.image_size, source.class_names, record, None, source.made)
    raise UsageError(f"SOURCE must be a run folder or an exported generator (a SavedModel). Received: {text}")


def _of_run(path: Path, weights: str, checkpoint: str, report: Callable[[str], None]) -> Subject:
    from tfgan_suite.images.sampler import Sampler

    run = opening.open_run(path, checkpoint, report=report)
    sampler = Sampler(run.generator(weights), run.gan.num_classes)
    class_names = run.class_names if sampler.conditional else ()

    def generate(latents: Any, labels: Any) -> np.ndarray:
        import tensorflow as tf

        return pixels.to_uint8(sampler.generate(tf.constant(latents), tf.constant(labels)).numpy())

    record = {"weights": weights, "step": run.step}
    return Subject(str(path), sampler.latent_dim, sampler.image_size, class_names, record, run, generate)
