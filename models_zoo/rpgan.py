"""RpGAN with R1 and R2: Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN (2024), section 2.

    repeat:
        x ~ data, z ~ N(0, I)
        D descends  f(D(G(z)) - D(x)) + gamma/2 |grad D(x)|^2 + gamma/2 |grad D(G(z))|^2      (eq. 2, 3 and 4)
        z ~ N(0, I)
        G descends  f(D(x) - D(G(z)))

    f(t) = log(1 + e^t)

A generated image is compared with a real one, so D's logits mean something in differences alone: a generator that has
found one mode gains nothing over real images of it, and the loss has no minimum at dropped modes. Both updates of a
step see the same real images. R1 and R2 (Mescheder et al., 2018, eq. 9 and 10) make it converge; neither alone does.

gamma must be set anew for each dataset and network; 1 is a start. Here the networks are DCGAN's, the discriminator
without normalization; the paper's own, with its gamma for CIFAR-10, are in `models_zoo/r3gan.py`. d_real and d_fake in
the log are logits.
"""

import tensorflow as tf

from models_zoo import checks, networks
from models_zoo.gan import GAN
from models_zoo.losses import paired_discriminator, paired_generator
from models_zoo.penalties import r1, r2


class RpGAN(GAN):
    """DCGAN with the relativistic pairing loss and zero-centred gradient penalties on real and generated images.

    Args:
        penalty_weight: gamma, not negative.
        **kwargs: as in `GAN`.
    """

    default_loss, only_losses = "relativistic_pairing", ("relativistic_pairing",)
    logged = (*GAN.logged, "r1", "r2")
    networks = staticmethod(networks.dcgan_of_single_samples)

    def __init__(self, *args, penalty_weight=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.penalty_weight = checks.not_negative("penalty_weight", penalty_weight)

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            # f(D(G(z)) - D(x)) + gamma/2 |grad D(x)|^2 + gamma/2 |grad D(G(z))|^2
            d_logs = self.discriminator_step(real, labels, index)
        g_logs = self.generator_step(tf.shape(real)[0], real, labels)  # f(D(x) - D(G(z)))
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_logits, fake_logits = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        on_real = self.penalty(r1, real, labels, fake, index)
        on_fake = self.penalty(r2, real, fake_labels, fake, index)
        loss = paired_discriminator(real_logits, fake_logits) + self.penalty_weight * (on_real + on_fake)
        logits = {"d_real": tf.reduce_mean(real_logits), "d_fake": tf.reduce_mean(fake_logits)}
        return loss, {"r1": on_real, "r2": on_fake, **logits}

    def generator_loss(self, fake, labels, *real):
        return paired_generator(self.judge(*real), self.judge(fake, labels)), {}
