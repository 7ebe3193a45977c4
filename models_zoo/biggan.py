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

import keras
import tensorflow as tf
from keras import layers

from models_zoo import checks, networks, resnet
from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES

CHANNELS = 256
_EMBEDDING_DIM = 128
INITIALIZER = "orthogonal"


class BigGAN(GAN):
    """Wide residual conditional GAN with shared embeddings and split latents."""

    default_loss = "hinge"
    conditional = True

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, attention=False, stable_rank=0.0):
        """`attention` adds self-attention to both networks; for `stable_rank` of the discriminator see
        `SpectralNormalization`."""
        kernels = resnet.Kernels(spectral=True, stable_rank=stable_rank, initializer=INITIALIZER)
        filters = networks.scaled(CHANNELS, width)
        return (
            generator(image_size, channels, latent_dim, width, num_classes, attention),
            resnet.projection_discriminator(image_size, channels, num_classes, filters, kernels, attention),
        )

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            d_logs = self.discriminator_step(real, labels, index)  # max(0, 1 - D(x, y)) + max(0, 1 + D(G(z, c), c))
        g_logs = self.generator_step(tf.shape(real)[0])  # -D(G(z, c), c)
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_logits, fake_logits = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        loss = LOSSES[self.adversarial_loss].discriminator(real_logits, fake_logits)
        return loss, self.opinions(real_logits, fake_logits)

    def generator_loss(self, fake, labels):
        return LOSSES[self.adversarial_loss].generator(self.judge(fake, labels)), {}


def generator(image_size, channels, latent_dim, width, num_classes, attention):
    """Residual blocks whose norms are linear functions of the block's latents and the one class embedding."""
    path, filters = networks.sizes(image_size)[::-1], networks.scaled(CHANNELS, width)
    kernels = resnet.Kernels(spectral=True, initializer=INITIALIZER)
    latents, labels = networks.latents_input(latent_dim), networks.labels_input(num_classes)
    first, conditions = split_latents(latents, labels, len(path) - 1, num_classes)

    def norm(x, block, name):
        layer = ConditionalBatchNormalization(synchronized=networks.distributed(), spectral=True, name=name)
        return layer([x, conditions[block]])

    images = resnet.grown(first, path, filters, channels, kernels, norm, attention)
    return keras.Model([latents, labels], images, name="generator")


def split_latents(latents, labels, blocks, num_classes):
    """The part of the latents for the first layer, and for each block its part beside the class embedding.

    Raises:
        ValueError: for fewer latents than parts.
    """
    latent_dim = latents.shape[-1]
    part = latent_dim // (blocks + 1)
    checks.require(part > 0, "latent_dim", latent_dim, f"at least {blocks + 1}, one for the first layer and each block")
    table = layers.Embedding(num_classes, _EMBEDDING_DIM, embeddings_initializer=INITIALIZER, name="class_embedding")
    embedding, start = table(labels), latent_dim - part * blocks
    parts = [latents[:, start + i * part : start + (i + 1) * part] for i in range(blocks)]
    conditions = [layers.Concatenate(name=f"condition_{i}")([embedding, z]) for i, z in enumerate(parts)]
    return latents[:, :start], conditions
