"""EBGAN: Zhao et al., Energy-based Generative Adversarial Networks (2017).

    energy(x) = mean over the pixels of (Dec(Enc(x)) - x)^2
    repeat:
        x ~ data, z ~ N(0, I)
        D descends  energy(x) + max(0, m - energy(G(z)))                        (eq. 1)
        z ~ N(0, I)
        G descends  energy(G(z)) + w f_PT(Enc(G(z)))                            (eq. 2 and section 2.4)

    f_PT(S) = 1 / (N (N - 1)) sum_i sum_{j != i} (cos(S_i, S_j))^2              (eq. 4, the pulling-away term)

The discriminator is an autoencoder; what it gives is an energy, low for real images. The energy is the mean
squared error where the paper writes a norm, so that a margin m holds for every image size. w = 0.1 is the paper's.

| generator: that of DCGAN               | discriminator                             | output, width 1 |
| -------------------------------------- | ----------------------------------------- | --------------- |
| `models_zoo/networks.py`               | 4x4 convolution /2, LeakyReLU             | 16 x 16 x 64    |
|                                        | 4x4 convolution /2, batch norm, LeakyReLU | 8 x 8 x 128     |
|                                        | 4x4 convolution /2, batch norm, LeakyReLU | 4 x 4 x 256     |
|                                        | 4x4 deconvolution /2, batch norm, ReLU    | 8 x 8 x 128     |
|                                        | 4x4 deconvolution /2, batch norm, ReLU    | 16 x 16 x 64    |
|                                        | 4x4 deconvolution /2                      | 32 x 32 x C     |

The code is the 4 x 4 map in the middle, flattened.
"""

import keras
import tensorflow as tf
from keras import layers

from models_zoo import checks, losses, networks
from models_zoo.gan import GAN

_MOST_CHANNELS = 512


class EBGAN(GAN):
    """GAN whose discriminator is an autoencoder.

    Args:
        margin: m, the energy up to which generated images are pushed; positive. Images are in [-1, 1].
        pulling_away_weight: w, weight of the pulling-away term; 0 for plain EBGAN.
        **kwargs: as in `GAN`.
    """

    default_loss = "margin"
    only_losses = ("margin",)
    logged = (*GAN.logged, "pulling_away")

    def __init__(self, *args, margin=1.0, pulling_away_weight=0.1, **kwargs):
        super().__init__(*args, **kwargs)
        self.margin = checks.positive("margin", margin)
        self.pulling_away_weight = checks.not_negative("pulling_away_weight", pulling_away_weight)

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None):
        return (
            networks.dcgan_generator(image_size, channels, latent_dim, width),
            autoencoder(image_size, channels, width),
        )

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            d_logs = self.discriminator_step(real, labels, index)  # energy(x) + max(0, m - energy(G(z)))
        g_logs = self.generator_step(tf.shape(real)[0])  # energy(G(z)) + w f_PT(Enc(G(z)))
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_energy = energy(real, self.discriminate(real, labels))
        fake_energy = energy(fake, self.discriminate(fake, fake_labels))
        loss = losses.margin_discriminator(real_energy, fake_energy, self.margin)
        return loss, {"d_real": tf.reduce_mean(real_energy), "d_fake": tf.reduce_mean(fake_energy)}

    def generator_loss(self, fake, labels):
        outputs = self.judge(fake, labels)
        pulling_away = losses.pulling_away(outputs["code"])
        loss = losses.margin_generator(energy(fake, outputs)) + self.pulling_away_weight * pulling_away
        return loss, {"pulling_away": pulling_away}


def energy(images, outputs):
    """Energies [B] of images, given the autoencoder's outputs for them."""
    return losses.reconstruction(images, outputs["reconstruction"], power=2)


def autoencoder(image_size, channels, width):
    """The discriminator of the table above; gives `reconstruction`, of the images' shape, and `code` [B, d]."""
    path = networks.sizes(image_size)
    filters = [networks.scaled(min(_MOST_CHANNELS, 64 * 2**i), width) for i in range(len(path) - 1)]
    images = x = networks.images_input(image_size, channels)
    for i, channels_out in enumerate(filters):
        x = layers.Conv2D(
            channels_out, 4, 2, "same", use_bias=i == 0, kernel_initializer=networks.normal(), name=f"conv_{i}"
        )(x)
        x = networks.batch_normalization(f"encoder_norm_{i}")(x) if i else x
        x = layers.LeakyReLU(0.2, name=f"lrelu_{i}")(x)
    code = layers.Flatten(name="code")(x)
    for i, side in reversed(list(enumerate(path[:-1]))):
        last = i == 0
        name, channels_out = ("reconstruct", channels) if last else (f"deconv_{i}", filters[i - 1])
        x = networks.doubled(x, channels_out, 4, side, name, use_bias=last, kernel_initializer=networks.normal())
        if not last:
            x = layers.ReLU(name=f"relu_{i}")(networks.batch_normalization(f"decoder_norm_{i}")(x))
    reconstruction = networks.float32(x, "reconstruction")
    return keras.Model(images, {"reconstruction": reconstruction, "code": code}, name="discriminator")
