"""SNGAN: Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018), on the networks of DCGAN.

    repeat:
        u <- one power iteration on every kernel W of D   (algorithm 1)
        x ~ data, z ~ N(0, I)
        D descends  max(0, 1 - D(x)) + max(0, 1 + D(G(z)))     (eq. 16), every W replaced by W / sigma(W)
        z ~ N(0, I)
        G descends  -D(G(z))                                   (eq. 17)

Every layer of the discriminator is spectrally normalized, the last included, and nothing else in it is. It has the
strided 4x4 convolutions of the paper's standard CNN (table 3), 128, 256 and 512 channels, without the 3x3 convolutions
between them, and a LeakyReLU of slope 0.2 for the paper's 0.1. The cross-entropy loss, with which the paper's tables on
CIFAR-10 were made too, is `loss="non_saturating"`.
"""

from models_zoo.gan import GAN
from models_zoo.networks import dcgan_discriminator, dcgan_generator


class SNGAN(GAN):
    """Spectrally normalized DCGAN with the hinge loss."""

    losses = ("hinge", "non_saturating", "minimax")

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width):
        return (
            dcgan_generator(image_size, channels, latent_dim, width),
            dcgan_discriminator(image_size, channels, width, normalization="spectral", first_channels=128),
        )
