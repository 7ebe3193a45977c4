"""SNGAN: Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018).

    repeat:
        u <- one power iteration on every kernel W of D   (algorithm 1)
        x ~ data, z ~ N(0, I)
        D descends  max(0, 1 - D(x)) + max(0, 1 + D(G(z)))     (eq. 16), every W replaced by W / sigma(W)
        z ~ N(0, I)
        G descends  -D(G(z))                                   (eq. 17)

Every layer of the discriminator is spectrally normalized, the last included, and nothing else in it is. The
cross-entropy loss, with which the paper's tables on CIFAR-10 were made too, is `loss="non_saturating"`.

| `architecture` | what it is                                                                                |
| -------------- | ----------------------------------------------------------------------------------------- |
| `standard`     | the paper's standard CNN, table 3 (`models_zoo/standard_cnn.py`)                          |
| `resnet`       | the paper's residual network, table 4 (`models_zoo/resnet.py`)                            |
| `strided`      | `standard` without its 3x3 convolutions, that is DCGAN's with a discriminator of twice the |
|                | channels; the fastest                                                                     |

The baselines of Feng et al., ICLR Reproducibility of SNGAN, are `normalization=batch` and `normalization=layer`, in the
discriminator in the place of spectral normalization. That report has spectral normalization in its generator too
(`spectral_generator=true`) and a slope of 0.02, where 0.1 stays here. It says that SNGAN bounds the norm of the
gradient of all parameters; what is bounded is the Lipschitz constant of D with respect to its input.
"""

import keras
import tensorflow as tf

from models_zoo import checks, networks, resnet, standard_cnn
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES


class SNGAN(GAN):
    """Spectrally normalized GAN with the hinge loss."""

    default_loss = "hinge"

    @classmethod
    def networks(
        cls,
        image_size,
        channels,
        latent_dim,
        width,
        num_classes=None,
        *,
        architecture="standard",
        normalization="spectral",
        spectral_generator=False,
        stable_rank=0.0,
    ):
        """See `GAN.networks`.

        Args:
            architecture: standard, resnet or strided.
            normalization: of the discriminator: spectral, batch, layer or none.
            spectral_generator: whether the generator is spectrally normalized as well.
            stable_rank: bound of the discriminator's stable ranks as a fraction of the full rank; 0 for none.
        """
        checks.one_of("architecture", architecture, ARCHITECTURES)
        checks.one_of("normalization", normalization, networks.NORMALIZATIONS)
        generator, discriminator = ARCHITECTURES[architecture]
        return (
            generator(image_size, channels, latent_dim, width, spectral=spectral_generator),
            discriminator(image_size, channels, width, normalization=normalization, stable_rank=stable_rank),
        )

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told; each moves u first
            d_logs = self.discriminator_step(real, labels, index)  # max(0, 1 - D(x)) + max(0, 1 + D(G(z)))
        g_logs = self.generator_step(tf.shape(real)[0])  # -D(G(z))
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_logits, fake_logits = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        loss = LOSSES[self.adversarial_loss].discriminator(real_logits, fake_logits)
        return loss, self.opinions(real_logits, fake_logits)

    def generator_loss(self, fake, labels):
        return LOSSES[self.adversarial_loss].generator(self.judge(fake, labels)), {}


def resnet_generator(image_size, channels, latent_dim, width, *, spectral=False):
    """The residual generator, with batch normalization."""
    path, filters = networks.sizes(image_size)[::-1], networks.scaled(resnet.GENERATOR_CHANNELS, width)
    latents = networks.latents_input(latent_dim)

    def norm(x, block, name):
        return networks.batch_normalization(name)(x)

    images = resnet.grown(latents, path, filters, channels, resnet.Kernels(spectral), norm)
    return keras.Model(latents, images, name="generator")


def resnet_discriminator(image_size, channels, width, *, normalization="spectral", stable_rank=0.0):
    """The residual discriminator."""
    kernels = resnet.Kernels(normalization == "spectral", stable_rank)
    images = networks.images_input(image_size, channels)
    features = resnet.shrunk(images, networks.scaled(resnet.DISCRIMINATOR_CHANNELS, width), kernels, normalization)
    logits = kernels.dense(features, 1, "logits")
    return keras.Model(images, networks.float32(logits), name="discriminator")


def strided_discriminator(image_size, channels, width, **options):
    """That of DCGAN with twice the channels."""
    return networks.dcgan_discriminator(image_size, channels, width, first_channels=128, **options)


ARCHITECTURES = {
    "standard": (standard_cnn.generator, standard_cnn.discriminator),
    "resnet": (resnet_generator, resnet_discriminator),
    "strided": (networks.dcgan_generator, strided_discriminator),
}
