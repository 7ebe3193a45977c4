"""Convolutions in groups of channels, by TensorFlow's own kernel."""

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("models_zoo")
class GroupedConv2D(layers.Conv2D):
    """`keras.layers.Conv2D` with `groups`, without XLA.

    Keras compiles each grouped convolution with XLA, since TensorFlow's kernels on the CPU knew no groups once. They do
    now, as do the derivatives of their gradients, in float32 and bfloat16, and a step takes milliseconds where XLA's on
    the CPU takes seconds.
    """

    def convolution_op(self, inputs, kernel):
        return tf.nn.conv2d(inputs, kernel, list(self.strides), self.padding.upper(), dilations=self.dilation_rate)
