"""What a batch is made of: which images, scaled how, mirrored or not; pure functions of a seed and a step.

The suite's loop and `data_tools.pipeline` both draw from here, so they show the same images for a seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from data_tools import order
from data_tools.images import LabelledImages

FLIPS = 3  # the number that `models_zoo.randomness` keeps free for this use


def gather(data: LabelledImages, seed: int, step: int, rows: int, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The batches of `count` steps from `step` on, each of `rows` images.

    Returns:
        images uint8 [count, rows, H, W, C] and labels int32 [count, rows].
    """
    chosen = order.indices(len(data), step * rows, count * rows, seed).reshape(count, rows)
    return np.asarray(data.images[chosen]), data.labels[chosen]


def from_uint8_in_graph(images: Any) -> Any:
    """A uint8 tensor, 0..255, as float32 in [-1, 1]: x / 127.5 - 1.

    Written as a product, which TensorFlow makes of the division in a compiled graph but not elsewhere: so the last bit
    is the same in a step, in a pipeline and outside both.
    """
    import tensorflow as tf

    return tf.cast(images, tf.float32) * (1 / 127.5) - 1


def flips(count: int, seed: Any, step: Any, replica: Any = 0) -> Any:
    """Which of the `count` images of a step are to be mirrored, bool [count]: each with probability 1/2."""
    import tensorflow as tf

    return tf.random.stateless_uniform([count], flip_key(seed, step, replica), alg="philox") < 0.5


def flip_key(seed: Any, step: Any, replica: Any = 0) -> Any:
    """The key of a step's flips, int32 [2]: that of `models_zoo.randomness.key` for the use `FLIPS`.

    The two packages do not know each other, so the folding is written out here once more; a test holds them equal.
    """
    import tensorflow as tf

    key = tf.stack([tf.cast(seed, tf.int32), tf.cast(step, tf.int32)])
    for data in (FLIPS, 0, replica):
        key = tf.random.experimental.stateless_fold_in(key, tf.cast(data, tf.int32), alg="philox")
    return key


def flipped(images: Any, chosen: Any) -> Any:
    """Images [B, H, W, C], those of `chosen`, bool [B], mirrored left to right."""
    import tensorflow as tf

    return tf.where(chosen[:, None, None, None], images[:, :, ::-1], images)
