"""The four properties of spectral normalization, its gradient, and the conformance of the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models_zoo import spectral_normalization
from models_zoo.spectral_normalization import SpectralNormalization

WRAPPED = {
    "dense": (lambda: layers.Dense(7), (4, 5)),
    "conv": (lambda: layers.Conv2D(6, 3, strides=2, padding="same"), (2, 8, 8, 3)),
    "deconv": (lambda: layers.Conv2DTranspose(5, 4, strides=2, padding="same"), (2, 4, 4, 6)),
    "embedding": (lambda: layers.Embedding(9, 4), (3,)),
}
# a matrix with one row per output channel, written out independently of the layer
MATRIX = {
    "dense": lambda kernel: kernel.T,
    "conv": lambda kernel: kernel.transpose(3, 0, 1, 2).reshape(kernel.shape[3], -1),
    "deconv": lambda kernel: kernel.transpose(2, 0, 1, 3).reshape(kernel.shape[2], -1),
    "embedding": lambda kernel: kernel.T,
}


def inputs_of(name):
    shape = WRAPPED[name][1]
    if name == "embedding":
        return tf.constant([0, 3, 8])
    return tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)


def built(name, **arguments):
    keras.utils.set_random_seed(3)
    layer = SpectralNormalization(WRAPPED[name][0](), **arguments)
    layer(inputs_of(name))
    return layer


def kernel_of(layer):
    return layer.layer.embeddings if isinstance(layer.layer, layers.Embedding) else layer.layer.kernel


def true_sigma(name, layer):
    return np.linalg.svd(MATRIX[name](kernel_of(layer).numpy().astype(np.float64)), compute_uv=False)[0]


@pytest.mark.parametrize("name", WRAPPED)
def test_sigma_is_the_largest_singular_value_after_the_warm_up(name):
    layer = built(name)
    assert float(layer.sigma()) == pytest.approx(true_sigma(name, layer), rel=2e-2)
    for _ in range(200):
        layer.update()
    assert float(layer.sigma()) == pytest.approx(true_sigma(name, layer), rel=1e-5)


@pytest.mark.parametrize("name", WRAPPED)
def test_output_is_that_of_the_normalized_kernel_and_the_kernel_stays(name):
    layer = built(name)
    kernel = kernel_of(layer).numpy().copy()
    output = layer(inputs_of(name), training=False).numpy()
    np.testing.assert_array_equal(kernel_of(layer).numpy(), kernel)
    plain = WRAPPED[name][0]()
    plain.build(inputs_of(name).shape)
    plain.set_weights([kernel / float(layer.sigma()), *layer.layer.get_weights()[1:]])
    np.testing.assert_allclose(output, plain(inputs_of(name)).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WRAPPED)
def test_changing_the_kernel_is_noticed_by_updates_only(name):
    layer = built(name)
    old = layer.vector.numpy().copy()
    rng = np.random.default_rng(1)
    kernel_of(layer).assign(rng.normal(size=kernel_of(layer).shape))
    layer(inputs_of(name), training=False)
    np.testing.assert_array_equal(layer.vector.numpy(), old)
    before = abs(float(layer.sigma()) / true_sigma(name, layer) - 1)
    for _ in range(300):
        layer(inputs_of(name), training=True)
    assert abs(float(layer.sigma()) / true_sigma(name, layer) - 1) < 1e-5 < before


def test_update_in_call_switches_the_update_in_training_calls():
    for update_in_call in (True, False):
        layer = built("conv", update_in_call=update_in_call)
        old = layer.vector.numpy().copy()
        layer(inputs_of("conv"), training=True)
        assert np.array_equal(layer.vector.numpy(), old) != update_in_call


def test_more_power_iterations_come_closer():
    errors = []
    for iterations in (1, 30):
        layer = built("dense", power_iterations=iterations)
        kernel_of(layer).assign(np.random.default_rng(5).normal(size=(5, 7)))
        layer.update()
        errors.append(abs(float(layer.sigma()) / true_sigma("dense", layer) - 1))
    assert errors[1] < 1e-4 < errors[0]


@pytest.mark.parametrize("name", WRAPPED)
def test_gradient_is_miyatos_and_orthogonal_to_the_kernel(name):
    """Miyato et al. (2018), eq. 12: dL/dW = (G - <G, W> / sigma * u v^T) / sigma with G = dL/dW_SN."""
    layer = built(name)
    for _ in range(300):
        layer.update()
    x = inputs_of(name)
    target = tf.constant(np.random.default_rng(2).normal(size=layer(x).shape), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * target)
    kernel = kernel_of(layer)
    gradient = tf.convert_to_tensor(tape.gradient(loss, kernel.value)).numpy().astype(np.float64)
    w = kernel.numpy().astype(np.float64)
    assert abs((gradient * w).sum()) < 1e-4 * np.linalg.norm(gradient) * np.linalg.norm(w)

    plain = WRAPPED[name][0]()
    plain.build(x.shape)
    plain.set_weights([w / true_sigma(name, layer), *layer.layer.get_weights()[1:]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(plain(x) * target)
    plain_kernel = plain.embeddings if name == "embedding" else plain.kernel
    g = tf.convert_to_tensor(tape.gradient(loss, plain_kernel.value)).numpy().astype(np.float64)
    sigma = true_sigma(name, layer)
    u, _, vt = np.linalg.svd(MATRIX[name](w), full_matrices=False)
    expected = (MATRIX[name](g) - (g * w).sum() / sigma**2 * sigma * np.outer(u[:, 0], vt[0])) / sigma
    np.testing.assert_allclose(MATRIX[name](gradient), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_kernel_of_zeros_gives_zeros_and_is_recovered_from():
    layer = built("dense")
    kernel_of(layer).assign(np.zeros((5, 7)))
    x = inputs_of("dense")
    with tf.GradientTape() as tape:
        output = layer(x, training=True)
    assert not output.numpy().any()
    assert np.isfinite(tape.gradient(output, kernel_of(layer).value).numpy()).all()
    kernel_of(layer).assign(np.random.default_rng(0).normal(size=(5, 7)))
    for _ in range(100):
        layer.update()
    assert float(layer.sigma()) == pytest.approx(true_sigma("dense", layer), rel=1e-4)


def test_update_all_reaches_nested_models():
    inner = keras.Sequential([keras.Input((5,)), SpectralNormalization(layers.Dense(4), update_in_call=False)])
    outer = keras.Sequential([keras.Input((5,)), inner])
    wrapped = inner.layers[0]
    wrapped.layer.kernel.assign(np.random.default_rng(0).normal(size=(5, 4)))
    old = wrapped.vector.numpy().copy()
    spectral_normalization.update_all(outer)
    assert not np.array_equal(wrapped.vector.numpy(), old)


@pytest.mark.parametrize("name", WRAPPED)
def test_conformance(name, tmp_path):
    """Serialises, has the same symbolic and eager shape, trains in a compiled step, under XLA and in bfloat16."""
    x = inputs_of(name)
    layer = built(name)
    copy = SpectralNormalization.from_config(layer.get_config())
    copy(x)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(x).numpy(), layer(x).numpy())
    assert copy.get_config() == layer.get_config()
    symbolic = keras.Input(x.shape[1:], dtype=x.dtype.name)
    model = keras.Model(symbolic, layer(symbolic))
    assert model.output_shape[1:] == layer(x).shape[1:]
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(x).numpy(), model(x).numpy())
    for jit_compile in (False, True):
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        before = kernel_of(layer).numpy().copy()
        model.fit(x, tf.ones_like(model(x)), batch_size=len(x), verbose=0)
        assert not np.array_equal(kernel_of(layer).numpy(), before)
    with_policy = SpectralNormalization(
        type(layer.layer).from_config({**layer.layer.get_config(), "dtype": "mixed_bfloat16"}), dtype="mixed_bfloat16"
    )
    assert with_policy(x).dtype == tf.bfloat16
    assert with_policy.vector.dtype == "float32"
    assert with_policy.sigma().dtype == tf.float32


class Doubled(layers.Dense):
    """A subclass, whose kernel is where that of its base is."""

    def call(self, inputs):
        return 2 * super().call(inputs)


@pytest.mark.parametrize(
    ("layer", "shape", "axis"),
    [
        (layers.Conv1D(5, 3), (2, 9, 4), -1),
        (layers.Conv3D(5, 2), (2, 4, 4, 4, 3), -1),
        (layers.Conv1DTranspose(5, 4, 2), (2, 6, 3), -2),
        (layers.Conv3DTranspose(5, 2), (2, 3, 3, 3, 4), -2),
        (Doubled(6), (4, 5), -1),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_other_dimensions_and_subclasses_are_normalized_too(layer, shape, axis):
    x = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    wrapped = SpectralNormalization(layer, stable_rank=0.5)
    wrapped(x)
    layer.kernel.assign(np.random.default_rng(1).normal(size=layer.kernel.shape))  # power iteration finds some slowly
    for _ in range(300):
        wrapped.update()
    kernel = layer.kernel.numpy().astype(np.float64)
    matrix = np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)
    assert wrapped.vector.shape == (kernel.shape[axis],)
    assert float(wrapped.sigma()) == pytest.approx(np.linalg.svd(matrix, compute_uv=False)[0], rel=1e-4)
    assert wrapped.normalized_kernel().shape == kernel.shape
    wrapped.stable_rank = 0.0
    normalized = wrapped(x).numpy()
    layer.kernel.assign(kernel / np.linalg.svd(matrix, compute_uv=False)[0])
    np.testing.assert_allclose(normalized, layer(x).numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layer", [layers.DepthwiseConv2D(3), layers.DepthwiseConv1D(3), layers.SeparableConv2D(4, 3)])
def test_depthwise_convolutions_are_refused_by_name(layer):
    with pytest.raises(ValueError, match=f"or of a subclass. Received: layer={type(layer).__name__}"):
        SpectralNormalization(layer)


def test_refuses_what_it_cannot_wrap():
    with pytest.raises(ValueError, match="must be one of Conv1D, .*Embedding, or of a subclass. Received: layer=ReLU"):
        SpectralNormalization(layers.ReLU())
    with pytest.raises(ValueError, match="at least 1. Received: power_iterations=0"):
        SpectralNormalization(layers.Dense(3), power_iterations=0)


def converged(name, **arguments):
    """With the exact first singular vector of a kernel whose entries are all alike."""
    layer = built(name, **arguments)
    kernel_of(layer).assign(np.random.default_rng(4).normal(size=kernel_of(layer).shape))
    layer.vector.assign(np.linalg.svd(MATRIX[name](kernel_of(layer).numpy().astype(np.float64)))[0][:, 0])
    return layer


def bounded(matrix, fraction):
    """Sanyal et al. (2020), algorithm 2, on the singular values: all but the first shrink by the same factor."""
    u, values, vt = np.linalg.svd(matrix, full_matrices=False)
    values = values / values[0]
    target = max(1, fraction * min(matrix.shape))
    rest = np.sum(values[1:] ** 2)
    if 1 + rest > target:
        values[1:] *= np.sqrt((target - 1) / rest)
    return u * values @ vt


def stable_rank_of(matrix):
    values = np.linalg.svd(matrix, compute_uv=False)
    return np.sum(values**2) / values[0] ** 2


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("name", WRAPPED)
def test_stable_rank_is_bounded_as_in_numpy(name, fraction):
    layer = converged(name, stable_rank=fraction)
    raw = MATRIX[name](kernel_of(layer).numpy().astype(np.float64))
    matrix = MATRIX[name](layer.normalized_kernel().numpy().astype(np.float64))
    np.testing.assert_allclose(matrix, bounded(raw, fraction), atol=1e-5)
    target = max(1, fraction * min(raw.shape))
    assert stable_rank_of(matrix) == pytest.approx(min(target, stable_rank_of(raw)), rel=1e-4)
    assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=1e-5)
    assert fraction != 0.3 or stable_rank_of(raw) > target + 0.1


@pytest.mark.parametrize("name", WRAPPED)
def test_stable_rank_decides_what_the_layer_works_with(name):
    layer = converged(name, stable_rank=0.3)
    kernel = kernel_of(layer).numpy().copy()
    output = layer(inputs_of(name)).numpy()
    np.testing.assert_array_equal(kernel_of(layer).numpy(), kernel)
    plain = WRAPPED[name][0]()
    plain.build(inputs_of(name).shape)
    plain.set_weights([layer.normalized_kernel().numpy(), *layer.layer.get_weights()[1:]])
    np.testing.assert_allclose(output, plain(inputs_of(name)).numpy(), rtol=1e-5, atol=1e-6)
    layer.stable_rank = 0.0
    assert not np.allclose(layer(inputs_of(name)).numpy(), output, atol=1e-3)


def gradient_of_kernel(name, layer, target):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer.normalized_kernel() * target)
    return tape.gradient(loss, kernel_of(layer).value).numpy().astype(np.float64)


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("name", WRAPPED)
def test_stable_rank_gradient_against_finite_differences(name, fraction):
    """With u constant: the first direction is u (u^T W) / sigma with sigma = |u^T W|, the rest is shrunk."""
    layer = converged(name, stable_rank=fraction)
    target = np.random.default_rng(6).normal(size=kernel_of(layer).shape)
    u = layer.vector.numpy().astype(np.float64)
    start = MATRIX[name](kernel_of(layer).numpy().astype(np.float64))
    v = u @ start / np.linalg.norm(u @ start)
    weights = MATRIX[name](target)

    def value(matrix):
        matrix = matrix / (u @ matrix @ v)
        first = np.outer(u, u @ matrix)
        rest = matrix - first
        factor = np.sqrt(max(1, fraction * min(matrix.shape)) - 1) / np.linalg.norm(rest)
        return np.sum(weights * (first + min(1, factor) * rest))

    expected = np.empty_like(start)
    for index in np.ndindex(*start.shape):
        change = np.zeros_like(start)
        change[index] = 1e-6
        expected[index] = (value(start + change) - value(start - change)) / 2e-6
    gradient = MATRIX[name](gradient_of_kernel(name, layer, tf.constant(target, tf.float32)))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_stable_rank_leaves_a_kernel_of_one_row_as_it_is():
    """Its stable rank is 1 whatever it is; it must neither change nor stop learning."""
    x = inputs_of("dense")
    outputs, gradients = [], []
    for stable_rank in (0.0, 0.5):
        keras.utils.set_random_seed(3)
        layer = SpectralNormalization(layers.Dense(1), stable_rank=stable_rank)
        with tf.GradientTape() as tape:
            outputs.append(layer(x).numpy())
            loss = tf.reduce_sum(layer(x) ** 2)
        gradients.append(tape.gradient(loss, layer.layer.kernel.value).numpy())
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)
    assert np.abs(gradients[0]).max() > 1e-2


@pytest.mark.parametrize("kernel", [np.zeros((5, 7)), np.outer(np.ones(5), np.ones(7))])
def test_stable_rank_of_kernels_without_a_rest(kernel):
    """Zeros, and rank 1, whose rest has no norm to divide by."""
    layer = built("dense", stable_rank=0.5)
    kernel_of(layer).assign(kernel)
    layer.update()
    normalized = layer.normalized_kernel().numpy()
    np.testing.assert_allclose(normalized, kernel / max(np.linalg.norm(kernel), 1e-12), atol=1e-5)
    assert np.isfinite(gradient_of_kernel("dense", layer, tf.ones((5, 7)))).all()


def test_stable_rank_is_serialised():
    layer = built("conv", stable_rank=0.25)
    copy = SpectralNormalization.from_config(layer.get_config())
    assert copy.stable_rank == 0.25 and copy.get_config() == layer.get_config()
    copy(inputs_of("conv"))
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(inputs_of("conv")).numpy(), layer(inputs_of("conv")).numpy())


@pytest.mark.parametrize("stable_rank", [-0.1, 1.1])
def test_stable_rank_outside_of_zero_and_one_is_refused(stable_rank):
    with pytest.raises(ValueError, match=rf"must be in \[0, 1\], 0 for off. Received: stable_rank={stable_rank}"):
        SpectralNormalization(layers.Dense(3), stable_rank=stable_rank)
