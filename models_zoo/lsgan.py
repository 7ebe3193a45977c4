"""LSGAN: Mao et al., Least Squares Generative Adversarial Networks (2017), on the networks of DCGAN.

    repeat:
        x ~ data, z ~ N(0, I)
        D descends  1/2 (D(x) - b)^2 + 1/2 (D(G(z)) - a)^2         (eq. 2; D without a sigmoid)
        z ~ N(0, I)
        G descends  1/2 (D(G(z)) - c)^2

a and b are what D should say of generated and of real images, c is what G wants D to say. Both choices of the paper:

| loss                    | a, b, c  | what it is                                                         |
| ----------------------- | -------- | ------------------------------------------------------------------ |
| `least_squares`         | 0, 1, 1  | real and generated as 1 and 0 (eq. 9), the paper's experiments too |
| `least_squares_pearson` | -1, 1, 0 | b - c = 1 and b - a = 2: the Pearson chi^2 divergence (eq. 8)      |

The paper's own networks are for 112x112 pixels; here they are those of DCGAN, as in Gunnlaugsson et al., Evaluation of
Spectral Normalization for GANs Using Inception Score. That report prints eq. 2 with the same a, b and c.
"""

import tensorflow as tf

from models_zoo import networks
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES


class LSGAN(GAN):
    """DCGAN with squared errors in the place of the cross-entropy."""

    default_loss = "least_squares"
    only_losses = ("least_squares", "least_squares_pearson")

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None):
        return networks.dcgan(image_size, channels, latent_dim, width)

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            d_logs = self.discriminator_step(real, labels, index)  # 1/2 (D(x) - b)^2 + 1/2 (D(G(z)) - a)^2
        g_logs = self.generator_step(tf.shape(real)[0])  # 1/2 (D(G(z)) - c)^2
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_logits, fake_logits = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        loss = LOSSES[self.adversarial_loss].discriminator(real_logits, fake_logits)
        return loss, self.opinions(real_logits, fake_logits)

    def generator_loss(self, fake, labels):
        return LOSSES[self.adversarial_loss].generator(self.judge(fake, labels)), {}
