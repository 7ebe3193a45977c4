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

from models_zoo.gan import GAN
from models_zoo.networks import dcgan, require


class DRAGAN(GAN):
    """DCGAN with a gradient penalty around the real images.

    Args:
        penalty_weight: lambda, not negative.
        **kwargs: as in `GAN`.
    """

    losses = ("non_saturating", "minimax")
    logged = (*GAN.logged, "gradient_penalty")

    def __init__(self, *args, penalty_weight=10.0, **kwargs):
        super().__init__(*args, **kwargs)
        if penalty_weight < 0:
            raise ValueError(f"penalty_weight must be 0 or more. Received: penalty_weight={penalty_weight}")
        self.penalty_weight = penalty_weight

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, normalization="none"):
        """`normalization` of the discriminator: none or layer."""
        require("normalization", normalization, ["none", "layer"])
        return dcgan(image_size, channels, latent_dim, width, normalization)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        loss, logs = super().discriminator_loss(real, labels, fake, fake_labels, index)
        penalty = self.gradient_penalty("dragan", real, labels, fake, index)
        return loss + self.penalty_weight * penalty, {**logs, "gradient_penalty": penalty}
