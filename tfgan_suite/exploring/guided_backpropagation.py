"""What a discriminator's features respond to, by guided back-propagation.

Source: Springenberg et al., Striving for Simplicity: The All Convolutional Net (2015), section 3.4 and figure 1; used
on a discriminator by Radford et al., Unsupervised Representation Learning with DCGANs (2016), section 6.2 and figure 5.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_BATCH = 200
_RECTIFIERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


class FeatureMap:
    """The deepest map of a discriminator: its last rectifier at its smallest side, before the map is made a vector.

    Of a discriminator that is an autoencoder that is the end of its encoder.

    Args:
        discriminator: Keras model from images [B, S, S, C], or [images, labels].

    Raises:
        ValueError: for a discriminator without a rectifier after a convolution.
    """

    def __init__(self, discriminator: keras.Model) -> None:
        as_map = itertools.takewhile(lambda layer: not isinstance(layer, keras.layers.Flatten), discriminator.layers)
        maps = [layer for layer in as_map if isinstance(layer, _RECTIFIERS) and len(layer.output.shape) == 4]
        if not maps:
            raise ValueError("the discriminator has no rectifier (ReLU, LeakyReLU, ELU) on a map of features")
        smallest = min(layer.output.shape[1] for layer in maps)
        self.layer = [layer for layer in maps if layer.output.shape[1] == smallest][-1].name
        guided = keras.models.clone_model(discriminator, clone_function=_guided, call_function=_called)
        self._model = keras.Model(guided.inputs, guided.get_layer(f"guided_{self.layer}").output)
        self._conditional = len(discriminator.inputs) == 2
        self.channels: int = self._model.output.shape[-1]

    def responses(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The largest value of each feature over the map, float32 [N, channels].

        Args:
            images: float32 [N, S, S, C] in [-1, 1].
            labels: classes int [N], for a conditional discriminator.
        """
        parts = [
            tf.reduce_max(self._maps(images[i : i + _BATCH], labels[i : i + _BATCH]), axis=[1, 2]).numpy()
            for i in range(0, len(images), _BATCH)
        ]
        return np.concatenate(parts)

    def gradients(self, images: np.ndarray, labels: np.ndarray, channel: int) -> np.ndarray:
        """The guided gradient, at the pixels, of the largest value of one feature, float32 [N, S, S, C]."""
        pixels = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            largest = tf.reduce_max(self._maps(pixels, labels)[..., channel], axis=[1, 2])
        return tape.gradient(largest, pixels).numpy()

    def _maps(self, images: Any, labels: np.ndarray) -> tf.Tensor:
        given = [tf.convert_to_tensor(images), tf.convert_to_tensor(labels, tf.int32)]
        return self._model(given if self._conditional else given[:1], training=False)


def as_picture(gradients: np.ndarray) -> np.ndarray:
    """Gradients [N, S, S, C] as uint8: zero is mid-grey, and each image's largest is black or white."""
    largest = np.abs(gradients).max(axis=(1, 2, 3), keepdims=True)
    scaled = np.divide(gradients, largest, out=np.zeros_like(gradients), where=largest > 0)
    return np.floor(scaled * 127 + 128.5).clip(0, 255).astype(np.uint8)


def _guided(layer: keras.layers.Layer) -> keras.layers.Layer:
    return _Guided(layer) if isinstance(layer, _RECTIFIERS) else layer


def _called(layer: keras.layers.Layer, *arguments: Any, **named: Any) -> Any:
    return layer(*arguments, **named)


class _Guided(keras.layers.Layer):
    """A rectifier whose gradient passes where both the input and the gradient are positive, and nowhere else.

    Those that let something through below zero (LeakyReLU, ELU) are taken for ReLU on the way back: what lies below
    zero is no response.
    """

    def __init__(self, rectifier: keras.layers.Layer) -> None:
        super().__init__(name=f"guided_{rectifier.name}")
        self.rectifier = rectifier

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        @tf.custom_gradient
        def run(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
            def back(upstream: tf.Tensor) -> tf.Tensor:
                return tf.where((x > 0) & (upstream > 0), upstream, tf.zeros_like(upstream))

            return self.rectifier(x), back

        return run(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
