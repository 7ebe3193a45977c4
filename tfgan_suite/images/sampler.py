"""Images from a generator, always the same for a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from models_zoo.inputs import inputs_of, is_conditional
from models_zoo.randomness import labels_of, latents_of
from tfgan_suite.images import pixels

if TYPE_CHECKING:
    import keras

_BATCH = 200


class Sampler:
    """Makes images with a generator's present weights, in inference mode; nothing in the generator changes.

    Args:
        generator: Keras model from latents [B, d], or from [latents, labels], to images [B, S, S, C] in [-1, 1].
        num_classes: of a conditional generator.
    """

    def __init__(self, generator: keras.Model, num_classes: int | None = None) -> None:
        self.image_size = generator.output_shape[1]
        self.conditional = is_conditional(generator)
        self.num_classes = num_classes
        self.latent_dim = generator.inputs[0].shape[-1]

        def run(latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            images = generator(inputs_of(generator, latents, labels), training=False)
            return tf.clip_by_value(images, -1.0, 1.0)  # not every generator ends with tanh

        self._run = tf.function(run, reduce_retracing=True)

    def labels(self, num_images: int, seed: int) -> np.ndarray:
        """Classes int32 [num_images] that `images` asks for by itself; entry i depends on (seed, i) only."""
        return labels_of(num_images, seed, self.num_classes or 1).numpy()

    def generate(self, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Images float32 [B, S, S, C] in [-1, 1] of latents [B, d] and, if conditional, classes int32 [B]."""
        return self._run(latents, labels)

    def images(self, num_images: int, seed: int, labels: np.ndarray | None = None) -> np.ndarray:
        """uint8 [num_images, S, S, C]; image i depends on (seed, i), its class and the weights only.

        Args:
            labels: classes int [num_images] for a conditional generator; those of `labels` if None.
        """
        latents = latents_of(num_images, seed, self.latent_dim)
        classes = tf.constant(self.labels(num_images, seed) if labels is None else labels, tf.int32)
        parts = [
            self._run(latents[i : i + _BATCH], classes[i : i + _BATCH]).numpy() for i in range(0, num_images, _BATCH)
        ]
        return pixels.to_uint8(np.concatenate(parts))
