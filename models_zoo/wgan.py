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

from models_zoo import checks, networks
from models_zoo.gan import GAN
from models_zoo.losses import wasserstein_discriminator, wasserstein_generator


class WGAN(GAN):
    """Wasserstein GAN with weight clipping.

    Args:
        clip: c, the largest magnitude of any critic weight, positive.
        **kwargs: as in `GAN`.
    """

    default_loss = "wasserstein"
    only_losses = ("wasserstein",)

    def __init__(self, *args, clip=0.01, **kwargs):
        super().__init__(*args, **kwargs)
        self.clip = checks.positive("clip", clip)

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, normalization="batch"):
        """`normalization` of the critic: batch, layer or none."""
        checks.one_of("normalization", normalization, ("batch", "layer", "none"))
        return networks.dcgan(image_size, channels, latent_dim, width, normalization)

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # n_critic times
            d_logs = self.discriminator_step(real, labels, index)  # D(G(z)) - D(x)
            self.clip_weights()
        g_logs = self.generator_step(tf.shape(real)[0])  # -D(G(z))
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_scores, fake_scores = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        return wasserstein_discriminator(real_scores, fake_scores), self.opinions(real_scores, fake_scores)

    def generator_loss(self, fake, labels):
        return wasserstein_generator(self.judge(fake, labels)), {}

    def clip_weights(self):
        """Every weight of the critic into [-c, c]."""
        for variable in self.discriminator.trainable_variables:
            variable.assign(tf.clip_by_value(variable, -self.clip, self.clip))
