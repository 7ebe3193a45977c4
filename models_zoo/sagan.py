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

import keras
import tensorflow as tf

from models_zoo import networks, resnet
from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES


class SAGAN(GAN):
    """Residual, conditional, spectrally normalized GAN with self-attention."""

    default_loss = "hinge"
    conditional = True

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, attention=True, stable_rank=0.0):
        """`attention` false leaves both attention layers out, as in the paper's baseline; for `stable_rank` of the
        discriminator see `SpectralNormalization`."""
        kernels = resnet.Kernels(spectral=True, stable_rank=stable_rank)
        filters = networks.scaled(resnet.DISCRIMINATOR_CHANNELS, width)
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
    """Residual blocks whose norms look up gains and biases by class (Miyato and Koyama, 2018)."""
    path, filters = networks.sizes(image_size)[::-1], networks.scaled(resnet.GENERATOR_CHANNELS, width)
    latents, labels = networks.latents_input(latent_dim), networks.labels_input(num_classes)

    def norm(x, block, name):
        layer = ConditionalBatchNormalization(num_classes, synchronized=networks.distributed(), name=name)
        return layer([x, labels])

    images = resnet.grown(latents, path, filters, channels, resnet.Kernels(spectral=True), norm, attention)
    return keras.Model([latents, labels], images, name="generator")
