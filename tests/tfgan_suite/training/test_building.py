"""The optimizers against their formulas, where the gradients are small."""

import numpy as np
import pytest
import tensorflow as tf

from tfgan_suite.runs.config import Config
from tfgan_suite.training import building


def small_gradients():
    rng = np.random.default_rng(0)
    return rng.uniform(0.5, 1.5, (3, 6)) * rng.choice([-1, 1], (3, 6)) * np.array([[1e-5], [1e-3], [1.0]])


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_an_update_is_that_of_the_papers(optimizer):
    """Adam: Kingma and Ba, algorithm 1, epsilon 1e-8. RMSprop: as PyTorch has it, g / (sqrt(v) + 1e-8)."""
    settings = Config(optimizer=optimizer, beta_1=0.5, beta_2=0.99, width=0.05, latent_dim=4)
    gan = building.build(settings)
    ours = building._optimizer(settings, 0.1, "test")
    variable = tf.Variable(np.zeros((3, 6)), dtype=tf.float32)
    ours.build([variable])
    m = v = x = np.zeros((3, 6))
    for t in range(1, 4):
        g = small_gradients() * t
        ours.apply([tf.constant(g, tf.float32)], [variable])
        v = 0.99 * v + 0.01 * g**2
        if optimizer == "adam":
            m = 0.5 * m + 0.5 * g
            x = x - 0.1 * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)
        else:
            x = x - 0.1 * g / (np.sqrt(v) + 1e-8)
    # the epsilons stand in other places, which shows in per cents at gradients of 1e-5
    np.testing.assert_allclose(variable.numpy(), x, rtol=3e-2)
    assert gan.generator_optimizer.name == f"generator_{optimizer}"
