"""BEGAN: the balance of its two networks."""

import numpy as np
import pytest
import tensorflow as tf
from small_gans import build, feed, generated, real_images

pytestmark = pytest.mark.usefixtures("short_warm_up")


def test_began_balance_by_hand():
    """k_{t+1} = k_t + lambda_k (gamma L(x) - L(G)) in [0, 1], M = L(x) + |gamma L(x) - L(G)|: sections 3.4, 3.5."""
    gan = build("began", gamma=0.5, lambda_k=0.1)
    worked = [  # L(x), L(G), k, M
        (1.0, 0.1, 0.04, 1.4),  # 0 + 0.1 * 0.4
        (2.0, 0.2, 0.12, 2.8),  # 0.04 + 0.1 * 0.8
        (20.0, 1.0, 1.0, 29.0),  # 0.12 + 0.1 * 9 = 1.02, too much
        (0.2, 3.1, 0.7, 3.2),  # 1 - 0.1 * 3
        (0.0, 9.0, 0.0, 9.0),  # 0.7 - 0.1 * 9 = -0.2, too little
        (0.6, 0.3, 0.0, 0.6),  # in balance
    ]
    for real_loss, fake_loss, k, convergence in worked:
        logs = gan.balance(tf.constant(real_loss), tf.constant(fake_loss))
        assert float(logs["k"]) == float(gan.k.numpy()) == pytest.approx(k, abs=1e-6)
        assert float(logs["convergence"]) == pytest.approx(convergence, abs=1e-5)


def test_began_gamma_and_lambda_by_default_and_k_in_the_state():
    gan = build("began")
    assert (gan.gamma, gan.lambda_k) == (0.5, 0.001)
    assert gan.state()["training/k"] is gan.k and float(gan.k.numpy()) == 0
    gan.balance(tf.constant(4.0), tf.constant(1.0))
    assert float(gan.k.numpy()) == pytest.approx(0.001 * (0.5 * 4 - 1), rel=1e-5)


def test_began_k_weighs_the_generated_images_in_the_discriminators_loss():
    gan = build("began")
    fake, labels = generated(gan)
    real_loss, fake_loss = (np.abs(x - feed(gan.discriminator, x, None)).mean() for x in (real_images(), fake))
    for k in (0.0, 0.7, 1.0):
        gan.k.assign(k)
        loss = float(gan.discriminator_loss(real_images(), None, fake, labels, 0)[0])
        assert loss == pytest.approx(real_loss - k * fake_loss, rel=1e-5)
    assert fake_loss > 0.1


def test_began_k_follows_the_losses_of_the_step():
    gan = build("began", gamma=0.4, lambda_k=0.1)
    gan.k.assign(0.5)
    logs = {name: float(value) for name, value in gan.train_step(real_images()).items()}
    difference = 0.4 * logs["d_real"] - logs["g_loss"]
    assert logs["k"] == float(gan.k.numpy()) == pytest.approx(0.5 + 0.1 * difference, rel=1e-5)
    assert logs["convergence"] == pytest.approx(logs["d_real"] + abs(difference), rel=1e-5)
    assert logs["d_loss"] == pytest.approx(logs["d_real"] - 0.5 * logs["d_fake"], rel=1e-5), "k of before the step"
    assert abs(difference) > 0.01
