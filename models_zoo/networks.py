"""Generators and discriminators: functions that return functional Keras models.

A generator maps latents [B, latent_dim] to images [B, S, S, C] in [-1, 1]; a discriminator maps such images to logits
[B, 1]. `width` multiplies the channels of every hidden layer.

Image sizes: a discriminator halves the image, rounding up, until at most 7 pixels remain a side (32 to 4, 64 to 4,
28 to 7, 108 over 54, 27 and 14 to 7); a generator goes the same way back and crops one pixel where the rounding went
up. Sizes are multiples of 4 from 16 on.
"""

import keras
import tensorflow as tf
from keras import layers

from models_zoo.spectral_normalization import SpectralNormalization

NORMALIZATIONS = ("batch", "layer", "spectral", "none")
_LARGEST_BASE = 7
_MOST_CHANNELS = 512


def sizes(image_size):
    """Side lengths from the image down to the smallest feature map.

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
    while result[-1] > _LARGEST_BASE:
        result.append((result[-1] + 1) // 2)
    return result


def scaled(channels, width):
    """Channels of a hidden layer at this width, at least 4."""
    return max(4, round(channels * width))


def dcgan_generator(image_size, channels=3, latent_dim=128, width=1.0):
    """Project, then double the size with transposed convolutions; batch normalization and ReLU, tanh at the end.

    Source: Radford et al., Unsupervised Representation Learning with DCGANs (2016), section 3 and figure 1. Kernels
    are 4x4 rather than 5x5: a kernel that is a multiple of its stride covers every pixel equally often.

    | layer                                   | output at 32x32, width 1 |
    | --------------------------------------- | ------------------------ |
    | dense, batch norm, ReLU                 | 4 x 4 x 512              |
    | 4x4 deconvolution /2, batch norm, ReLU  | 8 x 8 x 256              |
    | 4x4 deconvolution /2, batch norm, ReLU  | 16 x 16 x 128            |
    | 4x4 deconvolution /2, tanh              | 32 x 32 x C              |

    Raises:
        ValueError: for a size outside the rule above.
    """
    path = sizes(image_size)[::-1]
    widths = [scaled(min(_MOST_CHANNELS, 64 * 2**i), width) for i in range(len(path) - 1, 0, -1)]
    latents = keras.Input((latent_dim,), name="latents")
    x = layers.Dense(path[0] ** 2 * widths[0], use_bias=False, kernel_initializer=_normal(), name="project")(latents)
    x = layers.Reshape((path[0], path[0], widths[0]), name="reshape")(x)
    for i, (size, next_size) in enumerate(zip(path[:-1], path[1:], strict=True)):
        x = _batch_normalization(f"norm_{i}")(x)
        x = layers.ReLU(name=f"relu_{i}")(x)
        last = i == len(path) - 2
        x = layers.Conv2DTranspose(
            channels if last else widths[i + 1],
            4,
            strides=2,
            padding="same",
            use_bias=last,
            kernel_initializer=_normal(),
            name="to_image" if last else f"deconv_{i}",
        )(x)
        if next_size < 2 * size:
            x = layers.Cropping2D(((0, 1), (0, 1)), name=f"crop_{i}")(x)
    images = layers.Activation("tanh", dtype="float32", name="images")(x)
    return keras.Model(latents, images, name="generator")


def dcgan_discriminator(image_size, channels=3, width=1.0, normalization="batch", first_channels=64):
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
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization must be one of {', '.join(NORMALIZATIONS)}. Received: normalization={normalization!r}"
        )
    spectral = normalization == "spectral"
    images = x = keras.Input((image_size, image_size, channels), name="images")
    for i in range(len(sizes(image_size)) - 1):
        normalized = normalization in ("batch", "layer") and i > 0
        conv = layers.Conv2D(
            scaled(min(_MOST_CHANNELS, first_channels * 2**i), width),
            4,
            strides=2,
            padding="same",
            use_bias=not normalized,
            kernel_initializer="glorot_uniform" if spectral else _normal(),
            name=f"conv_{i}",
        )
        x = _spectral(conv, f"sn_{i}")(x) if spectral else conv(x)
        if normalized and normalization == "batch":
            x = _batch_normalization(f"norm_{i}")(x)
        elif normalized:
            x = layers.LayerNormalization(axis=(1, 2, 3), epsilon=1e-5, name=f"norm_{i}")(x)
        x = layers.LeakyReLU(0.2, name=f"lrelu_{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    dense = layers.Dense(1, kernel_initializer="glorot_uniform" if spectral else _normal(), name="logits")
    x = _spectral(dense, "sn_logits")(x) if spectral else dense(x)
    logits = layers.Activation("linear", dtype="float32", name="float32_logits")(x)
    return keras.Model(images, logits, name="discriminator")


def _normal():
    """Radford et al. (2016), section 4: zero-centred normal with standard deviation 0.02."""
    return keras.initializers.RandomNormal(stddev=0.02)


def _batch_normalization(name):
    """Over the whole batch, also when it is spread over replicas; the faster local form when it is not."""
    distributed = tf.distribute.has_strategy()
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=distributed, name=name)


def _spectral(layer, name):
    return SpectralNormalization(layer, update_in_call=False, name=name)
