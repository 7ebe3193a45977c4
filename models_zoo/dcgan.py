"""DCGAN: Radford et al., Unsupervised Representation Learning with Deep Convolutional GANs (2016).

    repeat:
        x ~ data, z ~ N(0, I)
        D descends  -log D(x) - log(1 - D(G(z)))          (Goodfellow et al. 2014, eq. 1)
        z ~ N(0, I)
        G descends  -log D(G(z))                          (non-saturating, ibid. section 3)

The four rules of section 3: strided and transposed convolutions in the place of pooling; batch normalization in both
networks, except G's output and D's input layer; no hidden dense layers; ReLU in G with tanh at its end, LeakyReLU in D.

Departures, each for a reason: latents are normal where the paper draws them uniformly (as in Frank and Juracek, Recent
Advances in GANs, section 3); kernels are 4x4 where the paper's figure has 5x5 (they cover every pixel equally often);
batch normalization has momentum 0.9. The layer tables stand beside the networks in `models_zoo/networks.py`.
"""

from models_zoo.gan import GAN
from models_zoo.networks import dcgan


class DCGAN(GAN):
    """DCGAN with the non-saturating loss, or `loss="minimax"` for the original game."""

    losses = ("non_saturating", "minimax")

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None):
        return dcgan(image_size, channels, latent_dim, width)
