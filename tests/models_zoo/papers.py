"""The papers' formulas, written out here once more, and one descent of each network along them.

A discriminator's formula takes d(images, labels), real images and labels, generated images and labels, and the key of
the penalty's noise; a generator's takes d, generated images and labels. Loaded by `conftest.py` as the module `papers`.
"""

import functools

import numpy as np
import tensorflow as tf
from small_gans import (
    BATCH,
    CLASSES,
    RATE,
    REAL_LABELS,
    SEED,
    STEP,
    asked,
    draws,
    feed,
    generated,
    power_iteration,
    real_images,
    spectral_layers,
)

from models_zoo import randomness

mean = tf.reduce_mean


def two_terms(of_real, of_fake):
    return lambda d, x, y, g, c, key: mean(of_real(d(x, y))) + mean(of_fake(d(g, c)))


def one_term(of_fake):
    return lambda d, g, c: mean(of_fake(d(g, c)))


def class_term(logits, labels, smoothing=0.0):
    """-sum_k t_k log P(C = k), t as in section 3.7 of Sridhar (2019)."""
    targets = np.full(logits.shape, smoothing / CLASSES)
    targets[np.arange(len(targets)), np.asarray(labels)] = 1 - (CLASSES - 1) / CLASSES * smoothing
    return -mean(tf.reduce_sum(tf.constant(targets, tf.float32) * tf.math.log(tf.nn.softmax(logits)), axis=1))


def input_gradient_norms(d, images, labels):
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = d(images, labels)
    return tf.sqrt(tf.reduce_sum(tape.gradient(score, images) ** 2, axis=(1, 2, 3)))


def uniform(shape, key, use=None):
    key = key if use is None else tf.random.experimental.stateless_fold_in(key, use, alg="philox")
    return tf.random.stateless_uniform(shape, key, alg="philox")


def minus(a):
    return -a


def minus_log_sigmoid(a):
    return -tf.math.log(tf.sigmoid(a))


CROSS_ENTROPY = minus_log_sigmoid, lambda a: -tf.math.log(1 - tf.sigmoid(a))
HINGE = (lambda a: tf.maximum(0.0, 1 - a)), (lambda a: tf.maximum(0.0, 1 + a))
cross_entropy, non_saturating = two_terms(*CROSS_ENTROPY), one_term(minus_log_sigmoid)
minimax = one_term(lambda a: tf.math.log(1 - tf.sigmoid(a)))
hinge, wasserstein, minus_score = two_terms(*HINGE), two_terms(minus, lambda a: a), one_term(minus)


def least_squares(a, b, c):
    return two_terms(lambda s: (s - b) ** 2 / 2, lambda s: (s - a) ** 2 / 2), one_term(lambda s: (s - c) ** 2 / 2)


def wgan_gp(weight):
    def discriminator(d, x, y, g, c, key):
        epsilon = uniform([BATCH, 1, 1, 1], key)
        norms = input_gradient_norms(d, epsilon * x + (1 - epsilon) * g, y)
        return wasserstein(d, x, y, g, c, key) + weight * mean((norms - 1) ** 2)

    return discriminator, minus_score


def dragan(weight):
    def discriminator(d, x, y, g, c, key):
        noisy = x + 0.5 * np.std(x.numpy()) * uniform(x.shape, key, use=1)
        near = x + uniform([BATCH, 1, 1, 1], key, use=2) * (noisy - x)
        return cross_entropy(d, x, y, g, c, key) + weight * mean((input_gradient_norms(d, near, y) - 1) ** 2)

    return discriminator, non_saturating


def r1(weight):
    def discriminator(d, x, y, g, c, key):
        return cross_entropy(d, x, y, g, c, key) + weight / 2 * mean(input_gradient_norms(d, x, y) ** 2)

    return discriminator, non_saturating


def relativistic(weight):
    """Eq. 2 to 4 of Huang et al. (2024), the pairs and the images taken one by one."""

    def pairs(better, worse):
        return sum(-tf.math.log(tf.sigmoid(better[i, 0] - worse[i, 0])) for i in range(BATCH)) / BATCH

    def discriminator(d, x, y, g, c, key):
        on_real, on_fake = (mean(input_gradient_norms(d, *given) ** 2) for given in ((x, y), (g, c)))
        return pairs(d(x, y), d(g, c)) + weight / 2 * on_real + weight / 2 * on_fake

    def generator(d, g, c, x=None):
        return pairs(d(g, c), d(real_images() if x is None else x, REAL_LABELS))

    return discriminator, generator


def d2d_ce(outputs, labels, positive_margin, negative_margin, temperature):
    """Eq. 6 of Kang et al. (2021) in loops."""
    f, v, total = outputs["embedding"], outputs["proxy"], 0.0
    for i in range(BATCH):
        positive = tf.exp(tf.minimum(tf.tensordot(f[i], v[i], 1) - positive_margin, 0) / temperature)
        others = [j for j in range(BATCH) if labels[j] != labels[i]]
        negatives = [tf.exp(tf.maximum(tf.tensordot(f[i], f[j], 1) - negative_margin, 0) / temperature) for j in others]
        total -= tf.math.log(positive / (positive + sum(negatives)))
    return total / BATCH


def reacgan(weight, *of_classes):
    def discriminator(d, x, y, g, c, key):
        real, fake = d(x, y), d(g, c)
        source = mean(HINGE[0](real["logits"])) + mean(HINGE[1](fake["logits"]))
        return source + weight * d2d_ce(real, y, *of_classes)

    def generator(d, g, c):
        outputs = d(g, c)
        return -mean(outputs["logits"]) + weight * d2d_ce(outputs, c, *of_classes)

    return discriminator, generator


def ebgan(margin, weight):
    def energy(x, outputs):
        return mean((outputs["reconstruction"] - x) ** 2, axis=(1, 2, 3))

    def discriminator(d, x, y, g, c, key):
        return mean(energy(x, d(x, y))) + mean(tf.maximum(0.0, margin - energy(g, d(g, c))))

    def generator(d, g, c):
        outputs = d(g, c)
        s = [outputs["code"][i] for i in range(BATCH)]
        cosines = [
            tf.reduce_sum(s[i] * s[j]) / (tf.norm(s[i]) * tf.norm(s[j]))
            for i in range(BATCH) for j in range(BATCH) if i != j
        ]  # fmt: skip
        return mean(energy(g, outputs)) + weight * sum(c**2 for c in cosines) / (BATCH * (BATCH - 1))

    return discriminator, generator


def began(k):
    def loss(d, x, y):
        return mean(tf.abs(x - d(x, y)))

    return lambda d, x, y, g, c, key: loss(d, x, y) - k * loss(d, g, c), loss


def with_classes(terms, of_generator, smoothing=0.0):
    """L_S and L_C of Odena et al. (2017), from one call of d for each batch."""

    def discriminator(d, x, y, g, c, key):
        real, fake = d(x, y), d(g, c)
        source = mean(terms[0](real["logits"])) + mean(terms[1](fake["logits"]))
        classes = class_term(real["class_logits"], y, smoothing) + class_term(fake["class_logits"], c, smoothing)
        return source + classes

    def generator(d, g, c):
        outputs = d(g, c)
        return mean(of_generator(outputs["logits"])) + class_term(outputs["class_logits"], c)

    return discriminator, generator


def on_logits(source, of_generator):
    return (
        lambda d, *arguments: source(lambda images, labels: d(images, labels)["logits"], *arguments),
        lambda d, *arguments: of_generator(lambda images, labels: d(images, labels)["logits"], *arguments),
    )


def images_as_they_are(images, use, index=0):
    return images


def discriminator_update(gan, formula, index=0, seen=images_as_they_are):
    """One descent of a discriminator along a formula; its value and the norm of its gradient."""
    for layer in spectral_layers(gan.discriminator):
        power_iteration(layer)
    fake, fake_labels = generated(gan, index)
    real = seen(real_images(), randomness.AUGMENT_REAL, index)
    fake = seen(fake, randomness.AUGMENT_FAKE, index)
    key = randomness.key(SEED, STEP, randomness.PENALTY, index)
    with tf.GradientTape() as tape:
        loss = formula(functools.partial(feed, gan.discriminator), real, REAL_LABELS, fake, fake_labels, key)
    return float(loss), descend(tape, loss, gan.discriminator)


def generator_update(gan, formula, seen=images_as_they_are):
    for layer in spectral_layers(gan.generator):
        power_iteration(layer)
    latents, labels = draws(randomness.GENERATOR_LATENTS, randomness.GENERATOR_LABELS)
    labels = asked(gan, labels)
    with tf.GradientTape() as tape:
        fake = seen(feed(gan.generator, latents, labels), randomness.AUGMENT_GENERATED)
        loss = formula(functools.partial(feed, gan.discriminator), fake, labels)
    return float(loss), descend(tape, loss, gan.generator)


def descend(tape, loss, network):
    variables = [variable.value for variable in network.trainable_variables]
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
    for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign_sub(RATE * gradient)
    return np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients))


def assert_same_update(network, by_hand, before):
    """All variables agree, and every kernel moved much further than they may differ."""
    for ours, theirs, old in zip(network.variables, by_hand.variables, before, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-5, atol=5e-6, err_msg=ours.path)
        if ours.trainable and old.ndim > 1:
            assert np.abs(ours.numpy() - old).max() > 1e-4, ours.path
