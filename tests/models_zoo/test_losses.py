"""Each loss against its formula in float64 NumPy, and its gradient against finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models_zoo.losses import LOSSES

REAL = np.array([[-2.0], [0.3], [1.7], [0.9]])
FAKE = np.array([[0.4], [-1.2], [2.5], [-0.1]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


DISCRIMINATOR = {
    "non_saturating": lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
    "minimax": lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
    "hinge": lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
}
GENERATOR = {
    "non_saturating": lambda f: -np.log(sigmoid(f)).mean(),
    "minimax": lambda f: np.log(1 - sigmoid(f)).mean(),
    "hinge": lambda f: -f.mean(),
}


def test_every_loss_has_an_independent_formula():
    assert set(LOSSES) == set(DISCRIMINATOR) == set(GENERATOR)


@pytest.mark.parametrize("name", LOSSES)
def test_values(name):
    discriminator = float(LOSSES[name].discriminator(tf.constant(REAL), tf.constant(FAKE)))
    generator = float(LOSSES[name].generator(tf.constant(FAKE)))
    assert discriminator == pytest.approx(DISCRIMINATOR[name](REAL, FAKE), rel=1e-6)
    assert generator == pytest.approx(GENERATOR[name](FAKE), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_finite_differences(name):
    real, fake = tf.constant(REAL, tf.float32), tf.constant(FAKE, tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        d_loss = LOSSES[name].discriminator(real, fake)
        g_loss = LOSSES[name].generator(fake)
    cases = [
        (tape.gradient(d_loss, real), lambda x: DISCRIMINATOR[name](x, FAKE), REAL),
        (tape.gradient(d_loss, fake), lambda x: DISCRIMINATOR[name](REAL, x), FAKE),
        (tape.gradient(g_loss, fake), GENERATOR[name], FAKE),
    ]
    for gradient, formula, at in cases:
        numeric = np.empty_like(at)
        for i in range(len(at)):
            step = np.zeros_like(at)
            step[i] = 1e-6
            numeric[i] = (formula(at + step) - formula(at - step)) / 2e-6
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_cross_entropy_is_finite_and_linear_for_huge_logits(name):
    huge = tf.constant([[1000.0]])
    assert float(LOSSES[name].discriminator(-huge, huge)) == pytest.approx(2000)
    assert float(LOSSES["non_saturating"].generator(-huge)) == pytest.approx(1000)
    assert float(LOSSES["minimax"].generator(huge)) == pytest.approx(-1000)


def test_non_saturating_keeps_its_gradient_where_minimax_loses_it():
    rejected = tf.constant([[-10.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(rejected)
        strong = LOSSES["non_saturating"].generator(rejected)
        weak = LOSSES["minimax"].generator(rejected)
    assert tape.gradient(strong, rejected).numpy() == pytest.approx(-sigmoid(10.0))
    assert tape.gradient(weak, rejected).numpy() == pytest.approx(-sigmoid(-10.0), rel=1e-4)


def test_losses_are_float32_for_bfloat16_logits():
    logits = keras.ops.cast(FAKE, "bfloat16")
    for loss in LOSSES.values():
        assert loss.discriminator(logits, logits).dtype == tf.float32
        assert loss.generator(logits).dtype == tf.float32
