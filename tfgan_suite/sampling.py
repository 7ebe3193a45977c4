"""Images from a generator, always the same for a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from models_zoo.randomness import latents_of
from tfgan_suite import pictures

_BATCH = 200


class Sampler:
    """Makes images with a generator's present weights, in inference mode; nothing in the generator changes.

    Args:
        generator: Keras model from latents [B, d] to images [B, S, S, C] in [-1, 1].
    """

    def __init__(self, generator: Any) -> None:
        self.image_size = generator.output_shape[1]
        self._latent_dim = generator.input_shape[-1]
        self._run = tf.function(lambda latents: generator(latents, training=False), reduce_retracing=True)

    def images(self, num_images: int, seed: int) -> np.ndarray:
        """uint8 [num_images, S, S, C]; image i depends on (seed, i) and the weights only."""
        latents = latents_of(num_images, seed, self._latent_dim)
        parts = [self._run(latents[i : i + _BATCH]).numpy() for i in range(0, num_images, _BATCH)]
        return pictures.to_uint8(np.concatenate(parts))
