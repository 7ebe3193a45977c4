"""A generator between two of its classes."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def blended(generator: keras.Model) -> keras.Model:
    """The same generator, weights and all, from latents [B, d] and classes float32 [B, 3]: one, another, and a share.

    Each layer that takes the class is asked twice, and its outputs are mixed, (1 - share) of the one and share of the
    other. Of a table of embeddings, of gains and biases, or of one-hot rows this is the same as a class that is (1 -
    share) the one and share the other; every conditional generator of `models_zoo` takes its class by one of these.
    """
    classes = keras.Input((3,), name="classes")
    latents = keras.Input(generator.inputs[0].shape[1:], name="latents")

    def called(layer: keras.layers.Layer, *arguments: Any, **named: Any) -> Any:
        (inputs, *rest) = arguments
        flat = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if any(each is classes for each in flat):
            return _Blended(layer, [each is classes for each in flat])(list(flat), *rest, **named)
        return layer(*arguments, **named)

    return keras.models.clone_model(
        generator, input_tensors=[latents, classes], clone_function=lambda layer: layer, call_function=called
    )


class _Blended(keras.layers.Layer):
    """A layer, asked for two classes; `is_class` says which of its inputs are the class."""

    def __init__(self, layer: keras.layers.Layer, is_class: list[bool]) -> None:
        super().__init__(name=f"blended_{layer.name}", autocast=False)
        self.layer, self.is_class = layer, is_class

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        classes = inputs[self.is_class.index(True)]

        def asked(column: int) -> tf.Tensor:
            labels = tf.cast(classes[:, column], tf.int32)
            given = [labels if is_class else each for each, is_class in zip(inputs, self.is_class, strict=True)]
            return self.layer(given if len(given) > 1 else given[0], training=False)

        one, other = asked(0), asked(1)
        share = tf.cast(tf.reshape(classes[:, 2], [-1] + [1] * (len(one.shape) - 1)), one.dtype)
        return (1 - share) * one + share * other

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = [
            (shape[0],) if is_class else shape for shape, is_class in zip(input_shape, self.is_class, strict=True)
        ]
        return self.layer.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
