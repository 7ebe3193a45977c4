"""SAGAN: Zhang et al., Self-Attention Generative Adversarial Networks (2019).

    repeat:
        (x, y) ~ data, z ~ N(0, I), c ~ uniform
        D descends  max(0, 1 - D(x, y)) + max(0, 1 + D(G(z, c), c))
        z ~ N(0, I), c ~ uniform
        G descends  -D(G(z, c), c)

    attention:  beta_ji = softmax over i of f(x_i)^T g(x_j),  o_j = v(sum_i beta_ji h(x_i)),  y = gamma o + x

Self-attention in both networks, gamma from zero (`models_zoo/self_attention.py`); spectral normalization in both;
conditional batch normalization in the generator, projection in the discriminator; TTUR: Adam with betas 0 and 0.9, 1e-4
for the generator and 4e-4 for the discriminator. The paper's networks for 128x128 are the residual ones of Miyato and
Koyama; here they have the sizes of `models_zoo/resnet.py`, and attention stands at the largest map of at most 32 pixels
a side (the paper's best place), which is 16 at 32x32, 14 at 28x28, 32 at 64x64 and 27 at 108x108.
"""

from models_zoo.gan import GAN
from models_zoo.resnet import resnet_discriminator, resnet_generator


class SAGAN(GAN):
    """Residual, conditional, spectrally normalized GAN with self-attention."""

    losses = ("hinge",)
    conditional = True

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, attention=True, stable_rank=0.0):
        """`attention` false leaves both attention layers out, as in the paper's baseline; for `stable_rank` of the
        discriminator see `SpectralNormalization`."""
        return (
            resnet_generator(
                image_size,
                channels,
                latent_dim,
                width,
                num_classes,
                condition="embedding",
                spectral=True,
                attention=attention,
            ),
            resnet_discriminator(
                image_size, channels, width, num_classes, project=True, attention=attention, stable_rank=stable_rank
            ),
        )
