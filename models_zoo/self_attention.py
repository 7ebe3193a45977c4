"""Self-attention over the pixels of a feature map (Zhang et al., Self-Attention GANs, 2019)."""

import keras
from keras import layers, ops

from models_zoo.spectral_normalization import wrapper


@keras.saving.register_keras_serializable("models_zoo")
class SelfAttention(keras.layers.Layer):
    """Add to every pixel a weighted sum over all pixels, [B, H, W, C] to [B, H, W, C].

    Source: Zhang et al. (2019), section 3, eqs. 1 to 3. With N = H * W pixels x_i and C_bar = max(1, C // 8):

        beta_ji = softmax over i of f(x_i)^T g(x_j),    o_j = v(sum_i beta_ji h(x_i)),    y_j = gamma * o_j + x_j.

    f, g and h are 1x1 convolutions to C_bar channels and v is one to C channels, all without bias; the scalar gamma is
    trained from zero, so a new layer is the identity. f, g and h learn nothing until gamma has left zero. Memory grows
    as B * N^2. The softmax is computed in float32, its logits included.

    Args:
        spectral: whether to wrap each of the four convolutions in a `SpectralNormalization` whose vector changes in
            `update` only.
        stable_rank: of these, see there.
        initializer: of the four kernels.

    Raises:
        ValueError: for inputs that are not [B, H, W, C] with a known C.
    """

    def __init__(self, spectral=False, stable_rank=0.0, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.spectral = spectral
        self.stable_rank = stable_rank
        self.initializer = keras.initializers.get(initializer)
        self._wrap = wrapper(spectral, stable_rank, dtype=self.dtype_policy)

    def build(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(f"inputs must be [B, H, W, C] with a known C. Received: input_shape={tuple(input_shape)}")
        channels = input_shape[-1]
        inner = max(1, channels // 8)
        self.f, self.g, self.h = (self._convolution(inner, name) for name in "fgh")
        self.v = self._convolution(channels, "v")
        for convolution in (self.f, self.g, self.h):
            convolution.build(input_shape)
        self.v.build((*input_shape[:-1], inner))
        self.gamma = self.add_weight(shape=(), initializer="zeros", name="gamma")

    def attention(self, inputs):
        """The weights beta of inputs [B, H, W, C]: float32 [B, N, N], in [0, 1]; each row j sums to one over i."""
        if not self.built:
            self.build(inputs.shape)
        f, g = (ops.cast(_pixels(convolution(inputs)), "float32") for convolution in (self.f, self.g))
        return ops.softmax(ops.matmul(g, ops.transpose(f, (0, 2, 1))), axis=-1)

    def call(self, inputs):
        h = self.h(inputs)
        attended = ops.matmul(ops.cast(self.attention(inputs), h.dtype), _pixels(h))
        return self.gamma * self.v(ops.reshape(attended, ops.shape(h))) + inputs

    def update(self):
        """Run `update` of the four spectral normalizations, if there are any."""
        if self.spectral:
            for convolution in (self.f, self.g, self.h, self.v):
                convolution.update()

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "spectral": self.spectral,
            "stable_rank": self.stable_rank,
            "initializer": keras.initializers.serialize(self.initializer),
        }

    def _convolution(self, channels, name):
        convolution = layers.Conv2D(
            channels, 1, use_bias=False, kernel_initializer=self.initializer.clone(), dtype=self.dtype_policy, name=name
        )
        return self._wrap(convolution)


def _pixels(images):
    """[B, H, W, C] as [B, N, C]."""
    _, height, width, channels = ops.shape(images)
    return ops.reshape(images, (-1, height * width, channels))
