"""All randomness of training and sampling: pure functions of a seed and a step, so that any run can be resumed."""

import tensorflow as tf

# One literal per use. A counter would be shared by replicas that trace at the same time.
DISCRIMINATOR_LATENTS = 1
GENERATOR_LATENTS = 2
# 3: which images are mirrored, `data_tools.batches`
SAMPLE_LABELS = 4
DISCRIMINATOR_LABELS = 5
GENERATOR_LABELS = 6
PENALTY = 7
AUGMENT_REAL = 8
AUGMENT_FAKE = 9
AUGMENT_GENERATED = 10
AUGMENT_COMPARED = 11


def key(seed, step, use, index=0):
    """A key for `tf.random.stateless_*`, int32 [2], different for every seed, step, use, index and replica.

    Args:
        seed: the run's seed, a Python integer or scalar tensor.
        step: the step, scalar integer tensor.
        use: one of the literals of this module.
        index: which of several draws for one use within the step (the discriminator update, say).
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    result = tf.stack([tf.cast(seed, tf.int32), tf.cast(step, tf.int32)])
    for data in (use, index, replica):
        result = fold(result, tf.cast(data, tf.int32))
    return result


def fold(key_, data):
    """Another key, for the draw that the integer `data` stands for."""
    return tf.random.experimental.stateless_fold_in(key_, data, alg="philox")


def normal(shape, key_):
    """Standard normal float32 of `shape`, the same on every device."""
    return tf.random.stateless_normal(shape, key_, alg="philox")


def labels(batch_size, num_classes, key_):
    """Class labels int32 [batch_size], uniform over the classes."""
    return tf.random.stateless_uniform([batch_size], key_, 0, num_classes, tf.int32, alg="philox")


def latents_of(num_images, seed, latent_dim, first=0):
    """Latents float32 [num_images, latent_dim] from image `first` on; that of image i is a function of (seed, i) alone.

    So the first four of nine images are the same as four images of that seed.
    """
    return _latents_of(_range(num_images, first), tf.cast(seed, tf.int32), latent_dim)


def labels_of(num_images, seed, num_classes, first=0):
    """Class labels int32 [num_images], uniform; that of image i is a function of (seed, i) alone."""
    return _labels_of(_range(num_images, first), tf.cast(seed, tf.int32), num_classes)


def _range(num_images, first):
    first = tf.convert_to_tensor(first)
    return tf.range(first, first + num_images)


@tf.function(reduce_retracing=True)  # a hundred times faster than the eager loop
def _latents_of(indices, seed, latent_dim):
    return tf.map_fn(
        lambda i: tf.random.stateless_normal([latent_dim], tf.stack([seed, i]), alg="philox"),
        indices,
        fn_output_signature=tf.TensorSpec([latent_dim], tf.float32),
    )


@tf.function(reduce_retracing=True)
def _labels_of(indices, seed, num_classes):
    seed = fold(tf.stack([seed, 0]), SAMPLE_LABELS)
    return tf.map_fn(
        lambda i: tf.random.stateless_uniform([], fold(seed, i), 0, num_classes, tf.int32, alg="philox"),
        indices,
    )
