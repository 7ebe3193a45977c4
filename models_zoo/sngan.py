"""SNGAN: Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018).

    repeat:
        u <- one power iteration on every kernel W of D   (algorithm 1)
        x ~ data, z ~ N(0, I)
        D descends  max(0, 1 - D(x)) + max(0, 1 + D(G(z)))     (eq. 16), every W replaced by W / sigma(W)
        z ~ N(0, I)
        G descends  -D(G(z))                                   (eq. 17)

Every layer of the discriminator is spectrally normalized, the last included, and nothing else in it is. The
cross-entropy loss, with which the paper's tables on CIFAR-10 were made too, is `loss="non_saturating"`.

`architecture=standard`, the paper's standard CNN (table 3), at 32x32 and width 1:

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
there; the printed table doubles them one layer later. `architecture=resnet` is the residual network of table 4
(`models_zoo/resnet.py`). `architecture=strided` leaves out the 3x3 convolutions: DCGAN's networks with a discriminator
of twice the channels, the fastest of the three.

The baselines of Feng et al., ICLR Reproducibility of SNGAN, are `normalization=batch` and `normalization=layer`, in the
discriminator in the place of spectral normalization. That report has spectral normalization in its generator too
(`spectral_generator=true`) and a slope of 0.02, where 0.1 stays here. It says that SNGAN bounds the norm of the
gradient of all parameters; what is bounded is the Lipschitz constant of D with respect to its input.
"""

import keras
from keras import layers

from models_zoo import networks
from models_zoo.gan import GAN
from models_zoo.resnet import resnet_discriminator, resnet_generator
from models_zoo.spectral_normalization import wrapper

ARCHITECTURES = ("standard", "resnet", "strided")
_MOST_CHANNELS = 512


class SNGAN(GAN):
    """Spectrally normalized GAN with the hinge loss."""

    losses = ("hinge", "non_saturating", "minimax")

    @classmethod
    def networks(
        cls,
        image_size,
        channels,
        latent_dim,
        width,
        num_classes=None,
        *,
        architecture="standard",
        normalization="spectral",
        spectral_generator=False,
        stable_rank=0.0,
    ):
        """See `GAN.networks`.

        Args:
            architecture: standard, resnet or strided.
            normalization: of the discriminator: spectral, batch, layer or none.
            spectral_generator: whether the generator is spectrally normalized as well.
            stable_rank: bound of the discriminator's stable ranks as a fraction of the full rank; 0 for none.
        """
        networks.require("architecture", architecture, ARCHITECTURES)
        discriminator = {"normalization": normalization, "stable_rank": stable_rank}
        if architecture == "resnet":
            return (
                resnet_generator(image_size, channels, latent_dim, width, spectral=spectral_generator),
                resnet_discriminator(image_size, channels, width, **discriminator),
            )
        if architecture == "strided":
            return (
                networks.dcgan_generator(image_size, channels, latent_dim, width, spectral=spectral_generator),
                networks.dcgan_discriminator(image_size, channels, width, first_channels=128, **discriminator),
            )
        return (
            standard_generator(image_size, channels, latent_dim, width, spectral=spectral_generator),
            standard_discriminator(image_size, channels, width, **discriminator),
        )


def standard_generator(image_size, channels, latent_dim, width, *, spectral=False):
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


def standard_discriminator(image_size, channels, width, *, normalization="spectral", stable_rank=0.0):
    """The discriminator of the table above; `normalization` batch or layer stands after every convolution but the
    first."""
    networks.require("normalization", normalization, networks.NORMALIZATIONS)
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
