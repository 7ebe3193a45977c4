"""VT-GAN: Sridhar, Variably Trained Generative Adversarial Networks (2019): AC-GAN, minibatch discrimination and label
smoothing.

    repeat:
        (x, y) ~ data, z ~ U[-1, 1], c ~ uniform
        D ascends  log P(S = real | x) + log P(S = generated | G(z, c))
                   + sum_k t_k(y) log P(C = k | x) + sum_k t_k(c) log P(C = k | G(z, c))
        z ~ U[-1, 1], c ~ uniform
        G ascends  log P(S = real | G(z, c)) + log P(C = c | G(z, c))

    t_k(y) = 1 - (K - 1) / K eps  for k = y, and  eps / K  for the other classes of K       (section 3.7)

Real and generated images are fed as two batches, since minibatch discrimination compares the images of one batch
(section 3.6; Salimans et al., Improved Techniques for Training GANs, 2016). The targets are smoothed where they train
the classifier, that is in the discriminator's update.

| generator (table 3.3), 32x32, width 1          | output        | discriminator (table 3.2)        | output       |
| ---------------------------------------------- | ------------- | -------------------------------- | ------------ |
| latents and one-hot class, dense, LeakyReLU    | 2 x 2 x 512   | 5x5 convolution /2               | 16 x 16 x 16 |
| 5x5 deconvolution /2, LeakyReLU, batch norm    | 4 x 4 x 256   | 5x5 convolution, batch norm      | 16 x 16 x 32 |
| 5x5 deconvolution /2, LeakyReLU, batch norm    | 8 x 8 x 128   | 3x3 convolution /2, batch norm   | 8 x 8 x 64   |
| 5x5 deconvolution /2, LeakyReLU, batch norm    | 16 x 16 x 64  | 5x5 convolution, batch norm      | 8 x 8 x 128  |
| 5x5 deconvolution /2, tanh                     | 32 x 32 x C   | 3x3 convolution /2, batch norm   | 4 x 4 x 256  |
|                                                |               | 3x3 convolution                  | 4 x 4 x 512  |
|                                                |               | minibatch discrimination         | + 30         |
|                                                |               | dense: source; dense: class      | 1; classes   |

Each convolution of the discriminator is followed by LeakyReLU, then by batch normalization where the table says so; the
slope is 0.2 (the thesis does not name its own; its formula for LeakyReLU has 0.01 in general). 30 kernels of minibatch
discrimination, each of 3 dimensions. Larger images as in `models_zoo/acgan.py`. Latents are uniform as in section 3.3;
the class enters as in AC-GAN.

The thesis prints G's objective as "maximize L_C - L_S" with L_S over both sources; the generator's part of L_S is used
in its non-saturating form.
"""

import keras
import tensorflow as tf
from keras import layers

from models_zoo import auxiliary, checks, networks
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES, class_cross_entropy
from models_zoo.minibatch_discrimination import MinibatchDiscrimination

_GENERATOR_CHANNELS = (512, 256, 128, 64)
_DISCRIMINATOR_TABLE = ((5, 16), (5, 32), (3, 64), (5, 128), (3, 256), (3, 512))  # kernel size, channels


class VTGAN(GAN):
    """AC-GAN with minibatch discrimination and label smoothing.

    Args:
        label_smoothing: eps, in [0, 1).
        **kwargs: as in `GAN`.
    """

    default_loss = "non_saturating"
    logged = (*GAN.logged, *auxiliary.LOGGED)
    conditional = True

    def __init__(self, *args, label_smoothing=0.1, **kwargs):
        super().__init__(*args, **kwargs)
        self.label_smoothing = checks.fraction("label_smoothing", label_smoothing)

    @classmethod
    def networks(
        cls, image_size, channels, latent_dim, width, num_classes=None, *, minibatch_kernels=30, minibatch_dim=3
    ):
        """`minibatch_kernels` of `minibatch_dim` dimensions each; 0 kernels for no minibatch discrimination."""
        checks.not_negative("minibatch_kernels", minibatch_kernels)
        checks.at_least_one("minibatch_dim", minibatch_dim)
        return (
            generator(image_size, channels, latent_dim, width, num_classes),
            discriminator(image_size, channels, width, num_classes, minibatch_kernels, minibatch_dim),
        )

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            d_logs = self.discriminator_step(real, labels, index)  # -(source + classes with smoothed targets)
        g_logs = self.generator_step(tf.shape(real)[0])  # -log P(S = real | G) - log P(C = c | G)
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        of_real, of_fake = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        source = LOSSES[self.adversarial_loss].discriminator(of_real["logits"], of_fake["logits"])
        classes = auxiliary.class_losses(of_real, labels, of_fake, fake_labels, self.label_smoothing)
        loss = source + classes["d_class_real"] + classes["d_class_fake"]
        return loss, classes | self.opinions(of_real["logits"], of_fake["logits"])

    def generator_loss(self, fake, labels):
        outputs = self.judge(fake, labels)
        source = LOSSES[self.adversarial_loss].generator(outputs["logits"])
        class_loss = class_cross_entropy(outputs["class_logits"], labels)
        return source + class_loss, {"g_class": class_loss}


def generator(image_size, channels, latent_dim, width, num_classes):
    """The left half of the table, from normal latents, which it makes uniform in [-1, 1] first."""
    path = networks.sizes(image_size, largest_base=2)[::-1]
    filters = networks.channels_of(_GENERATOR_CHANNELS, len(path) - 1, width)
    latents, labels = networks.latents_input(latent_dim), networks.labels_input(num_classes)

    def block(x, i):
        return networks.batch_normalization(f"norm_{i}")(layers.LeakyReLU(0.2, name=f"lrelu_{i}")(x))

    x = auxiliary.with_class(networks.UniformNoise(name="uniform")(latents), labels, num_classes)
    activate = layers.LeakyReLU(0.2, name="lrelu")
    return auxiliary.generator([latents, labels], x, path, filters, channels, activate, block)


def discriminator(image_size, channels, width, num_classes, minibatch_kernels, minibatch_dim):
    """The right half of the table; gives `logits` [B, 1] of the source and `class_logits` [B, num_classes]."""

    def block(x, i):
        x = layers.LeakyReLU(0.2, name=f"lrelu_{i}")(x)
        return networks.batch_normalization(f"norm_{i}")(x) if 0 < i < 5 else x

    images = networks.images_input(image_size, channels)
    x = auxiliary.six_convolutions(images, _DISCRIMINATOR_TABLE, width, block)
    if minibatch_kernels:
        x = MinibatchDiscrimination(minibatch_kernels, minibatch_dim, name="minibatch_discrimination")(x)
    return keras.Model(images, auxiliary.source_and_class(x, num_classes), name="discriminator")
