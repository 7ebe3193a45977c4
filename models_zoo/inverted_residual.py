"""Inverted residual blocks with grouped convolutions, and the two networks of R3GAN that are made of them.

Source: Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN (2024), section 3.

| generator, 32x32, width 1             | output        | discriminator                               | output        |
| ------------------------------------- | ------------- | ------------------------------------------- | ------------- |
| z and class embedding, dense          | 768           | 1x1 convolution                             | 32 x 32 x 768 |
| times a learned map for each channel  | 4 x 4 x 768   | 2 blocks, halved                            | 16 x 16 x 768 |
| 2 blocks, doubled                     | 8 x 8 x 768   | 2 blocks, halved                            | 8 x 8 x 768   |
| 2 blocks, doubled                     | 16 x 16 x 768 | 2 blocks, halved                            | 4 x 4 x 768   |
| 2 blocks, doubled                     | 32 x 32 x 768 | 2 blocks                                    | 4 x 4 x 768   |
| 2 blocks                              | 32 x 32 x 768 | depthwise 4x4 convolution                   | 768           |
| 1x1 convolution                       | 32 x 32 x C   | dense, inner product with a class embedding | 1             |

A block adds to its input: 1x1 convolution to twice the channels, 3x3 convolution in groups of 16 channels, 1x1
convolution back, with bias and LeakyReLU of slope 0.2 after the first two. No normalization: kernels begin normal with
deviation sqrt(2 / 1.04) L^(-1/4) / sqrt(fan in), L being the blocks of the network (Zhang et al., Fixup Initialization,
2019), the last of each block at zero. Everything else begins with deviation 1 / sqrt(fan in), the maps with 1. Maps
are halved and doubled by the filter [1, 2, 1] (`models_zoo/smooth_resampling.py`). No other layer has a bias.

Larger images halve the channels as the side doubles beyond 32, by a 1x1 convolution beside the resampling; the first
map has at most 4 pixels a side. Channels are rounded to multiples of 8, so that groups are whole. Both class embeddings
are as long as z. The paper's text leaves open what the border of a map is filled with (here it repeats), how long the
embeddings are, and the channels at 64x64.
"""

from __future__ import annotations

import math

import keras
from keras import layers

from models_zoo import networks
from models_zoo.conditioning import class_embedding
from models_zoo.grouped_convolution import GroupedConv2D
from models_zoo.map_basis import MapBasis, MapProduct
from models_zoo.smooth_resampling import SmoothDoubling, SmoothHalving

_CHANNELS, _WIDEST_SIDE = 768, 32  # of maps of at most that side
_BLOCKS = 2  # for each size of map
_EXPANSION, _GROUP = 2, 16
_SLOPE = 0.2


def generator(image_size, channels, latent_dim, width, num_classes):
    """The left half of the table, from [latents, labels]."""
    path = networks.sizes(image_size, largest_base=4)[::-1]
    filters, num_blocks = [channels_at(side, width) for side in path], _BLOCKS * len(path)
    latents, labels = networks.latents_input(latent_dim), networks.labels_input(num_classes)
    x = layers.Concatenate(name="latents_and_class")([latents, class_embedding(num_classes, latent_dim)(labels)])
    x = layers.Dense(filters[0], use_bias=False, kernel_initializer=_normal(2 * latent_dim), name="project")(x)
    x = MapBasis(path[0], name="basis")(x)
    for i, side in enumerate(path):
        if i:
            x = _with_channels(x, filters[i], f"widths_{i}")
            x = networks.cropped(SmoothDoubling(name=f"doubled_{i}")(x), side, f"doubled_{i}_crop")
        x = blocks(x, num_blocks, i)
    return keras.Model(
        [latents, labels], networks.float32(_pointwise(x, channels, "to_image"), "images"), name="generator"
    )


def discriminator(image_size, channels, latent_dim, width, num_classes):
    """The right half of the table: logits [B, 1] of [images, labels]."""
    path = networks.sizes(image_size, largest_base=4)
    filters, num_blocks = [channels_at(side, width) for side in path], _BLOCKS * len(path)
    images, labels = networks.images_input(image_size, channels), networks.labels_input(num_classes)
    x = _pointwise(images, filters[0], "from_image")
    for i in range(len(path)):
        if i:
            x = _with_channels(SmoothHalving(name=f"halved_{i}")(x), filters[i], f"widths_{i}")
        x = blocks(x, num_blocks, i)
    x = MapProduct(name="features")(x)
    x = layers.Dense(latent_dim, use_bias=False, kernel_initializer=_normal(filters[-1]), name="logits")(x)
    of_class = layers.Embedding(
        num_classes, latent_dim, embeddings_initializer=_normal(latent_dim), name="class_embedding"
    )(labels)
    logits = layers.Dot(axes=1, name="inner_product")([x, of_class])
    return keras.Model([images, labels], networks.float32(logits), name="discriminator")


def channels_at(side: int, width: float) -> int:
    """Channels of a map: multiples of 8.

    >>> [channels_at(side, 1.0) for side in (4, 32, 54, 108)]
    [768, 768, 384, 192]
    """
    halvings = max(0, math.ceil(math.log2(side / _WIDEST_SIDE)))
    whole = _GROUP // _EXPANSION
    return whole * max(1, round(_CHANNELS / 2**halvings * width / whole))


def blocks(x, num_blocks, stage):
    """The blocks of one size of map, out of `num_blocks` in the network."""
    for i in range(_BLOCKS):
        x = block(x, num_blocks, f"block_{stage}_{i}")
    return x


def block(x, num_blocks, name):
    """A map plus a function of it that begins as zero."""
    filters = x.shape[-1]
    inner = _EXPANSION * filters
    gain = math.sqrt(2 / (1 + _SLOPE**2)) * num_blocks**-0.25
    y = layers.Conv2D(inner, 1, kernel_initializer=_normal(filters, gain), name=f"{name}_widen")(x)
    y = layers.LeakyReLU(_SLOPE, name=f"{name}_lrelu_0")(y)
    y = GroupedConv2D(
        inner,
        3,
        padding="same",
        groups=inner // _GROUP,
        kernel_initializer=_normal(9 * _GROUP, gain),
        name=f"{name}_grouped",
    )(y)
    y = layers.LeakyReLU(_SLOPE, name=f"{name}_lrelu_1")(y)
    y = layers.Conv2D(filters, 1, use_bias=False, kernel_initializer="zeros", name=f"{name}_narrow")(y)
    return layers.Add(name=name)([x, y])


def _with_channels(x, filters, name):
    return x if x.shape[-1] == filters else _pointwise(x, filters, name)


def _pointwise(x, filters, name):
    return layers.Conv2D(filters, 1, use_bias=False, kernel_initializer=_normal(x.shape[-1]), name=name)(x)


def _normal(fan_in, gain=1.0):
    """Zero-centred normal; to be called once for every layer, as an initializer draws the same numbers each time."""
    return keras.initializers.RandomNormal(stddev=gain * fan_in**-0.5)
