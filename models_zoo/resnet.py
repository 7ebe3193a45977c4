"""Residual blocks, and the two stacks of them that SNGAN, SAGAN and BigGAN are made of.

`grown`, at 32x32 (Miyato et al., Spectral Normalization for GANs, 2018, table 4):

| layer                                   | output, width 1 |
| --------------------------------------- | --------------- |
| dense                                   | 4 x 4 x 256     |
| residual block, size doubled            | 8 x 8 x 256     |
| residual block, size doubled            | 16 x 16 x 256   |
| residual block, size doubled            | 32 x 32 x 256   |
| batch norm, ReLU, 3x3 convolution, tanh | 32 x 32 x C     |

A block is norm, ReLU, nearest-neighbour upsampling, 3x3 convolution, norm, ReLU, 3x3 convolution, added to an
upsampled 1x1 convolution of its input.

`shrunk`, at 32x32:

| layer                         | output, width 1 |
| ----------------------------- | --------------- |
| residual block, size halved   | 16 x 16 x 128   |
| residual block, size halved   | 8 x 8 x 128     |
| residual block                | 8 x 8 x 128     |
| residual block                | 8 x 8 x 128     |
| ReLU, sum over the map        | 128             |

A block is ReLU, 3x3 convolution, ReLU, 3x3 convolution, average pooling, added to a pooled 1x1 convolution of its
input; the first has no ReLU before its first convolution, the last two neither pooling nor convolution in the shortcut.

What differs between the papers, the norms, the inputs and the heads, stands in the file of each variant. Other sizes:
the generator begins at `sizes(image_size)[-1]`, the discriminator pools until at most 8 pixels remain; the channels are
the same in all blocks (the papers' own larger networks double them as the size halves).
"""

import dataclasses

import keras
from keras import layers

from models_zoo import networks
from models_zoo.self_attention import SelfAttention
from models_zoo.spectral_normalization import wrapper

GENERATOR_CHANNELS, DISCRIMINATOR_CHANNELS = 256, 128
_LARGEST_ATTENTION = 32  # pixels a side: the attention map has side^4 entries


@dataclasses.dataclass(frozen=True)
class Kernels:
    """How the kernels of a network begin, and what normalizes them.

    Args:
        spectral: whether all are spectrally normalized.
        stable_rank: as in `SpectralNormalization`.
        initializer: name of an initializer of Keras.
    """

    spectral: bool = False
    stable_rank: float = 0.0
    initializer: str = "glorot_uniform"

    def wrap(self, layer):
        return wrapper(self.spectral, self.stable_rank)(layer)

    def convolution(self, x, filters, kernel_size, name):
        layer = layers.Conv2D(filters, kernel_size, padding="same", kernel_initializer=self.initializer, name=name)
        return self.wrap(layer)(x)

    def dense(self, x, units, name):
        return self.wrap(layers.Dense(units, kernel_initializer=self.initializer, name=name))(x)

    def attention(self, x):
        return SelfAttention(self.spectral, self.stable_rank, self.initializer, name="attention")(x)


def grown(x, path, filters, channels, kernels, norm, attention=False):
    """Images [B, S, S, channels] out of vectors [B, d]: the first table.

    Args:
        x: [B, d].
        path: side lengths, from the first map to the image.
        filters: channels of every map.
        channels: those of the image.
        kernels: see `Kernels`.
        norm: the norm of block number i, from (map, i, name) to map.
        attention: whether self-attention follows the last block whose output is at most 32 pixels a side and smaller
            than the image.
    """
    attended = attended_side(path[1:-1]) if attention else None
    x = kernels.dense(x, path[0] ** 2 * filters, "project")
    x = layers.Reshape((path[0], path[0], filters), name="reshape")(x)
    for i, side in enumerate(path[1:]):
        x = doubling_block(x, side, filters, kernels, norm, i)
        x = kernels.attention(x) if side == attended else x
    x = layers.ReLU(name="relu")(networks.batch_normalization("norm")(x))
    return networks.tanh_images(kernels.convolution(x, channels, 3, "to_image"))


def doubling_block(x, side, filters, kernels, norm, i):
    """Block number i of a generator: from a map of half of `side` pixels to one of `side`."""
    residual = layers.ReLU(name=f"block_{i}_relu_0")(norm(x, i, f"block_{i}_norm_0"))
    residual = upsampled(residual, side, f"block_{i}_up")
    residual = kernels.convolution(residual, filters, 3, f"block_{i}_conv_0")
    residual = layers.ReLU(name=f"block_{i}_relu_1")(norm(residual, i, f"block_{i}_norm_1"))
    residual = kernels.convolution(residual, filters, 3, f"block_{i}_conv_1")
    # a 1x1 convolution commutes with nearest-neighbour upsampling, and is four times cheaper before it
    shortcut = kernels.convolution(x, filters, 1, f"block_{i}_shortcut")
    shortcut = upsampled(shortcut, side, f"block_{i}_shortcut_up")
    return layers.Add(name=f"block_{i}")([residual, shortcut])


def shrunk(images, filters, kernels, normalization="none", attention=False):
    """Features [B, filters] out of images [B, S, S, C]: the second table.

    Args:
        images: of a size that `networks.sizes` takes.
        filters: channels of every map.
        kernels: see `Kernels`.
        normalization: "batch" or "layer" before each ReLU but the first block's; nothing for another word.
        attention: whether self-attention follows the first block whose output is at most 32 pixels a side.
    """
    pooled = networks.sizes(images.shape[1], largest_base=8)[1:]
    attended = attended_side(pooled) if attention else None
    x = images
    for i in range(len(pooled) + 2):
        x = halving_block(x, filters, kernels, normalization, i, pool=i < len(pooled))
        x = kernels.attention(x) if i < len(pooled) and pooled[i] == attended else x
    x = layers.ReLU(name="relu")(networks.normalize(x, normalization, "norm"))
    return SumOverMap(name="features")(x)


def halving_block(x, filters, kernels, normalization, i, pool):
    """Block number i of a discriminator, which halves the side if `pool`."""
    residual = x
    if i:
        residual = layers.ReLU(name=f"block_{i}_relu_0")(networks.normalize(x, normalization, f"block_{i}_norm_0"))
    residual = kernels.convolution(residual, filters, 3, f"block_{i}_conv_0")
    residual = networks.normalize(residual, normalization, f"block_{i}_norm_1")
    residual = layers.ReLU(name=f"block_{i}_relu_1")(residual)
    residual = kernels.convolution(residual, filters, 3, f"block_{i}_conv_1")
    shortcut = x
    if pool:
        residual = halved(residual, f"block_{i}_pool")
        # pooling and a 1x1 convolution commute: the cheaper order
        shortcut = kernels.convolution(halved(x, f"block_{i}_shortcut_pool"), filters, 1, f"block_{i}_shortcut")
    return layers.Add(name=f"block_{i}")([residual, shortcut])


def projection_discriminator(image_size, channels, num_classes, filters, kernels, attention=False):
    """`shrunk`, then the logits of a projection discriminator (Miyato and Koyama, 2018): from [images, labels]."""
    images = networks.images_input(image_size, channels)
    features = shrunk(images, filters, kernels, attention=attention)
    labels = networks.labels_input(num_classes)
    logits = networks.projection(features, labels, num_classes, kernels.wrap, kernels.initializer)
    return keras.Model([images, labels], networks.float32(logits), name="discriminator")


def attended_side(sides: list[int]) -> int:
    """The largest side that attention is affordable at."""
    return max(side for side in sides if side <= _LARGEST_ATTENTION)


def upsampled(x, side, name):
    """Twice the side, cropped to `side` pixels."""
    return networks.cropped(layers.UpSampling2D(2, name=name)(x), side, f"{name}_crop")


def halved(x, name):
    """Half the side, rounded up, by average pooling."""
    return layers.AveragePooling2D(2, padding="same", name=name)(x)


@keras.saving.register_keras_serializable("models_zoo")
class SumOverMap(layers.Layer):
    """The sum of a feature map over its pixels, [B, H, W, C] to [B, C]."""

    def call(self, x):
        return keras.ops.sum(x, axis=(1, 2))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])
