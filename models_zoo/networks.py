"""What networks share: the rule of sizes, layers that halve and double, and the networks of DCGAN.

A generator maps latents [B, latent_dim], or [latents, labels], to images [B, S, S, C] in [-1, 1]; a discriminator maps
such images to logits [B, 1]. `width` multiplies the channels of every hidden layer. Networks that only one variant has
stand in that variant's file; the residual ones in `models_zoo/resnet.py`.

Image sizes: multiples of 4 from 16 on. A discriminator halves the image, rounding up, until at most 7 pixels remain a
side (32 to 4, 64 to 4, 28 to 7, 108 over 54, 27 and 14 to 7); a generator goes the same way back and crops one pixel
where the rounding went up. Where a paper's table ends at another side, `sizes` is given it.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import layers

from models_zoo import checks
from models_zoo.spectral_normalization import wrapper

NORMALIZATIONS = ("batch", "layer", "spectral", "none")
_LARGEST_BASE = 7
_MOST_CHANNELS = 512


def sizes(image_size: int, largest_base: int = _LARGEST_BASE) -> list[int]:
    """Side lengths from the image down to the smallest feature map, of at most `largest_base` pixels.

    >>> sizes(108)
    [108, 54, 27, 14, 7]

    Raises:
        ValueError: for a size that is not a multiple of 4 or is under 16.
    """
    if image_size < 16 or image_size % 4:
        below = max(16, image_size // 4 * 4)
        raise ValueError(
            f"image_size must be a multiple of 4 from 16 on, for instance {below} or {below + 4}. "
            f"Received: image_size={image_size}"
        )
    result = [image_size]
    while result[-1] > largest_base:
        result.append((result[-1] + 1) // 2)
    return result


def scaled(channels: int, width: float) -> int:
    """Channels of a hidden layer at this width, at least 4."""
    return max(4, round(channels * width))


def channels_of(table: Sequence[int], count: int, width: float) -> list[int]:
    """The channels of `count` maps of a generator, out of its paper's table for 32x32.

    Larger images repeat the first entry, smaller ones leave it out.

    >>> channels_of((384, 192, 96), 4, 1.0)
    [384, 384, 192, 96]
    """
    all_of_them = [scaled(channels, width) for channels in table]
    return [all_of_them[0]] * (count - len(table)) + all_of_them[-count:]


def images_input(image_size, channels):
    return keras.Input((image_size, image_size, channels), name="images")


def latents_input(latent_dim):
    return keras.Input((latent_dim,), name="latents")


def labels_input(num_classes):
    """Raises ValueError for fewer than two classes."""
    if (num_classes or 0) < 2:
        raise ValueError(f"a conditional network needs two classes or more. Received: num_classes={num_classes}")
    return keras.Input((), dtype="int32", name="labels")


def normal():
    """Radford et al. (2016), section 4: zero-centred normal with standard deviation 0.02.

    To be called once for every layer: an initializer of Keras draws the same numbers each time it is used.
    """
    return keras.initializers.RandomNormal(stddev=0.02)


def batch_normalization(name):
    """Over the whole batch, also when it is spread over replicas; the faster local form when it is not."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=distributed(), name=name)


def distributed() -> bool:
    """Whether the network is being built for several replicas."""
    return tf.distribute.has_strategy()


def normalize(x, normalization, name):
    """Batch or layer normalization of a feature map; for "spectral" and "none", nothing."""
    if normalization == "batch":
        return batch_normalization(name)(x)
    if normalization == "layer":
        return layers.LayerNormalization(axis=(1, 2, 3), epsilon=1e-5, name=name)(x)
    return x


def doubled(x, filters, kernel_size, side, name, wrap=lambda layer: layer, **kwargs):
    """A transposed convolution of stride 2, cropped to `side` pixels, which may be one fewer than twice as many."""
    conv = layers.Conv2DTranspose(filters, kernel_size, strides=2, padding="same", name=name, **kwargs)
    return cropped(wrap(conv)(x), side, f"{name}_crop")


def cropped(x, side, name):
    """Without its last row and column, if it has one more than `side`."""
    return layers.Cropping2D(((0, 1), (0, 1)), name=name)(x) if x.shape[1] > side else x


def tanh_images(x):
    return layers.Activation("tanh", dtype="float32", name="images")(x)


def float32(x, name="logits"):
    """Losses are computed in float32, also under mixed precision."""
    return layers.Activation("linear", dtype="float32", name=f"float32_{name}")(x)


def one_hot(labels, num_classes):
    """Labels [B] as float one-hot rows [B, num_classes]."""
    return layers.CategoryEncoding(num_classes, output_mode="one_hot", name="one_hot")(labels)


def projection(features, labels, num_classes, wrap, initializer="glorot_uniform"):
    """Logits [B, 1] of a projection discriminator: psi(h) + <V[y], h>, h being `features` [B, d].

    Source: Miyato and Koyama, cGANs with Projection Discriminator (2018), eq. 4 and figure 1.
    """
    dim = features.shape[-1]
    embedding = layers.Embedding(num_classes, dim, embeddings_initializer=initializer, name="class_embedding")
    inner = layers.Dot(axes=1, name="inner_product")([wrap(embedding)(labels), features])
    unconditional = wrap(layers.Dense(1, kernel_initializer=initializer, name="logits"))(features)
    return layers.Add(name="projection")([unconditional, inner])


@keras.saving.register_keras_serializable("models_zoo")
class UniformNoise(keras.layers.Layer):
    """Standard normal latents as latents that are uniform in [-1, 1]: 2 Phi(z) - 1 = erf(z / sqrt 2), exactly.

    For papers whose generators take uniform noise; everything else of the suite draws normal latents only.
    """

    def call(self, latents):
        return keras.ops.erf(latents * 0.5**0.5)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("models_zoo")
class Dropout(keras.layers.Layer):
    """`keras.layers.Dropout` whose random state has a stable name, so that checkpoints find it again.

    Args:
        rate: fraction of the inputs that is set to zero in training, in [0, 1).
        seed: integer; if None, drawn from the global seed that `keras.utils.set_random_seed` sets. All replicas of a
            distributed step draw the same masks for their images.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = checks.fraction("dropout", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed, name=f"{self.name}_seed")

    def call(self, x, training=False):
        return keras.random.dropout(x, self.rate, seed=self.seed_generator) if training and self.rate else x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def dcgan_generator(image_size, channels=3, latent_dim=128, width=1.0, spectral=False):
    """Project, then double the size with transposed convolutions; batch normalization and ReLU, tanh at the end.

    Source: Radford et al., Unsupervised Representation Learning with DCGANs (2016), section 3 and figure 1. Kernels
    are 4x4 rather than 5x5: a kernel that is a multiple of its stride covers every pixel equally often.

    | layer                                   | output at 32x32, width 1 |
    | --------------------------------------- | ------------------------ |
    | dense, batch norm, ReLU                 | 4 x 4 x 512              |
    | 4x4 deconvolution /2, batch norm, ReLU  | 8 x 8 x 256              |
    | 4x4 deconvolution /2, batch norm, ReLU  | 16 x 16 x 128            |
    | 4x4 deconvolution /2, tanh              | 32 x 32 x C              |

    With `spectral` every layer is spectrally normalized as well (Zhang et al., 2019).

    Raises:
        ValueError: for a size outside the rule above.
    """
    path = sizes(image_size)[::-1]
    widths = [scaled(min(_MOST_CHANNELS, 64 * 2**i), width) for i in range(len(path) - 1, 0, -1)]
    wrap = wrapper(spectral)
    latents = latents_input(latent_dim)
    project = layers.Dense(path[0] ** 2 * widths[0], use_bias=False, kernel_initializer=normal(), name="project")
    x = wrap(project)(latents)
    x = layers.Reshape((path[0], path[0], widths[0]), name="reshape")(x)
    for i, side in enumerate(path[1:]):
        x = batch_normalization(f"norm_{i}")(x)
        x = layers.ReLU(name=f"relu_{i}")(x)
        last = i == len(path) - 2
        filters, name = (channels, "to_image") if last else (widths[i + 1], f"deconv_{i}")
        x = doubled(x, filters, 4, side, name, wrap, use_bias=last, kernel_initializer=normal())
    return keras.Model(latents, tanh_images(x), name="generator")


def dcgan_discriminator(image_size, channels=3, width=1.0, normalization="batch", first_channels=64, stable_rank=0.0):
    """Halve the size with strided convolutions, doubling the channels; LeakyReLU, and one normalization.

    Source: Radford et al. (2016), section 3: no pooling, LeakyReLU of slope 0.2, batch normalization in all layers but
    the first and the last. With `normalization="spectral"` every layer, the last included, is spectrally normalized
    and nothing else is (Miyato et al., 2018).

    | layer                                        | output at 32x32, width 1, 64 first channels |
    | -------------------------------------------- | ------------------------------------------- |
    | 4x4 convolution /2, LeakyReLU                | 16 x 16 x 64                                |
    | 4x4 convolution /2, normalization, LeakyReLU | 8 x 8 x 128                                 |
    | 4x4 convolution /2, normalization, LeakyReLU | 4 x 4 x 256                                 |
    | flatten, dense                               | 1                                           |

    Raises:
        ValueError: for a size outside the rule above, or an unknown normalization.
    """
    checks.one_of("normalization", normalization, NORMALIZATIONS)
    wrap = wrapper(normalization == "spectral", stable_rank)
    images = x = images_input(image_size, channels)
    for i in range(len(sizes(image_size)) - 1):
        normalized = normalization in ("batch", "layer") and i > 0
        conv = layers.Conv2D(
            scaled(min(_MOST_CHANNELS, first_channels * 2**i), width),
            4,
            strides=2,
            padding="same",
            use_bias=not normalized,
            kernel_initializer="glorot_uniform" if normalization == "spectral" else normal(),
            name=f"conv_{i}",
        )
        x = wrap(conv)(x)
        x = normalize(x, normalization, f"norm_{i}") if normalized else x
        x = layers.LeakyReLU(0.2, name=f"lrelu_{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    initializer = "glorot_uniform" if normalization == "spectral" else normal()
    x = wrap(layers.Dense(1, kernel_initializer=initializer, name="logits"))(x)
    return keras.Model(images, float32(x), name="discriminator")


def dcgan(image_size, channels, latent_dim, width, normalization="batch"):
    """Both networks of DCGAN, the discriminator with the given normalization."""
    return (
        dcgan_generator(image_size, channels, latent_dim, width),
        dcgan_discriminator(image_size, channels, width, normalization),
    )


def dcgan_of_single_samples(image_size, channels, latent_dim, width, num_classes=None, *, normalization="none"):
    """DCGAN's networks for gradient penalties, which look at each sample alone: no batch normalization in the
    discriminator, but `normalization` none or layer."""
    checks.one_of("normalization", normalization, ("none", "layer"))
    return dcgan(image_size, channels, latent_dim, width, normalization)
