"""BEGAN: Berthelot et al., BEGAN: Boundary Equilibrium Generative Adversarial Networks (2017).

    L(x) = mean over the pixels of |x - D(x)|, D an autoencoder               (section 3.1, eta = 1)
    k_0 = 0
    repeat:
        x ~ data, z ~ U[-1, 1]
        D descends  L(x) - k_t L(G(z))
        z ~ U[-1, 1]
        G descends  L(G(z))
        k_{t+1} = k_t + lambda_k (gamma L(x) - L(G(z))), kept in [0, 1]       (section 3.4)
    convergence:  M = L(x) + |gamma L(x) - L(G(z))|                           (section 3.5)

gamma = E L(G(z)) / E L(x) is the diversity ratio to be kept, 0.3 to 0.7 in the paper; lambda_k = 0.001; Adam at 1e-4,
batch 16. k_t is a variable of the model, so it is in every checkpoint; k and M are in the log. The paper updates both
networks at once; here the generator follows the discriminator, as everywhere in this package.

| decoder = generator (weights apart)                | output    | encoder                              | output    |
| -------------------------------------------------- | --------- | ------------------------------------ | --------- |
| dense, no activation                               | 8 x 8 x n | 3x3 convolution, ELU                 | 32x32x n  |
| two 3x3 convolutions, ELU; nearest neighbours up   | 16x16x n  | two 3x3 conv., ELU; 3x3 /2 to 2n, ELU | 16x16x 2n |
| two 3x3 convolutions, ELU; nearest neighbours up   | 32x32x n  | two 3x3 conv., ELU; 3x3 /2 to 3n, ELU | 8 x 8 x 3n |
| two 3x3 convolutions, ELU                          | 32x32x n  | two 3x3 convolutions, ELU            | 8 x 8 x 3n |
| 3x3 convolution                                    | 32x32x C  | dense, no activation                 | h         |

n = 64 at width 1, and h = `latent_dim` as in the paper (64 there). Maps go down to at most 8 pixels a side. There is no
activation at the end, so pixels of the generator may exceed [-1, 1] a little; exports, scores and pictures clip them.
"""

import keras
import tensorflow as tf
from keras import layers

from models_zoo import checks, networks
from models_zoo.gan import GAN
from models_zoo.losses import reconstruction
from models_zoo.updates import mean_over_replicas

_CHANNELS = 64
_LARGEST_BASE = 8


class BEGAN(GAN):
    """GAN whose discriminator is an autoencoder, kept in balance with the generator.

    Args:
        gamma: the diversity ratio, in (0, 1].
        lambda_k: the rate at which k follows the balance, positive.
        **kwargs: as in `GAN`; `discriminator_steps` is 1 by the algorithm.
    """

    default_loss = "equilibrium"
    only_losses = ("equilibrium",)
    logged = (*GAN.logged, "k", "convergence")

    def __init__(self, *args, gamma=0.5, lambda_k=0.001, **kwargs):
        super().__init__(*args, **kwargs)
        checks.require(
            self.discriminator_steps == 1,
            "discriminator_steps",
            self.discriminator_steps,
            "1 in BEGAN, whose k balances one update of each network",
        )
        self.gamma = checks.require(0 < gamma <= 1, "gamma", gamma, "in (0, 1]")
        self.lambda_k = checks.positive("lambda_k", lambda_k)
        self.k = self.add_weight(shape=(), initializer="zeros", dtype="float32", trainable=False, name="k")

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None):
        return generator(image_size, channels, latent_dim, width), autoencoder(image_size, channels, latent_dim, width)

    def train_step(self, batch):
        ((real, labels),) = self.parts(batch)
        d_logs = self.discriminator_step(real, labels)  # L(x) - k L(G(z))
        g_logs = self.generator_step(tf.shape(real)[0])  # L(G(z))
        balance = self.balance(real_loss=d_logs["d_real"], fake_loss=g_logs["g_loss"])  # k follows gamma L(x) - L(G(z))
        return self.finish_step(d_logs | g_logs | balance)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        real_loss = tf.reduce_mean(reconstruction(real, self.discriminate(real, labels), power=1))
        fake_loss = tf.reduce_mean(reconstruction(fake, self.discriminate(fake, fake_labels), power=1))
        return real_loss - self.k * fake_loss, {"d_real": real_loss, "d_fake": fake_loss}

    def generator_loss(self, fake, labels):
        return tf.reduce_mean(reconstruction(fake, self.judge(fake, labels), power=1)), {}

    def balance(self, real_loss, fake_loss):
        """Move k by the two losses of this step; gives the new k and the measure of convergence."""
        means = mean_over_replicas({"real": real_loss, "fake": fake_loss})
        difference = self.gamma * means["real"] - means["fake"]
        self.k.assign(tf.clip_by_value(self.k + self.lambda_k * difference, 0.0, 1.0))
        return {"k": self.k.value, "convergence": means["real"] + tf.abs(difference)}


def generator(image_size, channels, latent_dim, width):
    """The left half of the table, from normal latents, which it makes uniform in [-1, 1] first."""
    latents = networks.latents_input(latent_dim)
    x = networks.UniformNoise(name="uniform")(latents)
    return keras.Model(latents, networks.float32(decoder(x, image_size, channels, width), "images"), name="generator")


def autoencoder(image_size, channels, hidden, width):
    """The right half of the table, then the left: images to reconstructions."""
    n = networks.scaled(_CHANNELS, width)
    path = networks.sizes(image_size, _LARGEST_BASE)
    images = networks.images_input(image_size, channels)
    x = convolution(images, n, "encoder_in")
    for i in range(len(path)):
        x = convolution(x, n * (i + 1), f"encoder_{i}_conv_0")
        x = convolution(x, n * (i + 1), f"encoder_{i}_conv_1")
        if i < len(path) - 1:
            x = convolution(x, n * (i + 2), f"encoder_{i}_down", strides=2)
    x = layers.Dense(hidden, name="code")(layers.Flatten(name="flatten")(x))
    x = networks.float32(decoder(x, image_size, channels, width), "reconstruction")
    return keras.Model(images, x, name="discriminator")


def decoder(x, image_size, channels, width):
    n = networks.scaled(_CHANNELS, width)
    path = networks.sizes(image_size, _LARGEST_BASE)[::-1]
    x = layers.Dense(path[0] ** 2 * n, name="decoder_in")(x)
    x = layers.Reshape((path[0], path[0], n), name="decoder_map")(x)
    for i in range(len(path)):
        if i:
            x = networks.cropped(layers.UpSampling2D(2, name=f"decoder_{i}_up")(x), path[i], f"decoder_{i}_crop")
        x = convolution(x, n, f"decoder_{i}_conv_0")
        x = convolution(x, n, f"decoder_{i}_conv_1")
    return layers.Conv2D(channels, 3, padding="same", name="to_image")(x)


def convolution(x, filters, name, strides=1):
    x = layers.Conv2D(filters, 3, strides, padding="same", name=name)(x)
    return layers.ELU(name=f"{name}_elu")(x)
