"""R3GAN: Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN (2024).

    repeat:
        (x, y) ~ data, z ~ N(0, I)
        D descends  f(D(G(z, y), y) - D(x, y)) + gamma/2 |grad D(x, y)|^2 + gamma/2 |grad D(G(z, y), y)|^2
        z ~ N(0, I)
        G descends  f(D(x, y) - D(G(z, y), y))

    f(t) = log(1 + e^t)

The loss is that of `models_zoo/rpgan.py`; a generated image is of the class of the real one that it is compared with.
The networks, `models_zoo/inverted_residual.py`, have no normalization; images end linear, and are clipped when shown.

The paper's schedules are not here: its rate goes from 2e-4 to 5e-5, gamma from 0.05 to 0.005 and Adam's beta_2 from 0.9
to 0.99 in the first 20 of 250 million images of CIFAR-10; beta_1 is 0. gamma must be set anew for each dataset.
"""

import tensorflow as tf

from models_zoo import checks, inverted_residual
from models_zoo.gan import GAN
from models_zoo.losses import paired_discriminator, paired_generator
from models_zoo.penalties import r1, r2


class R3GAN(GAN):
    """The modern baseline: a plain residual network, the relativistic pairing loss, R1 and R2.

    Args:
        penalty_weight: gamma, not negative.
        **kwargs: as in `GAN`.
    """

    default_loss, only_losses = "relativistic_pairing", ("relativistic_pairing",)
    logged = (*GAN.logged, "r1", "r2")
    conditional = True

    def __init__(self, *args, penalty_weight=0.05, **kwargs):
        super().__init__(*args, **kwargs)
        self.penalty_weight = checks.not_negative("penalty_weight", penalty_weight)

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None):
        return (
            inverted_residual.generator(image_size, channels, latent_dim, width, num_classes),
            inverted_residual.discriminator(image_size, channels, latent_dim, width, num_classes),
        )

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            # f(D(G(z, y), y) - D(x, y)) + gamma/2 |grad D(x, y)|^2 + gamma/2 |grad D(G(z, y), y)|^2
            d_logs = self.discriminator_step(real, labels, index)
        g_logs = self.generator_step(tf.shape(real)[0], real, labels)  # f(D(x, y) - D(G(z, y), y))
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

    def noise(self, batch_size, latents_use, labels_use, index=0, real_labels=None):
        latents, _ = super().noise(batch_size, latents_use, labels_use, index)
        return latents, real_labels
