"""Minibatch discrimination against the paper's sums as loops in float64, and its properties."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models_zoo.minibatch_discrimination import MinibatchDiscrimination

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(5, 4))
KERNEL = 0.4 * RNG.normal(size=(4, 6, 3))
TARGET = RNG.normal(size=(5, 10))


def closeness(features, kernel):
    """Salimans et al. (2016), section 3.2, one number at a time; o [B, num_kernels]."""
    batch, (_, kernels, dims) = len(features), kernel.shape
    m = np.zeros((batch, kernels, dims))
    for i in range(batch):
        for b in range(kernels):
            for c in range(dims):
                m[i, b, c] = sum(features[i, a] * kernel[a, b, c] for a in range(features.shape[1]))
    o = np.zeros((batch, kernels))
    for i in range(batch):
        for b in range(kernels):
            for j in range(batch):
                o[i, b] += np.exp(-sum(abs(m[i, b, c] - m[j, b, c]) for c in range(dims)))
    return o


def layer_of(kernel=KERNEL, **arguments):
    layer = MinibatchDiscrimination(kernel.shape[1], kernel.shape[2], **arguments)
    layer.build((None, kernel.shape[0]))
    layer.kernel.assign(kernel)
    return layer


def test_values():
    output = layer_of()(tf.constant(FEATURES, tf.float32)).numpy()
    expected = closeness(FEATURES, KERNEL)
    assert ((expected > 1.001) & (expected < 4.9)).all()  # nothing saturated
    assert output.shape == (5, 4 + 6)
    np.testing.assert_array_equal(output[:, :4], FEATURES.astype(np.float32))
    np.testing.assert_allclose(output[:, 4:], expected, rtol=1e-5)


def test_one_weight_with_the_paper_s_shape():
    layer = MinibatchDiscrimination()
    layer.build((None, 7))
    assert [weight.path.split("/")[-1] for weight in layer.weights] == ["kernel"]
    assert layer.kernel.shape == (7, 30, 3)
    assert layer.kernel.trainable


def test_permuting_the_batch_permutes_the_output():
    layer, order = layer_of(), [3, 0, 4, 1, 2]
    output = layer(tf.constant(FEATURES, tf.float32)).numpy()
    permuted = layer(tf.constant(FEATURES[order], tf.float32)).numpy()
    np.testing.assert_allclose(permuted, output[order], rtol=1e-6)
    assert np.abs(permuted - output)[:, 4:].max() > 0.1


def test_identical_samples_count_each_other_and_far_ones_only_themselves():
    same = tf.tile(tf.constant(FEATURES[:1], tf.float32), (7, 1))
    np.testing.assert_array_equal(layer_of()(same).numpy()[:, 4:], 7)
    far = tf.constant(1e4 * FEATURES, tf.float32)
    np.testing.assert_array_equal(layer_of()(far).numpy()[:, 4:], 1)
    np.testing.assert_array_equal(layer_of()(same[:1]).numpy()[:, 4:], 1)


def test_gradients_equal_finite_differences():
    layer, x = layer_of(), tf.constant(FEATURES, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x) * tf.constant(TARGET, tf.float32))
    gradients = tape.gradient(loss, [x, layer.kernel.value])

    def formula(features, kernel):
        return (np.concatenate([features, closeness(features, kernel)], axis=1) * TARGET).sum()

    for index, gradient in enumerate(gradients):
        point = [FEATURES, KERNEL]
        numeric = np.empty_like(point[index])
        for position in np.ndindex(numeric.shape):
            sides = []
            for sign in (1, -1):
                moved = [value.copy() for value in point]
                moved[index][position] += sign * 1e-6
                sides.append(formula(*moved))
            numeric[position] = (sides[0] - sides[1]) / 2e-6
        assert np.abs(numeric).min() > 1e-4
        np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-5)


def test_distances_are_float32_under_mixed_precision():
    """Inputs that bfloat16 can hold: the only rounding left is that of the output."""
    x = tf.cast(tf.cast(FEATURES, tf.bfloat16), tf.float32)
    expected = tf.cast(layer_of()(x), tf.bfloat16)
    layer = layer_of(dtype="mixed_bfloat16")
    assert layer(x).dtype == tf.bfloat16
    assert layer.kernel.dtype == "float32"
    np.testing.assert_array_equal(tf.cast(layer(x), tf.float32), tf.cast(expected, tf.float32))
    # and with a kernel rounded to bfloat16 the output would have been another
    rounded = layer_of(np.asarray(tf.cast(tf.cast(KERNEL, tf.bfloat16), tf.float32)))
    assert np.any(tf.cast(rounded(x), tf.bfloat16) != expected)


def test_initializer_sees_the_matrix_of_a_dense_layer():
    layer = MinibatchDiscrimination(10, 4)
    layer.build((None, 50))
    limit = np.sqrt(6 / (50 + 10 * 4))  # Glorot and Bengio (2010), eq. 16
    assert 0.95 * limit < np.abs(layer.kernel.numpy()).max() <= limit
    ones = MinibatchDiscrimination(10, 4, kernel_initializer="ones")
    ones.build((None, 50))
    np.testing.assert_array_equal(ones.kernel.numpy(), 1)
    copy = MinibatchDiscrimination.from_config(ones.get_config())
    copy.build((None, 50))
    np.testing.assert_array_equal(copy.kernel.numpy(), 1)


def test_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="at least 1. Received: num_kernels=0"):
        MinibatchDiscrimination(0, 3)
    with pytest.raises(ValueError, match="at least 1. Received: kernel_dim=-1"):
        MinibatchDiscrimination(3, -1)
    with pytest.raises(ValueError, match=r"\[B, F\] with a known F. Received: input_shape=\(2, 3, 4\)"):
        MinibatchDiscrimination()(tf.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"\[B, F\] with a known F. Received: input_shape=\(None, None\)"):
        MinibatchDiscrimination()(keras.Input((None,)))
    assert MinibatchDiscrimination(1, 1)(tf.zeros((2, 3))).shape == (2, 4)
