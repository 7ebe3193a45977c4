"""Self-attention against the paper's equations as loops in float64, and its spectral form against NumPy's SVD."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models_zoo.self_attention import SelfAttention

SHAPES = [(2, 3, 4, 16), (3, 2, 3, 5)]  # C_bar = 2, and 1 where C // 8 is zero
GAMMA = 0.7


def inputs_of(shape):
    return np.random.default_rng(0).normal(size=shape)


def layer_of(shape, spectral=False, gamma=GAMMA):
    """Every kernel with other values, so that no two of them can be confused."""
    layer = SelfAttention(spectral)
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(1)
    for kernel in kernels_of(layer):
        kernel.assign(rng.normal(size=kernel.shape))
    layer.gamma.assign(gamma)
    return layer


def kernels_of(layer):
    convolutions = (layer.f, layer.g, layer.h, layer.v)
    return [convolution.layer.kernel if layer.spectral else convolution.kernel for convolution in convolutions]


def expected(x, f, g, h, v, gamma):
    """Zhang et al. (2019), section 3: beta [B, N, N] with rows j, and y like x."""
    batch, height, width, channels = x.shape
    pixels = x.reshape(batch, height * width, channels)
    beta = np.zeros((batch, height * width, height * width))
    y = np.zeros_like(pixels)
    for b, image in enumerate(pixels):
        for j in range(len(image)):
            scores = np.array([(f.T @ image[i]) @ (g.T @ image[j]) for i in range(len(image))])
            beta[b, j] = np.exp(scores) / np.exp(scores).sum()
            o = v.T @ sum(beta[b, j, i] * (h.T @ image[i]) for i in range(len(image)))
            y[b, j] = gamma * o + image[j]
    return beta, y.reshape(x.shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_values(shape):
    layer, x = layer_of(shape), inputs_of(shape)
    kernels = [kernel.numpy()[0, 0].astype(np.float64) for kernel in kernels_of(layer)]
    beta, y = expected(x, *kernels, GAMMA)
    np.testing.assert_allclose(layer.attention(tf.constant(x, tf.float32)), beta, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), y, rtol=1e-4, atol=1e-4)


def test_rows_of_the_attention_sum_to_one_and_columns_do_not():
    shape = SHAPES[0]
    beta = SelfAttention().attention(tf.constant(inputs_of(shape), tf.float32)).numpy()  # builds it, too
    assert beta.shape == (2, 12, 12)
    assert beta.min() >= 0
    np.testing.assert_allclose(beta.sum(axis=2), 1, rtol=1e-5)
    assert np.abs(beta.sum(axis=1) - 1).max() > 0.1


@pytest.mark.parametrize("spectral", [False, True])
def test_identity_to_the_bit_until_gamma_leaves_zero(spectral):
    x = tf.constant(inputs_of(SHAPES[0]), tf.float32)
    fresh = SelfAttention(spectral)
    np.testing.assert_array_equal(fresh(x), x)
    assert fresh.gamma.numpy() == 0
    fresh.gamma.assign(0.1)
    assert np.abs(fresh(x) - x).max() > 1e-3


def test_weights():
    layer = layer_of(SHAPES[0])
    shapes = {weight.path.split("/", 1)[1]: tuple(weight.shape) for weight in layer.weights}
    assert shapes == {
        "gamma": (),
        "f/kernel": (1, 1, 16, 2),
        "g/kernel": (1, 1, 16, 2),
        "h/kernel": (1, 1, 16, 2),
        "v/kernel": (1, 1, 2, 16),
    }
    assert len(layer.trainable_weights) == 5


@pytest.mark.parametrize("gamma", [0.0, GAMMA])
def test_gradient_reaches_all_kernels_once_gamma_is_not_zero(gamma):
    layer, x = layer_of(SHAPES[0], gamma=gamma), tf.constant(inputs_of(SHAPES[0]), tf.float32)
    target = tf.constant(np.random.default_rng(2).normal(size=x.shape), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * target)
    *kernels, for_gamma = tape.gradient(loss, [weight.value for weight in (*kernels_of(layer), layer.gamma)])
    assert abs(float(for_gamma)) > 1e-3
    for gradient in kernels:
        assert np.isfinite(gradient).all()
        assert (np.abs(gradient).max() > 1e-3) == (gamma != 0)


def effective(convolution, channels):
    """The 1x1 kernel that the convolution applies, [C_in, C_out]: its response to the unit vectors."""
    return convolution(tf.eye(channels)[None, None]).numpy()[0, 0].astype(np.float64)


def test_spectral_kernels_have_norm_one_after_updates():
    layer = layer_of(SHAPES[0], spectral=True)

    def norms():
        pairs = ((layer.f, 16), (layer.g, 16), (layer.h, 16), (layer.v, 2))
        return np.array([np.linalg.svd(effective(*pair), compute_uv=False)[0] for pair in pairs])

    for convolution, kernel in zip((layer.f, layer.g, layer.h, layer.v), kernels_of(layer), strict=True):
        u = np.linalg.svd(kernel.numpy()[0, 0].T, full_matrices=False)[0]
        convolution.vector.assign(0.6 * u[:, 0] + 0.8 * u[:, -1])  # far from the largest singular value
    assert norms().min() > 1.01
    for _ in range(100):
        layer.update()
    np.testing.assert_allclose(norms(), 1, rtol=1e-4)
    # and the output is the formula's with the normalized kernels
    x = inputs_of(SHAPES[0])
    kernels = [kernel.numpy()[0, 0].astype(np.float64) for kernel in kernels_of(layer)]
    kernels = [kernel / np.linalg.svd(kernel, compute_uv=False)[0] for kernel in kernels]
    beta, y = expected(x, *kernels, GAMMA)
    np.testing.assert_allclose(layer.attention(tf.constant(x, tf.float32)), beta, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), y, rtol=1e-4, atol=1e-4)


def test_update_changes_the_four_vectors_and_nothing_else():
    layer = layer_of(SHAPES[0], spectral=True)
    before = {weight.path: weight.numpy() for weight in layer.weights}
    layer(tf.constant(inputs_of(SHAPES[0]), tf.float32), training=True)
    assert all(np.array_equal(weight.numpy(), before[weight.path]) for weight in layer.weights)
    layer.update()
    changed = {weight.path for weight in layer.weights if not np.array_equal(weight.numpy(), before[weight.path])}
    assert changed == {path for path in before if path.endswith("left_singular_vector")}
    assert len(changed) == 4


def test_update_of_the_plain_form_does_nothing():
    layer = layer_of(SHAPES[0])
    before = [weight.numpy() for weight in layer.weights]
    layer.update()
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_images_of_unknown_size():
    symbolic = keras.Input((None, None, 16))
    layer = layer_of(SHAPES[0])
    model = keras.Model(symbolic, layer(symbolic))
    assert model.output_shape == (None, None, None, 16)
    for shape in ((2, 3, 4, 16), (1, 5, 2, 16)):
        x = tf.constant(inputs_of(shape), tf.float32)
        np.testing.assert_allclose(tf.function(model)(x), layer(x), rtol=1e-5, atol=1e-5)


def test_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"\[B, H, W, C\] with a known C. Received: input_shape=\(2, 16\)"):
        SelfAttention()(tf.zeros((2, 16)))
    with pytest.raises(ValueError, match=r"known C. Received: input_shape=\(None, 4, 4, None\)"):
        SelfAttention()(keras.Input((4, 4, None)))
