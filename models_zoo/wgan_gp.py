"""WGAN-GP: Gulrajani et al., Improved Training of Wasserstein GANs (2017), algorithm 1, on the networks of DCGAN.

    repeat:
        n_critic times:
            x ~ data, z ~ N(0, I), eps ~ U[0, 1] for each sample
            x_hat = eps x + (1 - eps) G(z)
            D descends  D(G(z)) - D(x) + lambda (|grad D(x_hat)| - 1)^2      (eq. 3)
        z ~ N(0, I)
        G descends  -D(G(z))

lambda = 10, n_critic = 5 (`discriminator_steps`), Adam at 1e-4 with betas 0 and 0.9. The penalty looks at each sample
alone, so the critic has no batch normalization, which would tie a batch together (section 4); layer normalization, the
paper's own choice, is `normalization=layer`; Keras' has a gain and a bias for every pixel and channel, the authors' one
for every channel. Frank and Juracek, Recent Advances in GANs, keep the batch normalization of their DCGAN in it; this
follows the original. Their second formula lets x_hat and the generated images share a symbol.
"""

import tensorflow as tf

from models_zoo import checks, networks
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES
from models_zoo.penalties import wgan_gp


class WGANGP(GAN):
    """Wasserstein GAN with a gradient penalty.

    Args:
        penalty_weight: lambda, not negative.
        **kwargs: as in `GAN`.
    """

    default_loss = "wasserstein"
    logged = (*GAN.logged, "gradient_penalty")
    networks = staticmethod(networks.dcgan_of_single_samples)

    def __init__(self, *args, penalty_weight=10.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.penalty_weight = checks.not_negative("penalty_weight", penalty_weight)

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # n_critic times
            d_logs = self.discriminator_step(real, labels, index)  # D(G(z)) - D(x) + lambda (|grad D(x_hat)| - 1)^2
        g_logs = self.generator_step(tf.shape(real)[0])  # -D(G(z))
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_logits, fake_logits = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        loss = LOSSES[self.adversarial_loss].discriminator(real_logits, fake_logits)
        penalty = self.penalty(wgan_gp, real, labels, fake, index)
        logs = {"gradient_penalty": penalty} | self.opinions(real_logits, fake_logits)
        return loss + self.penalty_weight * penalty, logs

    def generator_loss(self, fake, labels):
        return LOSSES[self.adversarial_loss].generator(self.judge(fake, labels)), {}
