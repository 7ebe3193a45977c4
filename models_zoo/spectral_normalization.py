"""Spectral normalization (Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018)."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from models_zoo import checks

# layer -> (attribute that holds its kernel, the kernel's axis of output channels)
_KERNELS = {
    **dict.fromkeys((layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense), ("kernel", -1)),
    **dict.fromkeys((layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose), ("kernel", -2)),
    layers.Embedding: ("embeddings", -1),
}
_SMALLEST = 1e-12  # norms below it count as zero


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
        layer: a `Dense`, `Embedding`, convolution or transposed convolution in one, two or three dimensions, or a
            subclass of one of them. A depthwise or separable convolution is none of these: its channels each see an
            input of their own, so its norm is not that of one matrix with a row per output channel.
        power_iterations: iterations in one `update`; the paper uses one.
        stable_rank: 0, or a fraction c in (0, 1] of the full rank min(m, n) of the kernel's matrix: the stable rank
            |W|_F^2 / sigma^2 is then kept at c * min(m, n) or below (Sanyal et al., Stable Rank Normalization for
            Improved Generalization in Neural Networks and GANs, 2020, algorithm 2), by shrinking all of W / sigma but
            its first singular direction u v^T. A target below 1, which no matrix has, counts as 1.
        update_in_call: whether a call with `training=True` updates u. The models of this package switch it off and
            call `update` once per discriminator step, so that the real and the generated batch see the same function
            and the generator's step changes nothing in the discriminator.

    Raises:
        ValueError: for another kind of layer, less than one iteration, or a stable rank outside [0, 1].
    """

    WARM_UP = 20  # iterations when the layer is built, so that the first step already sees the right norm

    def __init__(self, layer, power_iterations=1, stable_rank=0.0, update_in_call=True, **kwargs):
        if not isinstance(layer, tuple(_KERNELS)):
            names = ", ".join(sorted(kind.__name__ for kind in _KERNELS))
            raise ValueError(f"layer must be one of {names}, or of a subclass. Received: layer={type(layer).__name__}")
        checks.at_least_one("power_iterations", power_iterations)
        checks.require(0 <= stable_rank <= 1, "stable_rank", stable_rank, "in [0, 1], 0 for off")
        # Without autocasting, W, u and sigma stay float32 under mixed precision; the wrapped layer casts for itself.
        super().__init__(layer, autocast=False, **kwargs)
        self.power_iterations = power_iterations
        self.stable_rank = stable_rank
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
        u, v = self._vectors()
        return ops.sum(u * ops.matmul(self._matrix(), v))

    def normalized_kernel(self):
        """What the layer works with in the place of its kernel, in the kernel's shape: W / sigma, with its stable rank
        bounded if so asked."""
        kernel = ops.convert_to_tensor(self._kernel())
        kernel = kernel / ops.maximum(self.sigma(), _SMALLEST)  # a kernel of zeros stays zero, and is no NaN
        return self._with_bounded_stable_rank(kernel) if self.stable_rank else kernel

    def call(self, inputs, training=None):
        if training and self.update_in_call:
            self.update()
        kernel = self._kernel()
        values = [(variable, ops.convert_to_tensor(variable)) for variable in self.layer.variables]
        values = [(variable, self.normalized_kernel() if variable is kernel else value) for variable, value in values]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "power_iterations": self.power_iterations,
            "stable_rank": self.stable_rank,
            "update_in_call": self.update_in_call,
        }

    def _iterate(self, iterations):
        matrix, u = ops.stop_gradient(self._matrix()), ops.convert_to_tensor(self.vector)
        for _ in range(iterations):
            product = ops.matmul(matrix, _normalize(ops.matmul(u, matrix)))
            u = ops.where(ops.sum(ops.square(product)) > _SMALLEST**2, _normalize(product), u)
        self.vector.assign(u)

    def _kernel(self):
        return getattr(self.layer, self._place()[0])

    def _vectors(self):
        """u and v = W^T u / |W^T u|, which count as constants."""
        u = ops.convert_to_tensor(self.vector)
        return u, ops.stop_gradient(_normalize(ops.matmul(u, self._matrix())))

    def _matrix(self):
        """The kernel as [output channels, everything else]."""
        return self._as_matrix(ops.convert_to_tensor(self._kernel()))

    def _as_matrix(self, kernel):
        kernel = ops.moveaxis(kernel, self._output_axis(), 0)
        return ops.reshape(kernel, (kernel.shape[0], -1))

    def _with_bounded_stable_rank(self, kernel):
        """u v^T + min(1, sqrt(r - 1) / |S|_F) S of a normalized kernel u v^T + S, r being the target."""
        matrix = self._as_matrix(kernel)
        u = ops.convert_to_tensor(self.vector)
        # u v^T, but with a gradient: without it a target of 1, that of every kernel with one row, would leave none
        first = ops.outer(u, ops.matmul(u, matrix))
        rest = matrix - first
        target = max(1.0, self.stable_rank * min(matrix.shape))
        norm = ops.sqrt(ops.maximum(ops.sum(ops.square(rest)), _SMALLEST))
        matrix = first + rest * ops.minimum(1.0, np.sqrt(target - 1) / norm)
        axis = self._output_axis()
        shape = list(kernel.shape)
        channels = shape.pop(axis)
        return ops.moveaxis(ops.reshape(matrix, (channels, *shape)), 0, axis)

    def _output_axis(self):
        return self._place()[1]

    def _place(self):
        return next(place for kind, place in _KERNELS.items() if isinstance(self.layer, kind))


def _normalize(vector):
    """vector / |vector|, and zero, not NaN, for zero (a kernel of zeros must not end a run)."""
    return vector * ops.rsqrt(ops.maximum(ops.sum(ops.square(vector)), _SMALLEST**2))


def wrapper(spectral, stable_rank=0.0, **kwargs):
    """A function from a layer to the layer, if `spectral` wrapped and named `sn_` and its name; only `update` moves u.

    Raises:
        ValueError: for a stable rank without spectral normalization.
    """
    if not spectral:
        if stable_rank:
            raise ValueError(f"stable_rank needs spectral normalization. Received: stable_rank={stable_rank}")
        return lambda layer: layer
    return lambda layer: SpectralNormalization(
        layer, stable_rank=stable_rank, update_in_call=False, name=f"sn_{layer.name}", **kwargs
    )


def update_all(network):
    """Run `update` of every layer of `network` that has one: this wrapper, and layers made of it; nested models too."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            update_all(layer)
        elif hasattr(layer, "update"):
            layer.update()
