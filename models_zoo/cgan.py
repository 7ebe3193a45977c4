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
to 300. Table II calls its layers "Deconv." and ends with a convolution to three channels and tanh, both taken over from
table I; a discriminator convolves and ends with its head. Larger images prepend layers of 512 channels to the generator
and append them to the discriminator, smaller ones leave out the generator's first and the discriminator's last.
"""

import keras
from keras import layers

from models_zoo import networks
from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES, class_cross_entropy
from models_zoo.resnet import SumOverMap
from models_zoo.spectral_normalization import wrapper

GENERATOR_CONDITIONINGS = ("cbn_embedding", "cbn_linear", "concat", "hidden_concat")
DISCRIMINATOR_CONDITIONINGS = ("projection", "auxiliary", "concat", "hidden_concat")
_CHANNELS = (128, 256, 512)


class CGAN(GAN):
    """Conditional GAN with the class fed in one of four ways to each network."""

    losses = ("hinge", "non_saturating")
    logged = (*GAN.logged, "d_class", "g_class")
    conditional = True

    @classmethod
    def networks(
        cls,
        image_size,
        channels,
        latent_dim,
        width,
        num_classes=None,
        *,
        generator_conditioning="cbn_embedding",
        discriminator_conditioning="projection",
        generator_concat_layer=1,
        discriminator_concat_layer=1,
        embedding_dim=32,
        kernel_size=4,
        slope=0.2,
        base_channels=512,
        normalization="none",
    ):
        """See `GAN.networks`.

        Args:
            generator_conditioning, discriminator_conditioning: see the tables above.
            generator_concat_layer: after which of its layers `hidden_concat` joins the class; 0 is the first map.
            discriminator_concat_layer: the same, from 1 on (0 would be `concat`).
            embedding_dim: length of the class embedding e; `cbn_embedding`, `projection` and `auxiliary` have none.
            kernel_size: 3, 4 or 5, of all strided layers.
            slope: of LeakyReLU below zero, in [0, 0.3].
            base_channels: channels of the generator's first map, 10 to 512.
            normalization: of the discriminator: none or spectral.

        Raises:
            ValueError: for a value outside these.
        """
        networks.require("kernel_size", kernel_size, (3, 4, 5))
        networks.require("normalization", normalization, ("none", "spectral"))
        if not 0 <= slope <= 0.3:
            raise ValueError(f"slope must be in [0, 0.3]. Received: slope={slope}")
        if not 10 <= base_channels <= 512:
            raise ValueError(f"base_channels must be from 10 to 512. Received: base_channels={base_channels}")
        if embedding_dim < 1:
            raise ValueError(f"embedding_dim must be at least 1. Received: embedding_dim={embedding_dim}")
        return (
            generator(
                image_size,
                channels,
                latent_dim,
                width,
                num_classes,
                conditioning=generator_conditioning,
                concat_layer=generator_concat_layer,
                embedding_dim=embedding_dim,
                kernel_size=kernel_size,
                slope=slope,
                base_channels=base_channels,
            ),
            discriminator(
                image_size,
                channels,
                width,
                num_classes,
                conditioning=discriminator_conditioning,
                concat_layer=discriminator_concat_layer,
                embedding_dim=embedding_dim,
                kernel_size=kernel_size,
                slope=slope,
                spectral=normalization == "spectral",
            ),
        )

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


def generator(
    image_size, channels, latent_dim, width, num_classes, *, conditioning, concat_layer, embedding_dim, kernel_size,
    slope, base_channels,
):  # fmt: skip
    """Table I."""
    networks.require("generator_conditioning", conditioning, GENERATOR_CONDITIONINGS)
    path = networks.sizes(image_size)[::-1]
    filters = _filters(len(path) - 1, width)[::-1]
    hidden = conditioning == "hidden_concat"
    networks.require("generator_concat_layer", concat_layer, range(len(path)))
    latents, labels = networks.latents_input(latent_dim), networks.labels_input(num_classes)
    embedding = None
    if conditioning != "cbn_embedding":
        embedding = layers.Embedding(
            num_classes, embedding_dim, embeddings_initializer=_unit_normal(), name="class_embedding"
        )(labels)

    def norm(x, name):
        if conditioning == "cbn_embedding":
            layer = ConditionalBatchNormalization(num_classes, synchronized=networks.distributed(), name=name)
            return layer([x, labels])
        if conditioning == "cbn_linear":
            return ConditionalBatchNormalization(synchronized=networks.distributed(), name=name)([x, embedding])
        return networks.batch_normalization(name)(x)

    x = latents
    if conditioning == "concat":
        x = layers.Concatenate(name="latents_and_class")([latents, embedding])
    base = networks.scaled(base_channels, width)
    x = layers.Dense(path[0] ** 2 * base, kernel_initializer=networks.normal(), name="project")(x)
    x = layers.Reshape((path[0], path[0], base), name="reshape")(x)
    for i, side in enumerate(path[1:]):
        x = _joined(x, embedding) if hidden and concat_layer == i else x
        x = networks.doubled(x, filters[i], kernel_size, side, f"deconv_{i}", kernel_initializer=networks.normal())
        x = layers.LeakyReLU(slope, name=f"lrelu_{i}")(norm(x, f"norm_{i}"))
    x = _joined(x, embedding) if hidden and concat_layer == len(path) - 1 else x
    x = layers.Conv2D(channels, 3, padding="same", kernel_initializer=networks.normal(), name="to_image")(x)
    return keras.Model([latents, labels], networks.tanh_images(x), name="generator")


def discriminator(
    image_size, channels, width, num_classes, *, conditioning, concat_layer, embedding_dim, kernel_size, slope, spectral
):
    """Table II; gives `logits` [B, 1] and, with an auxiliary classifier, `class_logits` [B, num_classes]."""
    networks.require("discriminator_conditioning", conditioning, DISCRIMINATOR_CONDITIONINGS)
    wrap = wrapper(spectral)
    filters = _filters(len(networks.sizes(image_size)) - 1, width)
    concat = conditioning in ("concat", "hidden_concat")
    joined_at = 0 if conditioning == "concat" else concat_layer
    networks.require("discriminator_concat_layer", concat_layer, range(1, len(filters) + 1))
    images, labels = networks.images_input(image_size, channels), networks.labels_input(num_classes)
    embedding = None
    if concat:
        embedding = wrap(
            layers.Embedding(num_classes, embedding_dim, embeddings_initializer=_unit_normal(), name="class_embedding")
        )(labels)
    x = images
    for i, channels_out in enumerate(filters):
        x = _joined(x, embedding) if concat and joined_at == i else x
        conv = layers.Conv2D(
            channels_out, kernel_size, 2, "same", kernel_initializer=networks.normal(), name=f"conv_{i}"
        )
        x = layers.LeakyReLU(slope, name=f"lrelu_{i}")(wrap(conv)(x))
    x = _joined(x, embedding) if concat and joined_at == len(filters) else x
    if conditioning == "projection":
        features = SumOverMap(name="features")(x)
        outputs = {"logits": networks.float32(networks.projection(features, labels, num_classes, wrap))}
        return keras.Model([images, labels], outputs, name="discriminator")
    x = layers.Flatten(name="flatten")(x)
    outputs = {"logits": networks.float32(wrap(layers.Dense(1, name="logits"))(x))}
    if conditioning == "auxiliary":
        class_logits = wrap(layers.Dense(num_classes, name="class_logits"))(x)
        outputs["class_logits"] = networks.float32(class_logits, "class_logits")
        return keras.Model(images, outputs, name="discriminator")
    return keras.Model([images, labels], outputs, name="discriminator")


def _filters(count, width):
    """Channels of `count` strided layers of the discriminator; the generator has them the other way round."""
    table = [networks.scaled(filters, width) for filters in _CHANNELS]
    return (table + [table[-1]] * count)[:count]


def _joined(x, embedding):
    """The class embedding [B, E] beside the features at every pixel of the map [B, H, W, C]."""
    side = x.shape[1]
    everywhere = layers.RepeatVector(side * side, name=f"repeat_{side}")(embedding)
    everywhere = layers.Reshape((side, side, embedding.shape[-1]), name=f"everywhere_{side}")(everywhere)
    return layers.Concatenate(name=f"with_class_{side}")([x, everywhere])


def _unit_normal():
    """For class embeddings: as strong as the latents."""
    return keras.initializers.RandomNormal(stddev=1.0)
