"""AC-GAN: Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs (2017).

    L_S = log P(S = real | x) + log P(S = generated | G(z, c))          (eq. 2)
    L_C = log P(C = y | x) + log P(C = c | G(z, c))                     (eq. 3)
    repeat:
        (x, y) ~ data, z ~ N(0, I), c ~ uniform
        D ascends  L_S + L_C
        z ~ N(0, I), c ~ uniform
        G ascends  L_C - L_S, its part of L_S in the non-saturating form

The class loss of the discriminator is on real and on generated images, which are fed as two batches.

| generator (their table 2), 32x32, width 1    | output       | discriminator                     | output       |
| -------------------------------------------- | ------------ | --------------------------------- | ------------ |
| latents and one-hot class, dense, ReLU       | 4 x 4 x 384  | 3x3 convolution /2                | 16 x 16 x 16 |
| 5x5 deconvolution /2, batch norm, ReLU       | 8 x 8 x 192  | 3x3 convolution, batch norm       | 16 x 16 x 32 |
| 5x5 deconvolution /2, batch norm, ReLU       | 16 x 16 x 96 | 3x3 convolution /2, batch norm    | 8 x 8 x 64   |
| 5x5 deconvolution /2, tanh                   | 32 x 32 x C  | 3x3 convolution, batch norm       | 8 x 8 x 128  |
|                                              |              | 3x3 convolution /2, batch norm    | 4 x 4 x 256  |
|                                              |              | 3x3 convolution, batch norm       | 4 x 4 x 512  |
|                                              |              | dense: source; dense: class       | 1; classes   |

Every convolution of the discriminator is followed by LeakyReLU of slope 0.2 and dropout of one half. For images of more
than 32 pixels the generator prepends deconvolutions of 384 channels, and the discriminator's sixth, then fourth, then
second convolution is strided too. The noise that the paper adds to activations in some of its trials is left out.
"""

import keras
import tensorflow as tf
from keras import layers

from models_zoo import auxiliary, networks
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES, class_cross_entropy

_GENERATOR_CHANNELS = (384, 192, 96)
_DISCRIMINATOR_TABLE = ((3, 16), (3, 32), (3, 64), (3, 128), (3, 256), (3, 512))  # kernel size, channels


class ACGAN(GAN):
    """GAN whose discriminator also says which class an image is of."""

    default_loss = "non_saturating"
    logged = (*GAN.logged, *auxiliary.LOGGED)
    conditional = True

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, dropout=0.5):
        """`dropout` is the rate in the discriminator, in [0, 1)."""
        return (
            generator(image_size, channels, latent_dim, width, num_classes),
            discriminator(image_size, channels, width, num_classes, dropout),
        )

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            d_logs = self.discriminator_step(real, labels, index)  # -(L_S + L_C)
        g_logs = self.generator_step(tf.shape(real)[0])  # -(L_C - L_S)
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        of_real, of_fake = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        source = LOSSES[self.adversarial_loss].discriminator(of_real["logits"], of_fake["logits"])
        classes = auxiliary.class_losses(of_real, labels, of_fake, fake_labels)
        loss = source + classes["d_class_real"] + classes["d_class_fake"]
        return loss, classes | self.opinions(of_real["logits"], of_fake["logits"])

    def generator_loss(self, fake, labels):
        outputs = self.judge(fake, labels)
        source = LOSSES[self.adversarial_loss].generator(outputs["logits"])
        class_loss = class_cross_entropy(outputs["class_logits"], labels)
        return source + class_loss, {"g_class": class_loss}


def generator(image_size, channels, latent_dim, width, num_classes):
    """The left half of the table."""
    path = networks.sizes(image_size)[::-1]
    filters = networks.channels_of(_GENERATOR_CHANNELS, len(path) - 1, width)
    latents, labels = networks.latents_input(latent_dim), networks.labels_input(num_classes)

    def block(x, i):
        return layers.ReLU(name=f"relu_{i}")(networks.batch_normalization(f"norm_{i}")(x))

    x = auxiliary.with_class(latents, labels, num_classes)
    return auxiliary.generator([latents, labels], x, path, filters, channels, layers.ReLU(name="relu"), block)


def discriminator(image_size, channels, width, num_classes, dropout):
    """The right half of the table; gives `logits` [B, 1] of the source and `class_logits` [B, num_classes]."""

    def block(x, i):
        x = networks.batch_normalization(f"norm_{i}")(x) if i else x
        x = layers.LeakyReLU(0.2, name=f"lrelu_{i}")(x)
        return networks.Dropout(dropout, name=f"dropout_{i}")(x)

    images = networks.images_input(image_size, channels)
    x = auxiliary.six_convolutions(images, _DISCRIMINATOR_TABLE, width, block)
    return keras.Model(images, auxiliary.source_and_class(x, num_classes), name="discriminator")
