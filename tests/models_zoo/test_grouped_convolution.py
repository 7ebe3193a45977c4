"""Grouped convolutions: each group alone, and the gradients that penalties on gradients need."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models_zoo.grouped_convolution import GroupedConv2D

GROUPS, CHANNELS = 3, 6


def split(x, kernel):
    """One convolution for each group of channels."""
    parts = zip(tf.split(x, GROUPS, 3), tf.split(kernel, GROUPS, 3), strict=True)
    return tf.concat([tf.nn.conv2d(part, weights, 1, "SAME") for part, weights in parts], 3)


def penalty(convolution, x, kernel):
    """Mean squared norm of the gradient of a critic with one such convolution, at x."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(tf.math.softplus(convolution(x, kernel)))
    return tf.reduce_mean(tf.reduce_sum(tape.gradient(total, x) ** 2, axis=(1, 2, 3))) / 2


def slope(convolution, x, kernel):
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        value = penalty(convolution, x, kernel)
    return value, tape.gradient(value, kernel)


def given(dtype):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, CHANNELS // GROUPS, CHANNELS))
    return tf.constant(rng.normal(size=(2, 5, 4, CHANNELS)), dtype), tf.constant(kernel, dtype)


def native(x, kernel):
    return GroupedConv2D(CHANNELS, 3, padding="same", groups=GROUPS).convolution_op(x, kernel)


def test_groups_do_not_see_each_other():
    x, kernel = given(tf.float32)
    layer = GroupedConv2D(CHANNELS, 3, padding="same", groups=GROUPS)
    layer.build(x.shape)
    layer.kernel.assign(kernel)
    np.testing.assert_allclose(layer(x), split(x, kernel), atol=1e-5)
    changed = layer(x + tf.constant([0.0] * 2 + [1.0] * 4)).numpy() != layer(x).numpy()
    assert not changed[..., :2].any() and changed[..., 2:].all()


def test_the_split_form_has_the_gradient_of_finite_differences():
    """In float64, which the grouped kernels of the CPU have no gradients for; the next test goes on from here."""
    x, kernel = given(tf.float64)
    analytic, h = slope(split, x, kernel)[1].numpy(), 1e-5
    rng = np.random.default_rng(1)
    for _ in range(5):
        direction = rng.normal(size=kernel.shape)
        sides = [float(penalty(split, x, kernel + sign * h * direction)) for sign in (1, -1)]
        assert np.sum(analytic * direction) == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float32, 1e-5), (tf.bfloat16, 0.05)])
def test_the_gradient_of_a_gradient_is_that_of_the_split_form(dtype, tolerance):
    x, kernel = given(dtype)
    value, gradient = tf.function(lambda: slope(native, x, kernel))()
    expected_value, expected = slope(split, *given(tf.float64))
    assert float(value) == pytest.approx(float(expected_value), rel=tolerance)
    assert np.abs(gradient.numpy().astype(np.float64) - expected).max() < tolerance * np.abs(expected).max()


def test_no_xla_is_in_the_graph():
    """Keras' own grouped convolution compiles each with XLA, which takes seconds a step on a CPU."""
    x, kernel = given(tf.float32)

    def compiled(layer):
        layer.build(x.shape)
        graph = tf.function(lambda: layer(x)).get_concrete_function().graph
        return any("_XlaMustCompile" in str(node) for node in graph.as_graph_def().library.function)

    arguments = {"filters": CHANNELS, "kernel_size": 3, "groups": GROUPS}
    assert compiled(keras.layers.Conv2D(**arguments)) and not compiled(GroupedConv2D(**arguments))
