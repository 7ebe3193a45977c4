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

from models_zoo.gan import GAN
from models_zoo.networks import dcgan, require


class WGANGP(GAN):
    """Wasserstein GAN with a gradient penalty.

    Args:
        penalty_weight: lambda, not negative.
        **kwargs: as in `GAN`.
    """

    raw_scores = True
    losses = ("wasserstein",)
    logged = (*GAN.logged, "gradient_penalty")

    def __init__(self, *args, penalty_weight=10.0, **kwargs):
        super().__init__(*args, **kwargs)
        if penalty_weight < 0:
            raise ValueError(f"penalty_weight must be 0 or more. Received: penalty_weight={penalty_weight}")
        self.penalty_weight = penalty_weight

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, normalization="none"):
        """`normalization` of the critic: none or layer."""
        require("normalization", normalization, ["none", "layer"])
        return dcgan(image_size, channels, latent_dim, width, normalization)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        loss, logs = super().discriminator_loss(real, labels, fake, fake_labels, index)
        penalty = self.gradient_penalty("wgan_gp", real, labels, fake, index)
        return loss + self.penalty_weight * penalty, {**logs, "gradient_penalty": penalty}
