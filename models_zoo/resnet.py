"""Residual networks: those of Miyato et al. (2018, 2018b) and the options that later papers added to them.

Generator, at 32x32 (Miyato et al., Spectral Normalization for GANs, table 4):

| layer                                   | output, width 1 |
| --------------------------------------- | --------------- |
| dense                                   | 4 x 4 x 256     |
| residual block, size doubled            | 8 x 8 x 256     |
| residual block, size doubled            | 16 x 16 x 256   |
| residual block, size doubled            | 32 x 32 x 256   |
| batch norm, ReLU, 3x3 convolution, tanh | 32 x 32 x C     |

A block is norm, ReLU, nearest-neighbour upsampling, 3x3 convolution, norm, ReLU, 3x3 convolution, added to an
upsampled 1x1 convolution of its input.

Discriminator, at 32x32:

| layer                         | output, width 1 |
| ----------------------------- | --------------- |
| residual block, size halved   | 16 x 16 x 128   |
| residual block, size halved   | 8 x 8 x 128     |
| residual block                | 8 x 8 x 128     |
| residual block                | 8 x 8 x 128     |
| ReLU, sum over the map, dense | 1               |

A block is ReLU, 3x3 convolution, ReLU, 3x3 convolution, average pooling, added to a pooled 1x1 convolution of its
input; the first has no ReLU before its first convolution, the last two neither pooling nor convolution in the shortcut.

Other sizes: the generator begins at `sizes(image_size)[-1]`, the discriminator pools until at most 8 pixels remain; the
channels are the same in all blocks (the papers' own larger networks double them as the size halves).
"""

import keras
from keras import layers

from models_zoo import networks
from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.self_attention import SelfAttention
from models_zoo.spectral_normalization import wrapper

_LARGEST_ATTENTION = 32  # pixels a side: the attention map has side^4 entries


def resnet_generator(
    image_size,
    channels,
    latent_dim,
    width,
    num_classes=None,
    *,
    base_channels=256,
    condition="none",
    spectral=False,
    attention=False,
    embedding_dim=128,
    initializer="glorot_uniform",
):
    """The generator of the table above.

    Args:
        condition: "none" for batch normalization; "embedding" for conditional batch normalization from class
            embeddings (Miyato and Koyama, 2018); "linear" for that of BigGAN (Brock et al., 2019): the latents are
            split into one part for the first layer and one for each block, whose conditional batch normalizations
            are linear functions of that part and one class embedding that all share.
        spectral: whether all layers are spectrally normalized.
        attention: whether self-attention follows the last block whose output is at most 32 pixels a side and smaller
            than the image.

    Raises:
        ValueError: for a size outside the rule, or fewer latents than parts.
    """
    path = networks.sizes(image_size)[::-1]
    filters = networks.scaled(base_channels, width)
    wrap = wrapper(spectral)
    latents = networks.latents_input(latent_dim)
    labels = None if condition == "none" else networks.labels_input(num_classes)
    first, conditions = latents, [labels] * (len(path) - 1)
    if condition == "linear":
        first, conditions = _hierarchical(latents, labels, len(path) - 1, num_classes, embedding_dim, initializer)

    def norm(x, given, name):
        if condition == "none":
            return networks.batch_normalization(name)(x)
        layer = ConditionalBatchNormalization(
            num_classes if condition == "embedding" else None,
            synchronized=networks.distributed(),
            spectral=spectral and condition == "linear",
            name=name,
        )
        return layer([x, given])

    def conv(x, kernel_size, name, filters=filters):
        return wrap(layers.Conv2D(filters, kernel_size, padding="same", kernel_initializer=initializer, name=name))(x)

    x = wrap(layers.Dense(path[0] ** 2 * filters, kernel_initializer=initializer, name="project"))(first)
    x = layers.Reshape((path[0], path[0], filters), name="reshape")(x)
    attended = _attended(path[1:-1]) if attention else None
    for i, (side, given) in enumerate(zip(path[1:], conditions, strict=True)):
        residual = layers.ReLU(name=f"block_{i}_relu_0")(norm(x, given, f"block_{i}_norm_0"))
        residual = conv(_upsampled(residual, side, f"block_{i}_up"), 3, f"block_{i}_conv_0")
        residual = layers.ReLU(name=f"block_{i}_relu_1")(norm(residual, given, f"block_{i}_norm_1"))
        residual = conv(residual, 3, f"block_{i}_conv_1")
        # a 1x1 convolution commutes with nearest-neighbour upsampling, and is four times cheaper before it
        shortcut = _upsampled(conv(x, 1, f"block_{i}_shortcut"), side, f"block_{i}_shortcut_up")
        x = layers.Add(name=f"block_{i}")([residual, shortcut])
        if side == attended:
            x = SelfAttention(spectral, initializer=initializer, name="attention")(x)
    x = layers.ReLU(name="relu")(networks.batch_normalization("norm")(x))
    x = conv(x, 3, "to_image", filters=channels)
    inputs = latents if labels is None else [latents, labels]
    return keras.Model(inputs, networks.tanh_images(x), name="generator")


def resnet_discriminator(
    image_size,
    channels,
    width,
    num_classes=None,
    *,
    base_channels=128,
    normalization="spectral",
    project=False,
    attention=False,
    stable_rank=0.0,
    initializer="glorot_uniform",
):
    """The discriminator of the table above.

    Args:
        normalization: "spectral" for all layers; "batch" or "layer" before each ReLU but the first block's; or "none".
        project: whether it takes labels too, and adds the projection of their embedding (Miyato and Koyama, 2018).
        attention: whether self-attention follows the first block whose output is at most 32 pixels a side.
        stable_rank: as in `SpectralNormalization`.

    Raises:
        ValueError: for a size outside the rule, or an unknown normalization.
    """
    networks.require("normalization", normalization, networks.NORMALIZATIONS)
    wrap = wrapper(normalization == "spectral", stable_rank)
    filters = networks.scaled(base_channels, width)
    pooled = networks.sizes(image_size, largest_base=8)[1:]
    images = x = networks.images_input(image_size, channels)

    def conv(x, kernel_size, name):
        return wrap(layers.Conv2D(filters, kernel_size, padding="same", kernel_initializer=initializer, name=name))(x)

    attended = _attended(pooled) if attention else None
    for i in range(len(pooled) + 2):
        first, pool = i == 0, i < len(pooled)
        residual = x
        if not first:
            residual = layers.ReLU(name=f"block_{i}_relu_0")(networks.normalize(x, normalization, f"block_{i}_norm_0"))
        residual = networks.normalize(conv(residual, 3, f"block_{i}_conv_0"), normalization, f"block_{i}_norm_1")
        residual = conv(layers.ReLU(name=f"block_{i}_relu_1")(residual), 3, f"block_{i}_conv_1")
        shortcut = x
        if pool:
            residual = _halved(residual, f"block_{i}_pool")
            # pooling and a 1x1 convolution commute: the cheaper order
            shortcut = conv(_halved(x, f"block_{i}_shortcut_pool"), 1, f"block_{i}_shortcut")
        x = layers.Add(name=f"block_{i}")([residual, shortcut])
        if pool and pooled[i] == attended:
            x = SelfAttention(normalization == "spectral", stable_rank, initializer, name="attention")(x)
    x = layers.ReLU(name="relu")(networks.normalize(x, normalization, "norm"))
    features = SumOverMap(name="features")(x)
    if not project:
        logits = wrap(layers.Dense(1, kernel_initializer=initializer, name="logits"))(features)
        return keras.Model(images, networks.float32(logits), name="discriminator")
    labels = networks.labels_input(num_classes)
    logits = networks.projection(features, labels, num_classes, wrap, initializer)
    return keras.Model([images, labels], networks.float32(logits), name="discriminator")


@keras.saving.register_keras_serializable("models_zoo")
class SumOverMap(layers.Layer):
    """The sum of a feature map over its pixels, [B, H, W, C] to [B, C]."""

    def call(self, x):
        return keras.ops.sum(x, axis=(1, 2))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


def _hierarchical(latents, labels, blocks, num_classes, embedding_dim, initializer):
    """The part of the latents for the first layer, and for each block its part beside the class embedding."""
    part = latents.shape[-1] // (blocks + 1)
    if part < 1:
        raise ValueError(
            f"latent_dim must be at least {blocks + 1}, one for the first layer and each block. "
            f"Received: latent_dim={latents.shape[-1]}"
        )
    embedding = layers.Embedding(
        num_classes, embedding_dim, embeddings_initializer=initializer, name="class_embedding"
    )(labels)
    start = latents.shape[-1] - part * blocks
    parts = [latents[:, start + i * part : start + (i + 1) * part] for i in range(blocks)]
    conditions = [layers.Concatenate(name=f"condition_{i}")([embedding, z]) for i, z in enumerate(parts)]
    return latents[:, :start], conditions


def _attended(sides):
    """The largest side that attention is affordable at."""
    return max(side for side in sides if side <= _LARGEST_ATTENTION)


def _upsampled(x, side, name):
    return networks.cropped(layers.UpSampling2D(2, name=name)(x), side, f"{name}_crop")


def _halved(x, name):
    return layers.AveragePooling2D(2, padding="same", name=name)(x)
