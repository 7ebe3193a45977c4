"""Spectral normalization (Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018)."""

import keras
import tensorflow as tf
from keras import ops

_KERNELS = {"Conv2D": "kernel", "Conv2DTranspose": "kernel", "Dense": "kernel", "Embedding": "embeddings"}
_SMALLEST = 1e-12  # norms below it count as zero
_OUTPUT_AXIS = {"Conv2DTranspose": -2}  # the last axis everywhere else


@keras.saving.register_keras_serializable("models_zoo")
class SpectralNormalization(keras.layers.Wrapper):
    """Call a layer with W / sigma(W) in the place of its kernel W, sigma being the largest singular value.

    The kernel is reshaped to a matrix with one row per output channel. sigma = u^T W v, with u the stored estimate of
    the first left singular vector and v = W^T u / |W^T u|; the gradient flows through sigma while u and v count as
    constants (eqs. 8 to 12 and appendix A). W itself is never overwritten, so the optimizer sees the true parameter,
    and the gradient is orthogonal to it.

    `keras.layers.SpectralNormalization` is another thing: it overwrites the kernel at every training call, stops the
    gradient at sigma, and does not normalize at all when `training` is false.

    Args:
        layer: a `Conv2D`, `Conv2DTranspose`, `Dense` or `Embedding` layer.
        power_iterations: iterations in one `update`; the paper uses one.
        update_in_call: whether a call with `training=True` updates u. The models of this package switch it off and
            call `update` once per discriminator step, so that the real and the generated batch see the same function
            and the generator's step changes nothing in the discriminator.

    Raises:
        ValueError: for another kind of layer, or less than one iteration.
    """

    WARM_UP = 20  # iterations when the layer is built, so that the first step already sees the right norm

    def __init__(self, layer, power_iterations=1, update_in_call=True, **kwargs):
        if type(layer).__name__ not in _KERNELS:
            raise ValueError(
                f"SpectralNormalization wraps {', '.join(_KERNELS)} layers. Received: layer={type(layer).__name__}"
            )
        if power_iterations < 1:
            raise ValueError(f"power_iterations must be at least 1. Received: power_iterations={power_iterations}")
        # Without autocasting, W, u and sigma stay float32 under mixed precision; the wrapped layer casts for itself.
        super().__init__(layer, autocast=False, **kwargs)
        self.power_iterations = power_iterations
        self.update_in_call = update_in_call

    def build(self, input_shape=None):
        super().build(input_shape)
        self.vector = self.add_weight(
            shape=(self._matrix().shape[0],),
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=0),
            trainable=False,
            autocast=False,
            name="left_singular_vector",
        )
        with tf.init_scope():
            self._iterate(self.WARM_UP)

    def update(self):
        """Move u towards the first left singular vector of the present kernel, by `power_iterations` iterations."""
        self._iterate(self.power_iterations)

    def sigma(self):
        """Estimate of the largest singular value, a float32 scalar; never above the true one."""
        matrix, u = self._matrix(), ops.convert_to_tensor(self.vector)
        v = ops.stop_gradient(_normalize(ops.matmul(u, matrix)))
        return ops.sum(u * ops.matmul(matrix, v))

    def call(self, inputs, training=None):
        if training and self.update_in_call:
            self.update()
        kernel = self._kernel()
        values = [(variable, ops.convert_to_tensor(variable)) for variable in self.layer.variables]
        sigma = ops.maximum(self.sigma(), _SMALLEST)  # a kernel of zeros stays zero, and is no NaN
        values = [(variable, value / sigma if variable is kernel else value) for variable, value in values]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "power_iterations": self.power_iterations,
            "update_in_call": self.update_in_call,
        }

    def _iterate(self, iterations):
        matrix, u = ops.stop_gradient(self._matrix()), ops.convert_to_tensor(self.vector)
        for _ in range(iterations):
            product = ops.matmul(matrix, _normalize(ops.matmul(u, matrix)))
            u = ops.where(ops.sum(ops.square(product)) > _SMALLEST**2, _normalize(product), u)
        self.vector.assign(u)

    def _kernel(self):
        return getattr(self.layer, _KERNELS[type(self.layer).__name__])

    def _matrix(self):
        """The kernel as [output channels, everything else]."""
        axis = _OUTPUT_AXIS.get(type(self.layer).__name__, -1)
        kernel = ops.moveaxis(ops.convert_to_tensor(self._kernel()), axis, 0)
        return ops.reshape(kernel, (kernel.shape[0], -1))


def _normalize(vector):
    """vector / |vector|, and zero, not NaN, for zero (a kernel of zeros must not end a run)."""
    return vector * ops.rsqrt(ops.maximum(ops.sum(ops.square(vector)), _SMALLEST**2))


def update_all(network):
    """Run `update` of every `SpectralNormalization` layer in `network`, nested models included."""
    for layer in network.layers:
        if isinstance(layer, SpectralNormalization):
            layer.update()
        elif isinstance(layer, keras.Model):
            update_all(layer)
