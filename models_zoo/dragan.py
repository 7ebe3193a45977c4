"""DRAGAN: Kodali et al., On Convergence and Stability of GANs (2017), on the networks of DCGAN.

    repeat:
        x ~ data, z ~ N(0, I), x_hat = a random point near x
        D descends  -log D(x) - log(1 - D(G(z))) + lambda (|grad D(x_hat)| - k)^2
        z ~ N(0, I)
        G descends  -log D(G(z))

lambda = 10 and k = 1. The gradient is that of the logits, and x_hat is drawn as in the authors' code; how that differs
from the paper's text stands in `models_zoo.penalties.dragan`. The penalty looks at each sample alone, so the
discriminator has no batch normalization.
"""

import tensorflow as tf

from models_zoo import checks, networks
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES
from models_zoo.penalties import dragan


class DRAGAN(GAN):
    """DCGAN with a gradient penalty around the real images.

    Args:
        penalty_weight: lambda, not negative.
        **kwargs: as in `GAN`.
    """

    default_loss = "non_saturating"
    logged = (*GAN.logged, "gradient_penalty")
    networks = staticmethod(networks.dcgan_of_single_samples)

    def __init__(self, *args, penalty_weight=10.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.penalty_weight = checks.not_negative("penalty_weight", penalty_weight)

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            # -log D(x) - log(1 - D(G(z))) + lambda (|grad D(x_hat)| - 1)^2
            d_logs = self.discriminator_step(real, labels, index)
        g_logs = self.generator_step(tf.shape(real)[0])  # -log D(G(z))
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_logits, fake_logits = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        loss = LOSSES[self.adversarial_loss].discriminator(real_logits, fake_logits)
        penalty = self.penalty(dragan, real, labels, fake, index)
        logs = {"gradient_penalty": penalty} | self.opinions(real_logits, fake_logits)
        return loss + self.penalty_weight * penalty, logs

    def generator_loss(self, fake, labels):
        return LOSSES[self.adversarial_loss].generator(self.judge(fake, labels)), {}
