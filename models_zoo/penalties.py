"""Penalties on the discriminator's gradient with respect to its input, as pure functions.

Each entry of `PENALTIES` is

    penalty(discriminate, real, fake, key) -> scalar float32, at least 0 and not weighted

discriminate: maps float32 images [B, H, W, C] to logits [B] or [B, 1]; a closure, which may hold labels. A sample's
    logit must depend on that sample alone (no batch normalization), or the gradients are mixed.
real, fake: images float [B, H, W, C], as many of the one as of the other.
key: int32 [2], a key for `tf.random.stateless_*`.

A penalty can be differentiated with respect to the weights that `discriminate` uses.
"""

import tensorflow as tf

from models_zoo.randomness import fold

_SMALLEST = 1e-12  # norms below it count as zero
_NOISE = 1
_POSITION = 2


def wgan_gp(discriminate, real, fake, key):
    """Mean of (|grad D(x_hat)| - 1)^2, x_hat drawn on the lines between real and generated images.

    Source: Gulrajani et al., Improved Training of Wasserstein GANs (2017), eq. 3 and algorithm 1.
    """
    return _two_sided(discriminate, interpolate(real, fake, key))


def dragan(discriminate, real, fake, key):
    """Mean of (|grad D(x_hat)| - 1)^2, x_hat drawn around real images; `fake` is not looked at.

    x_hat = x + alpha (x_p - x) with x_p = x + 0.5 std(x) u, where u ~ U[0, 1) for every pixel, alpha ~ U[0, 1) for
    every sample, and std(x) is one number, that of all pixels of the batch. So does the code of the authors
    (github.com/kodalinaveen3/DRAGAN). Their text is another thing: Kodali et al., On Convergence and Stability of GANs
    (2017), eq. 1, has x_hat = x + delta with delta ~ N(0, c I), c set by hand, no alpha, and noise of mean 0.
    """
    real = tf.cast(real, tf.float32)
    noise = tf.random.stateless_uniform(tf.shape(real), fold(key, _NOISE), alg="philox")
    perturbed = real + 0.5 * tf.math.reduce_std(real) * noise
    return _two_sided(discriminate, interpolate(perturbed, real, fold(key, _POSITION)))


def r1(discriminate, real, fake, key):
    """1/2 mean |grad D(x)|^2 on real images; `fake` and `key` are not looked at.

    Source: Mescheder et al., Which Training Methods for GANs do actually Converge? (2018), eq. 9, without its gamma.
    """
    return tf.reduce_mean(_squared_norms(discriminate, real)) / 2


def r2(discriminate, real, fake, key):
    """1/2 mean |grad D(G(z))|^2 on generated images; `real` and `key` are not looked at.

    Source: Mescheder et al. (2018), eq. 10, without its gamma.
    """
    return tf.reduce_mean(_squared_norms(discriminate, fake)) / 2


def gradient_norms(discriminate, images):
    """Euclidean norm of the gradient of each image's logit with respect to that image, float32 [B].

    The derivative of a square root is infinite at 0. So norms under 1e-12 are set to 0, and their derivative with them:
    `tf.where` picks the constant, and the root beside it is taken of 1. NaN stays NaN.
    """
    squares = _squared_norms(discriminate, images)
    vanished = squares < _SMALLEST**2
    return tf.where(vanished, 0.0, tf.sqrt(tf.where(vanished, 1.0, squares)))


def interpolate(real, fake, key):
    """epsilon * real + (1 - epsilon) * fake, float32 [B, H, W, C], with one epsilon ~ U[0, 1) for every sample."""
    real, fake = tf.cast(real, tf.float32), tf.cast(fake, tf.float32)
    epsilon = tf.random.stateless_uniform([tf.shape(real)[0], 1, 1, 1], key, alg="philox")
    return epsilon * real + (1 - epsilon) * fake


def _two_sided(discriminate, images):
    return tf.reduce_mean(tf.square(gradient_norms(discriminate, images) - 1))


def _squared_norms(discriminate, images):
    images = tf.cast(images, tf.float32)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        total = tf.reduce_sum(tf.cast(discriminate(images), tf.float32))
    gradients = tape.gradient(total, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])


PENALTIES = {
    "wgan_gp": wgan_gp,
    "dragan": dragan,
    "r1": r1,
    "r2": r2,
}
