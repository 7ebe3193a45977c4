"""Conditional GAN: the hypermodel of Dogan, Qualitative Assessment of GAN Architectures for Image Generation (2021).

    repeat:
        (x, y) ~ data, z ~ N(0, I), c ~ uniform
        D descends  max(0, 1 - D(x, y)) + max(0, 1 + D(G(z, c), c))          (eq. 12)
        z ~ N(0, I), c ~ uniform
        G descends  -D(G(z, c), c)

How the class enters is a choice for each network, as in the paper's search (section III-B):

| `generator_conditioning` | the class embedding e stands                                                         |
| ------------------------ | ------------------------------------------------------------------------------------ |
| `concat`                 | beside the latents; batch normalization (Mirza and Osindero, 2014)                   |
| `hidden_concat`          | at every pixel after layer `generator_concat_layer`; batch norm. (Reed et al., 2016) |
| `cbn_embedding`          | for gains and biases of conditional batch norm. (Miyato and Koyama, 2018)            |
| `cbn_linear`             | before linear layers that give them, with 1-centred gains (Brock et al., 2019)       |

| `discriminator_conditioning` | the class embedding e stands                                                     |
| ---------------------------- | -------------------------------------------------------------------------------- |
| `concat`                     | at every pixel of the image                                                      |
| `hidden_concat`              | at every pixel of the map after layer `discriminator_concat_layer`               |
| `projection`                 | in an inner product with the features, summed over the map (Miyato and Koyama)   |
| `auxiliary`                  | nowhere: a second head says the class of real and of generated images (AC-GAN)   |

| generator (table I), 32x32, width 1         | output        | discriminator (table II)    | output        |
| ------------------------------------------- | ------------- | --------------------------- | ------------- |
| dense                                       | 4 x 4 x base  | convolution /2, LeakyReLU   | 16 x 16 x 128 |
| deconvolution /2, normalization, LeakyReLU  | 8 x 8 x 512   | convolution /2, LeakyReLU   | 8 x 8 x 256   |
| deconvolution /2, normalization, LeakyReLU  | 16 x 16 x 256 | convolution /2, LeakyReLU   | 4 x 4 x 512   |
| deconvolution /2, normalization, LeakyReLU  | 32 x 32 x 128 | head: see above             | 1             |
| 3x3 convolution, tanh                       | 32 x 32 x C   |                             |               |

In brackets in the paper, so options here: kernel size 3 to 5, slope 0 to 0.3, base channels 10 to 512, latent size 50
to 300. Two more modules of its sections II and III-A are options: spectral normalization in either network, and
self-attention (Zhang et al., 2019) on the largest map of at most 32 pixels that both have, 16 x 16 here. Table II calls
its layers "Deconv." and ends with a convolution to three channels and tanh, both taken over from table I; a
discriminator convolves and ends with its head. Larger images prepend layers of 512 channels to the generator and append
them to the discriminator, smaller ones leave out the generator's first and the discriminator's last.
"""

import dataclasses

import keras
import tensorflow as tf
from keras import layers

from models_zoo import checks, networks, resnet
from models_zoo.conditioning import DISCRIMINATOR_HEADS, GENERATOR_NORMS, class_embedding, joined
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES, class_cross_entropy
from models_zoo.self_attention import SelfAttention
from models_zoo.spectral_normalization import wrapper

_CHANNELS = (512, 256, 128)  # of the generator; the discriminator has them the other way round


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choices:
    """The options: one point of the hypermodel. ValueError for a value outside these."""

    generator_conditioning: str = "cbn_embedding"  # see the tables above, as for the next
    discriminator_conditioning: str = "projection"
    generator_concat_layer: int = 1  # after which of its layers `hidden_concat` joins the class; 0 is the first map
    discriminator_concat_layer: int = 1  # the same, from 1 on (0 would be `concat`)
    embedding_dim: int = 32  # length of the embedding e; `cbn_embedding`, `projection` and `auxiliary` have none
    kernel_size: int = 4  # 3, 4 or 5, of all strided layers
    slope: float = 0.2  # of LeakyReLU below zero, in [0, 0.3]
    base_channels: int = 512  # channels of the generator's first map, 10 to 512
    normalization: str = "none"  # of the discriminator: none or spectral
    spectral_generator: bool = False  # whether the generator is spectrally normalized as well
    attention: bool = False  # whether both networks attend to their own pixels

    def __post_init__(self):
        checks.one_of("generator_conditioning", self.generator_conditioning, GENERATOR_NORMS)
        checks.one_of("discriminator_conditioning", self.discriminator_conditioning, DISCRIMINATOR_HEADS)
        checks.at_least_one("embedding_dim", self.embedding_dim)
        checks.one_of("kernel_size", self.kernel_size, (3, 4, 5))
        checks.require(0 <= self.slope <= 0.3, "slope", self.slope, "in [0, 0.3]")
        checks.require(10 <= self.base_channels <= 512, "base_channels", self.base_channels, "from 10 to 512")
        checks.one_of("normalization", self.normalization, ("none", "spectral"))
        checks.one_of("spectral_generator", self.spectral_generator, (True, False))
        checks.one_of("attention", self.attention, (True, False))


class CGAN(GAN):
    """Conditional GAN with the class fed in one of four ways to each network."""

    default_loss = "hinge"
    logged = (*GAN.logged, "d_class", "g_class")
    conditional = True

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, **options):
        """See `GAN.networks`; the options are the fields of `Choices`."""
        chosen = Choices(**options)
        return (
            generator(image_size, channels, latent_dim, width, num_classes, chosen),
            discriminator(image_size, channels, width, num_classes, chosen),
        )

    @classmethod
    def options(cls):
        return dataclasses.asdict(Choices()), super().options()[1]

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            d_logs = self.discriminator_step(real, labels, index)  # max(0, 1 - D(x, y)) + max(0, 1 + D(G(z, c), c))
        g_logs = self.generator_step(tf.shape(real)[0])  # -D(G(z, c), c)
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        of_real, of_fake = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        loss = LOSSES[self.adversarial_loss].discriminator(of_real["logits"], of_fake["logits"])
        class_loss = class_losses((of_real, labels), (of_fake, fake_labels))
        return loss + class_loss, {"d_class": class_loss} | self.opinions(of_real["logits"], of_fake["logits"])

    def generator_loss(self, fake, labels):
        outputs = self.judge(fake, labels)
        class_loss = class_losses((outputs, labels))
        return LOSSES[self.adversarial_loss].generator(outputs["logits"]) + class_loss, {"g_class": class_loss}


def class_losses(*pairs):
    """Sum of the class cross-entropies of pairs (outputs, labels); zero for a discriminator without a class head."""
    return sum(
        class_cross_entropy(outputs["class_logits"], labels) if "class_logits" in outputs else keras.ops.zeros(())
        for outputs, labels in pairs
    )


def generator(image_size, channels, latent_dim, width, num_classes, chosen):
    """Table I, from [latents, labels]."""
    path = networks.sizes(image_size)[::-1]
    filters = networks.channels_of(_CHANNELS, len(path) - 1, width)
    base = networks.scaled(chosen.base_channels, width)
    checks.one_of("generator_concat_layer", chosen.generator_concat_layer, range(len(path)))
    joined_after = chosen.generator_concat_layer if chosen.generator_conditioning == "hidden_concat" else None
    norm = GENERATOR_NORMS[chosen.generator_conditioning]
    wrap = wrapper(chosen.spectral_generator)

    latents, labels = networks.latents_input(latent_dim), networks.labels_input(num_classes)
    condition = labels
    if chosen.generator_conditioning != "cbn_embedding":
        condition = class_embedding(num_classes, chosen.embedding_dim)(labels)
    x = latents
    if chosen.generator_conditioning == "concat":
        x = layers.Concatenate(name="latents_and_class")([latents, condition])
    x = wrap(layers.Dense(path[0] ** 2 * base, kernel_initializer=networks.normal(), name="project"))(x)
    x = layers.Reshape((path[0], path[0], base), name="reshape")(x)
    for i, side in enumerate(path[1:]):
        x = joined(x, condition) if joined_after == i else x
        name = f"deconv_{i}"
        x = networks.doubled(x, filters[i], chosen.kernel_size, side, name, wrap, kernel_initializer=networks.normal())
        x = norm(x, condition, num_classes, f"norm_{i}")
        x = layers.LeakyReLU(chosen.slope, name=f"lrelu_{i}")(x)
        x = attention(x, chosen.spectral_generator) if chosen.attention and side == attended(image_size) else x
    x = joined(x, condition) if joined_after == len(path) - 1 else x
    to_image = layers.Conv2D(channels, 3, padding="same", kernel_initializer=networks.normal(), name="to_image")
    x = wrap(to_image)(x)
    return keras.Model([latents, labels], networks.tanh_images(x), name="generator")


def discriminator(image_size, channels, width, num_classes, chosen):
    """Table II; gives `logits` [B, 1] and, with an auxiliary classifier, `class_logits` [B, num_classes]."""
    filters = networks.channels_of(_CHANNELS, len(networks.sizes(image_size)) - 1, width)[::-1]
    checks.one_of("discriminator_concat_layer", chosen.discriminator_concat_layer, range(1, len(filters) + 1))
    layer_of = {"concat": 0, "hidden_concat": chosen.discriminator_concat_layer}
    joined_after = layer_of.get(chosen.discriminator_conditioning)
    wrap = wrapper(chosen.normalization == "spectral")

    images, labels = networks.images_input(image_size, channels), networks.labels_input(num_classes)
    embedding = None
    if joined_after is not None:
        embedding = wrap(class_embedding(num_classes, chosen.embedding_dim))(labels)
    x = images
    for i, channels_out in enumerate(filters):
        x = joined(x, embedding) if joined_after == i else x
        convolution = layers.Conv2D(
            channels_out, chosen.kernel_size, 2, "same", kernel_initializer=networks.normal(), name=f"conv_{i}"
        )
        x = layers.LeakyReLU(chosen.slope, name=f"lrelu_{i}")(wrap(convolution)(x))
        spectral = chosen.normalization == "spectral"
        x = attention(x, spectral) if chosen.attention and x.shape[1] == attended(image_size) else x
    x = joined(x, embedding) if joined_after == len(filters) else x
    outputs = DISCRIMINATOR_HEADS[chosen.discriminator_conditioning](x, labels, num_classes, wrap)
    inputs = images if chosen.discriminator_conditioning == "auxiliary" else [images, labels]
    return keras.Model(inputs, outputs, name="discriminator")


def attended(image_size):
    """The side of the map that self-attention works on: below the image's, which the discriminator has no map of."""
    return resnet.attended_side(networks.sizes(image_size)[1:])


def attention(x, spectral):
    """Self-attention as in Zhang et al., with this network's normalization."""
    return SelfAttention(spectral, initializer=networks.normal(), name="attention")(x)
