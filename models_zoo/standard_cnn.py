"""The standard CNN of Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018), table 3.

At 32x32 and width 1:

| generator                                | output        | discriminator                 | output        |
| ---------------------------------------- | ------------- | ----------------------------- | ------------- |
| dense, batch norm, ReLU                  | 4 x 4 x 512   | 3x3 convolution, LeakyReLU    | 32 x 32 x 64  |
| 4x4 deconvolution /2, batch norm, ReLU   | 8 x 8 x 256   | 4x4 convolution /2, LeakyReLU | 16 x 16 x 128 |
| 4x4 deconvolution /2, batch norm, ReLU   | 16 x 16 x 128 | 3x3 convolution, LeakyReLU    | 16 x 16 x 128 |
| 4x4 deconvolution /2, batch norm, ReLU   | 32 x 32 x 64  | 4x4 convolution /2, LeakyReLU | 8 x 8 x 256   |
| 3x3 convolution, tanh                    | 32 x 32 x C   | 3x3 convolution, LeakyReLU    | 8 x 8 x 256   |
|                                          |               | 4x4 convolution /2, LeakyReLU | 4 x 4 x 512   |
|                                          |               | 3x3 convolution, LeakyReLU    | 4 x 4 x 512   |
|                                          |               | flatten, dense                | 1             |

with slope 0.1 and weights from N(0, 0.02^2). The strided layers have the channels of the authors' code, which double
there; the printed table doubles them one layer later.
"""

import keras
from keras import layers

from models_zoo import checks, networks
from models_zoo.spectral_normalization import wrapper

_MOST_CHANNELS = 512


def generator(image_size, channels, latent_dim, width, *, spectral=False):
    """The generator of the table above."""
    path = networks.sizes(image_size)[::-1]
    filters = [networks.scaled(min(_MOST_CHANNELS, 64 * 2**i), width) for i in reversed(range(len(path)))]
    wrap = wrapper(spectral)
    latents = networks.latents_input(latent_dim)
    project = layers.Dense(
        path[0] ** 2 * filters[0], use_bias=False, kernel_initializer=networks.normal(), name="project"
    )
    x = wrap(project)(latents)
    x = layers.Reshape((path[0], path[0], filters[0]), name="reshape")(x)
    x = layers.ReLU(name="relu")(networks.batch_normalization("norm")(x))
    for i, side in enumerate(path[1:]):
        x = networks.doubled(
            x, filters[i + 1], 4, side, f"deconv_{i}", wrap, use_bias=False, kernel_initializer=networks.normal()
        )
        x = layers.ReLU(name=f"relu_{i}")(networks.batch_normalization(f"norm_{i}")(x))
    conv = layers.Conv2D(channels, 3, padding="same", kernel_initializer=networks.normal(), name="to_image")
    return keras.Model(latents, networks.tanh_images(wrap(conv)(x)), name="generator")


def discriminator(image_size, channels, width, *, normalization="spectral", stable_rank=0.0):
    """The discriminator of the table above; `normalization` batch or layer stands after every convolution but the
    first."""
    checks.one_of("normalization", normalization, networks.NORMALIZATIONS)
    wrap = wrapper(normalization == "spectral", stable_rank)
    images = x = networks.images_input(image_size, channels)
    halvings = len(networks.sizes(image_size)) - 1
    for i in range(2 * halvings + 1):
        strided = i % 2 == 1
        normalized = normalization in ("batch", "layer") and i > 0
        conv = layers.Conv2D(
            networks.scaled(min(_MOST_CHANNELS, 64 * 2 ** ((i + 1) // 2)), width),
            4 if strided else 3,
            strides=2 if strided else 1,
            padding="same",
            use_bias=not normalized,
            kernel_initializer=networks.normal(),
            name=f"conv_{i}",
        )
        x = wrap(conv)(x)
        x = networks.normalize(x, normalization, f"norm_{i}") if normalized else x
        x = layers.LeakyReLU(0.1, name=f"lrelu_{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = wrap(layers.Dense(1, kernel_initializer=networks.normal(), name="logits"))(x)
    return keras.Model(images, networks.float32(x), name="discriminator")
