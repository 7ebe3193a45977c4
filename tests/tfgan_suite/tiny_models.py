"""Small SavedModels with the outputs of TF-GAN's Inception, and archives of them as the hub serves them."""

import io
import tarfile

import numpy as np
import tensorflow as tf

LOGITS, POOL = 1008, 2048


class TinyInception(tf.Module):
    """A convolution, a mean, and two products; takes and gives what TF-GAN's module does."""

    def __init__(self, seed=0, logits=LOGITS):
        super().__init__()
        random = np.random.default_rng(seed)
        self.kernel = tf.Variable(random.normal(size=(8, 8, 3, 16)).astype(np.float32) * 0.1)
        self.mix = tf.Variable(random.normal(size=(16, POOL)).astype(np.float32) * 0.3)
        self.head = tf.Variable(random.normal(size=(POOL, logits)).astype(np.float32) * 0.05)

    def compute(self, images):
        maps = tf.nn.relu(tf.nn.conv2d(images, self.kernel, 8, "VALID"))
        pooled = tf.nn.relu(tf.reduce_mean(maps, axis=[1, 2]) @ self.mix)
        return {"logits": pooled @ self.head, "pool_3": pooled}

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
    def __call__(self, images):
        return self.compute(images)


def save(folder, model=None, **options):
    """Write a SavedModel; gives its folder."""
    tf.saved_model.save(model or TinyInception(), str(folder), **options)
    return folder


def save_function(folder, function, *, signature=True):
    """A SavedModel whose one function, of images of any size, is `function`."""
    module = tf.Module()
    module.compute = tf.function(function, input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.compute} if signature else None)
    return folder


def pack(folder, archive):
    """A `.tar.gz` as the hub serves it, with "./" before the names; gives its path."""
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=".")
    return archive


def pack_members(archive, members):
    """A `.tar.gz` of (TarInfo or name, bytes); gives its path."""
    with tarfile.open(archive, "w:gz") as tar:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isfile():
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive
