"""R1: Mescheder et al., Which Training Methods for GANs do actually Converge? (2018), on the networks of DCGAN.

    repeat:
        x ~ data, z ~ N(0, I)
        D descends  -log D(x) - log(1 - D(G(z))) + gamma/2 |grad D(x)|^2      (eq. 9)
        z ~ N(0, I)
        G descends  -log D(G(z))

The gradient is that of the logits at the real images; gamma = 10 (section 4.1). The paper's own networks are residual
ones without any normalization; here they are DCGAN's, the discriminator without normalization.
"""

from models_zoo.gan import GAN
from models_zoo.networks import dcgan, require


class R1GAN(GAN):
    """DCGAN with a zero-centred gradient penalty on the real images.

    Args:
        penalty_weight: gamma, not negative.
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
        penalty = self.gradient_penalty("r1", real, labels, fake, index)
        return loss + self.penalty_weight * penalty, {**logs, "gradient_penalty": penalty}
