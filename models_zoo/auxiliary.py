"""What AC-GAN and VT-GAN share: the class beside the latents, six convolutions, two heads."""

from __future__ import annotations

import keras
from keras import layers

from models_zoo import networks
from models_zoo.losses import class_cross_entropy

LOGGED = ("d_class_real", "d_class_fake", "g_class")


def class_losses(real, labels, fake, fake_labels, smoothing=0.0):
    """L_C of Odena et al. (2017), eq. 3, negated, in its two terms by their names in the log.

    Args:
        real, fake: outputs of the discriminator, with `class_logits` [B, k].
        labels, fake_labels: integers [B] in [0, k).
        smoothing: of the targets, as in `class_cross_entropy`.
    """
    return {
        "d_class_real": class_cross_entropy(real["class_logits"], labels, smoothing),
        "d_class_fake": class_cross_entropy(fake["class_logits"], fake_labels, smoothing),
    }


def generator(inputs, x, path, filters, channels, activate, block):
    """A model from `inputs`, latents and labels, to images: a dense layer, then 5x5 deconvolutions, tanh at the end.

    Args:
        inputs: `latents` [B, latent_dim] and `labels` [B].
        x: what the dense layer takes, [B, d].
        path: side lengths, from the first map to the image.
        filters: channels of the maps before the image.
        channels: those of the image.
        activate: what follows the dense layer, from map to map.
        block: what follows the deconvolution number i, from (map, i) to map.
    """
    x = layers.Dense(path[0] ** 2 * filters[0], kernel_initializer=networks.normal(), name="project")(x)
    x = activate(layers.Reshape((path[0], path[0], filters[0]), name="reshape")(x))
    for i, side in enumerate(path[1:-1]):
        x = block(networks.doubled(x, filters[i + 1], 5, side, f"deconv_{i}", kernel_initializer=networks.normal()), i)
    x = networks.doubled(x, channels, 5, path[-1], "to_image", kernel_initializer=networks.normal())
    return keras.Model(inputs, networks.tanh_images(x), name="generator")


def with_class(x, labels, num_classes):
    """The class as a one-hot row beside x [B, d]: [B, d + num_classes]."""
    return layers.Concatenate(name="latents_and_class")([x, networks.one_hot(labels, num_classes)])


def six_convolutions(images, table, width, block):
    """Features [B, d] of images after six convolutions.

    Args:
        images: [B, S, S, C].
        table: kernel size and channels of each, for width 1.
        width: multiplies the channels.
        block: what follows the convolution number i, from (map, i) to map.
    """
    x = images
    for i, strides in enumerate(strides_of_six(images.shape[1])):
        kernel_size, filters = table[i]
        convolution = layers.Conv2D(
            networks.scaled(filters, width),
            kernel_size,
            strides,
            padding="same",
            kernel_initializer=networks.normal(),
            name=f"conv_{i}",
        )
        x = block(convolution(x), i)
    return layers.Flatten(name="flatten")(x)


def strides_of_six(image_size: int) -> list[int]:
    """Strides of six convolutions: 2 for the first, third and fifth; for images of more than 32 pixels also for the
    sixth, fourth and second, as far as `sizes` goes and six convolutions can."""
    halvings = len(networks.sizes(image_size)) - 1
    strided = (0, 2, 4, 5, 3, 1)[: max(3, halvings)]
    return [2 if i in strided else 1 for i in range(6)]


def source_and_class(x, num_classes):
    """The two heads on features [B, d]: `logits` [B, 1] and `class_logits` [B, num_classes]."""
    logits = layers.Dense(1, kernel_initializer=networks.normal(), name="logits")(x)
    class_logits = layers.Dense(num_classes, kernel_initializer=networks.normal(), name="class_logits")(x)
    return {"logits": networks.float32(logits), "class_logits": networks.float32(class_logits, "class_logits")}
