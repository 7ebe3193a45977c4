"""Minibatch discrimination (Salimans et al., Improved Techniques for Training GANs, 2016, section 3.2)."""

import keras
from keras import ops

from models_zoo import checks


@keras.saving.register_keras_serializable("models_zoo")
class MinibatchDiscrimination(keras.layers.Layer):
    """Append to the features of each sample how close it is to the other samples of the batch.

    With features f [B, F] and a tensor T [F, num_kernels, kernel_dim], M = f T and

        c_b(i, j) = exp(-sum_c |M_ibc - M_jbc|),    o_ib = sum_j c_b(i, j).

    The sum runs over all j as in the paper's formula; j = i included, it adds a constant 1, so o lies in [1, B]. The
    output is f and o side by side, [B, F + num_kernels]. The batch is what one call sees: that of one replica.

    Memory grows as B^2 * num_kernels * kernel_dim. Under mixed precision M, distances and o are computed in float32.

    Args:
        num_kernels: how many closeness features to add.
        kernel_dim: dimensions of the space in which each of them measures its distance.
        kernel_initializer: initializer of T, which it sees as a matrix [F, num_kernels * kernel_dim].

    Raises:
        ValueError: for `num_kernels` or `kernel_dim` below 1, and for inputs that are not [B, F] with a known F.
    """

    def __init__(self, num_kernels=30, kernel_dim=3, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.num_kernels = checks.at_least_one("num_kernels", num_kernels)
        self.kernel_dim = checks.at_least_one("kernel_dim", kernel_dim)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        _check(input_shape)
        features = input_shape[-1]

        def initializer(shape, dtype=None):
            return ops.reshape(self.kernel_initializer((features, shape[1] * shape[2]), dtype=dtype), shape)

        self.kernel = self.add_weight(
            shape=(features, self.num_kernels, self.kernel_dim),
            initializer=initializer,
            autocast=False,
            name="kernel",
        )

    def call(self, inputs):
        features = ops.cast(inputs, "float32")
        matrices = ops.tensordot(features, ops.cast(self.kernel, "float32"), axes=1)
        distances = ops.sum(ops.abs(matrices[:, None] - matrices[None]), axis=-1)  # [i, j, kernel]
        closeness = ops.sum(ops.exp(-distances), axis=1)
        return ops.concatenate([inputs, ops.cast(closeness, inputs.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        _check(input_shape)
        return (input_shape[0], input_shape[1] + self.num_kernels)

    def get_config(self):
        return {
            **super().get_config(),
            "num_kernels": self.num_kernels,
            "kernel_dim": self.kernel_dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _check(input_shape):
    if len(input_shape) != 2 or input_shape[1] is None:
        raise ValueError(f"inputs must be [B, F] with a known F. Received: input_shape={tuple(input_shape)}")
