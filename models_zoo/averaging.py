"""The averaged generator, from which every sample is drawn."""

import keras
import tensorflow as tf

from models_zoo import spectral_normalization


def averaged(generator):
    """A copy of the generator, not trainable, that `follow` moves."""
    average = keras.models.clone_model(generator)
    average.set_weights(generator.get_weights())
    average.trainable = False
    return average


def follow(average, generator, step, decay):
    """Move the averaged generator towards the generator.

    The decay is min(decay, (1 + t) / (10 + t)) after t steps, so that the random beginning is forgotten soon (the rule
    of `tf.train.ExponentialMovingAverage`). Statistics of batch normalization, already averages, are copied; so are the
    vectors of spectral normalization, and moved on to the averaged kernels.

    Args:
        average: what `averaged` gave.
        generator: whose variables it follows.
        step: t, scalar integer tensor.
        decay: the largest decay, in [0, 1); 0 keeps the newest weights.
    """
    t = tf.cast(step, tf.float32)
    decay = tf.minimum(decay, (1 + t) / (10 + t))
    for mean, variable in zip(average.variables, generator.variables, strict=True):
        if variable.trainable:
            mean.assign(mean * decay + variable * (1 - decay))
        else:
            mean.assign(variable)
    spectral_normalization.update_all(average)
