"""Training images as a `tf.data.Dataset`, for `fit` of any Keras model.

    from data_tools import pipeline

    images = pipeline.dataset("cifar10", "train", batch_size=64, flip=True, labels=False)
    gan.fit(images, steps_per_epoch=781, epochs=40)

It shows the images that `python -m tfgan_suite.fit` shows for the same seed, in the same order, to the bit: which image
stands where is a function of (seed, position), which one is mirrored of (seed, step).
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

import data_tools
from data_tools import batches, order
from data_tools.images import LabelledImages


def dataset(
    data: str | LabelledImages,
    split: str = "train",
    *,
    batch_size: int,
    seed: int = 0,
    image_size: int = 32,
    channels: int = 3,
    data_dir: Path | str | None = None,
    labels: bool = True,
    shuffle: bool = True,
    flip: bool = False,
    repeat: int | None = None,
    first_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    drop_remainder: bool = True,
) -> Any:
    """Batches of images float32 [B, H, W, C] in [-1, 1], or of (images, labels int32 [B]).

    Args:
        data: a name in `data_tools.DATASETS`, or images that are already there.
        split, image_size, channels, data_dir: for a name, as for `data_tools.load`.
        batch_size: images per batch, of all shards together. A GAN whose `discriminator_steps` is k takes k times the
            batch size of one update.
        seed: of order and flips: the run's seed. The order of a pass is another one in each.
        labels: whether batches are pairs of images and labels.
        shuffle: False gives the order of the data.
        flip: mirror half of the images left to right; leave it off where left and right differ, as in digits.
        repeat: how many passes; None for an endless stream, of which `fit` takes `steps_per_epoch` batches at a time,
            or it would never end. A batch may begin in one pass and end in the next, so that no image is left out.
        first_step: number of batches that were drawn before; with it, a stream goes on where another one stopped.
        shard: (index, count): this worker's part of every batch; the parts of all workers, one after the other, are
            the batch.
        drop_remainder: leave out the last batch of a finite stream if it is not full.

    Raises:
        DataError: for data that cannot be read.
        ValueError: for numbers that do not fit.
    """
    import tensorflow as tf

    if isinstance(data, str):
        data = data_tools.load(data, split, image_size=image_size, channels=channels, data_dir=data_dir)
    stream = _Stream(data, batch_size, seed, shuffle, repeat, *shard)
    _check(stream, first_step)

    def batch(step: Any) -> Any:
        pixels, classes, where = stream.own_tensors(step, full=repeat is None or drop_remainder)
        result = batches.from_uint8_in_graph(pixels)
        if flip:
            chosen = batches.flips(where[2], seed, step)[where[0] : where[1]]
            result = batches.flipped(result, tf.ensure_shape(chosen, classes.shape))
        return (result, classes) if labels else result

    steps = stream.steps(first_step, drop_remainder)
    options = tf.data.Options()
    options.deterministic = True
    # each worker is given its shard here; TensorFlow must not take a part of that part
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE).with_options(options)


@dataclasses.dataclass(frozen=True)
class _Stream:
    """Which images stand where; `index` and `count` are the shard's."""

    data: LabelledImages
    batch_size: int
    seed: int
    shuffle: bool
    repeat: int | None
    index: int
    count: int

    def steps(self, first_step: int, drop_remainder: bool) -> Any:
        """The numbers of the batches as a `tf.data.Dataset`, without end if there is no last pass."""
        import tensorflow as tf

        if self.repeat is None:
            return tf.data.Dataset.counter(first_step)
        total = self.repeat * len(self.data)
        count = total // self.batch_size if drop_remainder else math.ceil(total / self.batch_size)
        return tf.data.Dataset.range(first_step, max(first_step, count))

    def own_tensors(self, step: Any, full: bool) -> tuple[Any, Any, Any]:
        """`own_part` in a graph, of known size where every batch is full."""
        import tensorflow as tf

        types = (tf.uint8, tf.int32, tf.int32)
        pixels, classes, where = tf.numpy_function(self.own_part, [step], types, stateful=False)
        own = self.batch_size // self.count if full else None
        pixels.set_shape([own, *self.data.images.shape[1:]])
        classes.set_shape([own])
        return pixels, classes, where

    def own_part(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images and labels of this shard's part of a batch, and where it stands in it: start and end, of how many."""
        num_images, first = len(self.data), int(step) * self.batch_size
        size = self.batch_size if self.repeat is None else min(self.batch_size, self.repeat * num_images - first)
        if self.shuffle:
            chosen = order.indices(num_images, first, size, self.seed)
        else:
            chosen = np.arange(first, first + size) % num_images
        start, end = size * self.index // self.count, size * (self.index + 1) // self.count
        where = np.array([start, end, size], np.int32)
        return np.asarray(self.data.images[chosen[start:end]]), self.data.labels[chosen[start:end]], where


def _check(stream: _Stream, first_step: int) -> None:
    batch_size, repeat, index, count = stream.batch_size, stream.repeat, stream.index, stream.count
    if len(stream.data) < 1:
        raise ValueError("data must hold an image. Received: none")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    if repeat is not None and repeat < 1:
        raise ValueError(f"repeat must be at least 1, or None for an endless stream. Received: repeat={repeat}")
    if first_step < 0:
        raise ValueError(f"first_step must be at least 0. Received: first_step={first_step}")
    if not 0 <= index < count or batch_size % count:
        raise ValueError(
            f"shard must be (index, count), index from 0 to count - 1, and count a divisor of batch_size={batch_size}. "
            f"Received: shard={(index, count)}"
        )
