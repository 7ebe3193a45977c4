"""How images enter a scoring network, inside its graph: the rules that resize and scale them, listed at the foot.

A resize rule takes images float32 [B, H, W, C] in 0..255 and the wanted side, and gives float32 [B, side, side, C]; an
image that is not square is stretched. At the wanted size all of them leave the pixels alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def tf1(images: tf.Tensor, side: int) -> tf.Tensor:
    """TensorFlow 1's bilinear rule, which TF-GAN's graph and the published scores use.

    Output pixel i reads the input at i * H / side, without half-pixel offset and without filtering when shrinking.
    """
    import tensorflow as tf

    return tf.compat.v1.image.resize(images, (side, side), "bilinear", align_corners=False)


def clean(images: tf.Tensor, side: int) -> tf.Tensor:
    """Pillow's antialiased bicubic rule in floating point, clipped to 0..255.

    Source: Parmar, Zhang and Zhu, On Aliased Resizing and Surprising Subtleties in GAN Evaluation (2022).
    """
    import tensorflow as tf

    return tf.clip_by_value(tf.image.resize(images, (side, side), "bicubic", antialias=True), 0.0, 255.0)


def bilinear(images: tf.Tensor, side: int) -> tf.Tensor:
    """Half-pixel bilinear rule, filtered when shrinking: the rule of this suite's own classifiers."""
    import tensorflow as tf

    return tf.image.resize(images, (side, side), "bilinear", antialias=True)


# name -> (rule, its words in a score)
RESIZES = {
    "tf1": (tf1, "tf1 bilinear"),
    "clean": (clean, "clean bicubic antialiased"),
    "bilinear": (bilinear, "bilinear antialiased"),
}
# name as recorded -> (subtracted, divided by), of pixels in 0..255
VALUE_RULES = {"(x - 128) / 128": (128.0, 128.0), "x / 127.5 - 1": (127.5, 127.5)}
DTYPES = ("float32", "bfloat16")
