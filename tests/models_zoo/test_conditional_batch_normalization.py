"""Conditional batch normalization against its formula in float64 NumPy, in both forms and both modes."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization

CHANNELS, CLASSES, DIMENSIONS, EPSILON = 5, 4, 3, 1e-2  # an epsilon that shows in the values
SHAPES = {"images": (6, 3, 2, CHANNELS), "vectors": (6, CHANNELS)}
LABELS = np.array([0, 3, 1, 1, 2, 0])
VECTORS = np.random.default_rng(4).normal(size=(6, DIMENSIONS))
CONDITIONS = {"labels": LABELS, "vectors": VECTORS}


def inputs_of(shape):
    return np.random.default_rng(0).normal(1.5, 2.0, SHAPES[shape])


def layer_of(form, shape="images", **arguments):
    """Every weight with values of its own."""
    layer = ConditionalBatchNormalization(CLASSES if form == "labels" else None, epsilon=EPSILON, **arguments)
    layer.build([(None, *SHAPES[shape][1:]), (None,) if form == "labels" else (None, DIMENSIONS)])
    rng = np.random.default_rng(1)
    for table in tables_of(layer):
        table.assign(rng.normal(size=table.shape))
    layer.normalization.moving_mean.assign(rng.normal(size=CHANNELS))
    layer.normalization.moving_variance.assign(rng.uniform(0.5, 3, size=CHANNELS))
    return layer


def tables_of(layer):
    inner = [wrapped.layer if layer.spectral else wrapped for wrapped in (layer.gain, layer.bias)]
    return [one.kernel if layer.num_classes is None else one.embeddings for one in inner]


def call(layer, x, condition, training=False):
    condition = tf.constant(condition, tf.int32 if layer.num_classes else tf.float32)
    return layer([tf.constant(x, tf.float32), condition], training=training).numpy()


def expected(x, condition, gain_table, bias_table, mean=None, variance=None):
    """Statistics of the batch where none are given; one sample and one pixel after the other."""
    channels = x.reshape(-1, x.shape[-1])
    if mean is None:
        mean = channels.sum(axis=0) / len(channels)
        variance = ((channels - mean) ** 2).sum(axis=0) / len(channels)  # biased
    y = np.zeros_like(x)
    for sample in range(len(x)):
        if condition.ndim == 1:
            gain, bias = gain_table[condition[sample]], bias_table[condition[sample]]
        else:
            gain, bias = 1 + gain_table.T @ condition[sample], bias_table.T @ condition[sample]
        for position in np.ndindex(x.shape[1:-1]):
            y[(sample, *position)] = gain * (x[(sample, *position)] - mean) / np.sqrt(variance + EPSILON) + bias
    return y


def float64(*weights):
    return [weight.numpy().astype(np.float64) for weight in weights]


@pytest.mark.parametrize("form", CONDITIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_in_training_mode(shape, form):
    layer, x = layer_of(form, shape), inputs_of(shape)
    y = expected(x, CONDITIONS[form], *float64(*tables_of(layer)))
    np.testing.assert_allclose(call(layer, x, CONDITIONS[form], training=True), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", CONDITIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_in_inference_mode(shape, form):
    layer, x = layer_of(form, shape), inputs_of(shape)
    before = [weight.numpy() for weight in layer.weights]
    moving = float64(layer.normalization.moving_mean, layer.normalization.moving_variance)
    y = expected(x, CONDITIONS[form], *float64(*tables_of(layer)), *moving)
    np.testing.assert_allclose(call(layer, x, CONDITIONS[form]), y, rtol=1e-4, atol=1e-5)
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert np.abs(call(layer, x, CONDITIONS[form], training=True) - y).max() > 0.1


@pytest.mark.parametrize("momentum", [0.9, 0.25])
def test_moving_statistics(momentum):
    layer, x = layer_of("labels", momentum=momentum), inputs_of("images")
    mean, variance = float64(layer.normalization.moving_mean, layer.normalization.moving_variance)
    call(layer, x, LABELS, training=True)
    new_mean, new_variance = float64(layer.normalization.moving_mean, layer.normalization.moving_variance)
    batch_mean, batch_variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    np.testing.assert_allclose(new_mean, momentum * mean + (1 - momentum) * batch_mean, rtol=1e-5)
    np.testing.assert_allclose(new_variance, momentum * variance + (1 - momentum) * batch_variance, rtol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_a_fresh_layer_is_plain_batch_normalization_to_the_bit(training):
    """With labels; and with a vector where that is zero, as its matrices do not start at zero."""
    x = tf.constant(inputs_of("images"), tf.float32)
    plain = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x, training=training)
    with_labels = ConditionalBatchNormalization(CLASSES)
    np.testing.assert_array_equal(with_labels([x, LABELS], training=training), plain)
    with_vectors = ConditionalBatchNormalization()
    zero = tf.zeros((6, DIMENSIONS))
    np.testing.assert_array_equal(with_vectors([x, zero], training=training), plain)
    vectors = tf.constant(VECTORS, tf.float32)
    assert np.abs(with_vectors([x, vectors], training=training) - plain).max() > 0.1


def test_first_weights():
    layer = ConditionalBatchNormalization(CLASSES)
    layer.build([(None, CHANNELS), (None,)])
    values = {weight.path.split("/", 1)[1]: weight.numpy() for weight in layer.weights}
    assert set(values) == {
        "normalization/moving_mean",
        "normalization/moving_variance",
        "gain/embeddings",
        "bias/embeddings",
    }
    np.testing.assert_array_equal(values["gain/embeddings"], np.ones((CLASSES, CHANNELS)))
    np.testing.assert_array_equal(values["bias/embeddings"], np.zeros((CLASSES, CHANNELS)))
    assert len(layer.trainable_weights) == 2

    linear = ConditionalBatchNormalization()
    linear.build([(None, CHANNELS), (None, DIMENSIONS)])
    gain, bias = (table.numpy() for table in tables_of(linear))
    assert {weight.path.split("/", 1)[1] for weight in linear.trainable_weights} == {"gain/kernel", "bias/kernel"}
    assert np.abs(gain - bias).max() > 0.1
    for matrix in (gain, bias):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(DIMENSIONS), atol=1e-5)


@pytest.mark.parametrize("form", CONDITIONS)
def test_another_condition_changes_the_output_as_the_formula_says(form):
    """Only in the samples whose condition changed, by (gain' - gain) * normalized + (bias' - bias)."""
    layer, x = layer_of(form), inputs_of("images")
    gain_table, bias_table = float64(*tables_of(layer))
    mean, variance = float64(layer.normalization.moving_mean, layer.normalization.moving_variance)
    old, new = CONDITIONS[form], CONDITIONS[form].copy()
    new[1] = new[4]
    change = call(layer, x, new) - call(layer, x, old)
    if form == "labels":
        gain, bias = gain_table[2] - gain_table[3], bias_table[2] - bias_table[3]
    else:
        gain, bias = (old[4] - old[1]) @ gain_table, (old[4] - old[1]) @ bias_table
    np.testing.assert_allclose(change[1], gain * (x[1] - mean) / np.sqrt(variance + EPSILON) + bias, atol=1e-4)
    assert np.abs(change[1]).min() > 1e-4
    assert not np.delete(change, 1, axis=0).any()


def test_spectral_form_divides_both_matrices_by_their_norms():
    layer, x = layer_of("vectors", spectral=True), inputs_of("images")
    tables = float64(*tables_of(layer))
    normalized = [table / np.linalg.svd(table, compute_uv=False)[0] for table in tables]
    moving = float64(layer.normalization.moving_mean, layer.normalization.moving_variance)
    y = expected(x, VECTORS, *normalized, *moving)
    assert np.abs(call(layer, x, VECTORS) - y).max() > 1e-3  # the matrices were replaced after the warm-up
    for _ in range(100):
        layer.update()
    np.testing.assert_allclose(call(layer, x, VECTORS), y, rtol=1e-4, atol=1e-4)


def test_update_changes_the_two_vectors_and_nothing_else():
    layer = layer_of("vectors", spectral=True)
    start = [one.vector.numpy() for one in (layer.gain, layer.bias)]
    call(layer, inputs_of("images"), VECTORS, training=True)
    for one, vector in zip((layer.gain, layer.bias), start, strict=True):
        np.testing.assert_array_equal(one.vector.numpy(), vector)
    before = {weight.path: weight.numpy() for weight in layer.weights}
    layer.update()
    changed = {weight.path for weight in layer.weights if not np.array_equal(weight.numpy(), before[weight.path])}
    assert changed == {path for path in before if path.endswith("left_singular_vector")}
    assert len(changed) == 2
    for form in CONDITIONS:
        plain = layer_of(form)
        before = [weight.numpy() for weight in plain.weights]
        plain.update()
        for weight, value in zip(plain.weights, before, strict=True):
            np.testing.assert_array_equal(weight.numpy(), value)


@pytest.mark.parametrize("before_building", [False, True])
def test_a_frozen_layer_uses_the_moving_statistics(before_building):
    x = tf.constant(inputs_of("images"), tf.float32)
    layer = ConditionalBatchNormalization(CLASSES, trainable=not before_building)
    layer.build([x.shape, LABELS.shape])
    layer.trainable = False
    assert not layer.trainable_weights
    np.testing.assert_array_equal(layer([x, LABELS], training=True), layer([x, LABELS], training=False))
    assert not layer.normalization.moving_mean.numpy().any()


def test_options_reach_the_normalization_and_the_config():
    options = {"momentum": 0.3, "epsilon": 0.5, "synchronized": True}
    layer = ConditionalBatchNormalization(**options, spectral=True)
    for one in (layer, ConditionalBatchNormalization.from_config(layer.get_config())):
        inner = one.normalization.get_config()
        assert {name: inner[name] for name in options} == options
        assert not inner["center"]
        assert not inner["scale"]
        assert one.spectral
    assert ConditionalBatchNormalization.from_config(ConditionalBatchNormalization(4).get_config()).num_classes == 4
    assert not ConditionalBatchNormalization().normalization.synchronized


def test_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="at least 1. Received: num_classes=0"):
        ConditionalBatchNormalization(0)
    with pytest.raises(ValueError, match="with num_classes.*Received: spectral=True, num_classes=4"):
        ConditionalBatchNormalization(4, spectral=True)
    x = tf.zeros((6, 3, 2, CHANNELS))
    with pytest.raises(ValueError, match=r"\[x, condition\]. Received"):
        ConditionalBatchNormalization(4)(x)
    with pytest.raises(ValueError, match=r"\[B, C\] with a known C. Received: x.shape=\(6, 3, 5\)"):
        ConditionalBatchNormalization(4)([x[:, :, 0], LABELS])
    with pytest.raises(ValueError, match=r"labels \[B\]. Received: condition.shape=\(6, 3\)"):
        ConditionalBatchNormalization(4)([x, VECTORS])
    with pytest.raises(ValueError, match=r"vector \[B, d\] with a known d. Received: condition.shape=\(6,\)"):
        ConditionalBatchNormalization()([x, LABELS])
