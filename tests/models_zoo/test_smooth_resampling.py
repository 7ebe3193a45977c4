"""Halving and doubling against loops over their formulas, and what makes them bilinear."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models_zoo.smooth_resampling import SmoothDoubling, SmoothHalving, doubling_matrix, halving_matrix


def pixel(x, i):
    """Beyond the border, the pixel at it."""
    return x[min(max(i, 0), len(x) - 1)]


def halved(x):
    return np.array([(pixel(x, 2 * i - 1) + 2 * x[2 * i] + pixel(x, 2 * i + 1)) / 4 for i in range((len(x) + 1) // 2)])


def doubled(x):
    return np.array([x[i // 2] if i % 2 == 0 else (x[i // 2] + pixel(x, i // 2 + 1)) / 2 for i in range(2 * len(x))])


CASES = [(SmoothHalving, halved), (SmoothDoubling, doubled)]


@pytest.mark.parametrize(("kind", "formula"), CASES)
@pytest.mark.parametrize("shape", [(4, 6), (7, 5), (2, 3), (27, 8)])
def test_both_directions_follow_the_formula(kind, formula, shape, tmp_path):
    x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    expected = np.apply_along_axis(formula, 2, np.apply_along_axis(formula, 1, x.astype(np.float64)))
    symbolic = keras.Input(x.shape[1:])
    model = keras.Model(symbolic, kind(name="resampled")(symbolic))
    np.testing.assert_allclose(model(x), expected, atol=1e-6)
    assert model.output_shape == (None, *expected.shape[1:]) and not model.weights
    assert kind().compute_output_shape(x.shape) == expected.shape
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(x), model(x))


@pytest.mark.parametrize("kind", [SmoothHalving, SmoothDoubling])
def test_a_constant_stays_and_a_ramp_stays_a_ramp(kind):
    assert np.allclose(kind()(np.ones((1, 6, 6, 1), np.float32)), 1)
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (1, 8, 8, 1))
    steps = np.diff(kind()(ramp).numpy()[0, 1:-1, 0, 0])
    np.testing.assert_allclose(steps, 2 if kind is SmoothHalving else 0.5, rtol=1e-6)


def test_away_from_the_border_one_is_the_transpose_of_the_other():
    inside = slice(1, -1)
    np.testing.assert_array_equal(2 * halving_matrix(12).T[:, inside], doubling_matrix(6)[:, inside])


@pytest.mark.parametrize("kind", [SmoothHalving, SmoothDoubling])
def test_bfloat16_stays_bfloat16(kind):
    layer, x = kind(dtype="mixed_bfloat16"), np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    assert layer(x).dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(layer(x), tf.float32), kind()(x), atol=0.03)
