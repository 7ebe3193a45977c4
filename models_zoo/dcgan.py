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

import tensorflow as tf

from models_zoo import networks
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES


class DCGAN(GAN):
    """DCGAN with the non-saturating loss, or `loss="minimax"` for the original game, or any other."""

    default_loss = "non_saturating"

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None):
        return networks.dcgan(image_size, channels, latent_dim, width)

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            d_logs = self.discriminator_step(real, labels, index)  # -log D(x) - log(1 - D(G(z)))
        g_logs = self.generator_step(tf.shape(real)[0])  # -log D(G(z))
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_logits, fake_logits = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        loss = LOSSES[self.adversarial_loss].discriminator(real_logits, fake_logits)
        return loss, self.opinions(real_logits, fake_logits)

    def generator_loss(self, fake, labels):
        return LOSSES[self.adversarial_loss].generator(self.judge(fake, labels)), {}
