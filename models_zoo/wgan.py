"""WGAN: Arjovsky et al., Wasserstein Generative Adversarial Networks (2017), algorithm 1, on the networks of DCGAN.

    repeat:
        n_critic times:
            x ~ data, z ~ N(0, I)
            D descends  D(G(z)) - D(x)
            every weight of D is clipped to [-c, c]
        z ~ N(0, I)
        G descends  -D(G(z))

c = 0.01, n_critic = 5 (`discriminator_steps`) and RMSprop at 5e-5 are the paper's; they stand in the preset. "Every
weight" is every trainable one, biases and the scales of batch normalization included, as in the authors' code. The
critic is DCGAN's discriminator with batch normalization, without a sigmoid. d_real - d_fake in the log estimates the
Wasserstein distance up to the unknown constant that c stands for.
"""

import tensorflow as tf

from models_zoo.gan import GAN
from models_zoo.networks import NORMALIZATIONS, dcgan, require


class WGAN(GAN):
    """Wasserstein GAN with weight clipping.

    Args:
        clip: c, the largest magnitude of any critic weight, positive.
        **kwargs: as in `GAN`.
    """

    raw_scores = True
    losses = ("wasserstein",)

    def __init__(self, *args, clip=0.01, **kwargs):
        super().__init__(*args, **kwargs)
        if clip <= 0:
            raise ValueError(f"clip must be positive. Received: clip={clip}")
        self.clip = clip

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, normalization="batch"):
        """`normalization` of the critic: batch, layer or none."""
        require("normalization", normalization, [name for name in NORMALIZATIONS if name != "spectral"])
        return dcgan(image_size, channels, latent_dim, width, normalization)

    def discriminator_step(self, images, labels=None, index=0):
        logs = super().discriminator_step(images, labels, index)
        for variable in self.discriminator.trainable_variables:
            variable.assign(tf.clip_by_value(variable, -self.clip, self.clip))
        return logs
