"""Between vectors and small maps: a learned map for each channel."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("models_zoo")
class MapBasis(keras.layers.Layer):
    """Vectors [B, C] as maps [B, side, side, C]: each channel is a learned map of one number times a number.

    Args:
        side: pixels a side.
    """

    def __init__(self, side, **kwargs):
        super().__init__(**kwargs)
        self.side = side

    def build(self, input_shape):
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.basis = self.add_weight(shape=(self.side, self.side, input_shape[-1]), initializer=normal, name="basis")

    def call(self, x):
        return x[:, None, None, :] * ops.cast(self.basis, x.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.side, self.side, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "side": self.side}


@keras.saving.register_keras_serializable("models_zoo")
class MapProduct(keras.layers.Layer):
    """Maps [B, H, W, C] as vectors [B, C]: a depthwise convolution whose kernels are as large as the map."""

    def build(self, input_shape):
        _, height, width, _ = input_shape
        normal = keras.initializers.RandomNormal(stddev=(height * width) ** -0.5)
        self.kernel = self.add_weight(shape=tuple(input_shape[1:]), initializer=normal, name="kernel")

    def call(self, x):
        return ops.sum(x * ops.cast(self.kernel, x.dtype), axis=(1, 2))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])
