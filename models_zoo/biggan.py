"""BigGAN-style networks: Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis (2019).

    repeat:
        (x, y) ~ data, z ~ N(0, I), c ~ uniform
        D descends  max(0, 1 - D(x, y)) + max(0, 1 + D(G(z, c), c))
        z ~ N(0, I), c ~ uniform
        G descends  -D(G(z, c), c)

What the paper adds to SAGAN and what is here: one class embedding that all conditional batch normalizations share,
through linear layers with 1-centred gains; latents split over the blocks; orthogonal initialization; wide networks. The
networks are those of `models_zoo/resnet.py` with 256 channels in both, which is the authors' choice for 32x32; spectral
normalization in both, projection in the discriminator. The authors' own settings for CIFAR-10 go without the shared
embedding, the split latents and the orthogonal initialization, which are those of their ImageNet models. At 32x32 they
use no attention; `attention=true` adds it. Their orthogonal regularization is not here.
"""

from models_zoo.gan import GAN
from models_zoo.resnet import resnet_discriminator, resnet_generator


class BigGAN(GAN):
    """Wide residual conditional GAN with shared embeddings and split latents."""

    losses = ("hinge",)
    conditional = True

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, attention=False, stable_rank=0.0):
        """`attention` adds self-attention to both networks; for `stable_rank` of the discriminator see
        `SpectralNormalization`."""
        return (
            resnet_generator(
                image_size,
                channels,
                latent_dim,
                width,
                num_classes,
                condition="linear",
                spectral=True,
                attention=attention,
                initializer="orthogonal",
            ),
            resnet_discriminator(
                image_size,
                channels,
                width,
                num_classes,
                base_channels=256,
                project=True,
                attention=attention,
                stable_rank=stable_rank,
                initializer="orthogonal",
            ),
        )
