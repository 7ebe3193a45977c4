"""Gradient penalties against closed forms for linear critics, and against finite differences for a smooth network."""

import numpy as np
import pytest
import tensorflow as tf

from models_zoo.penalties import PENALTIES, gradient_norms, interpolate

KEY = tf.constant([7, 11])
OTHER_KEY = tf.constant([7, 12])
SHAPE = (2, 3, 2)
PIXELS = 12


def images(seed, count=4, shape=SHAPE):
    return np.random.default_rng(seed).uniform(-1, 1, (count, *shape)).astype(np.float32)


def flat(values):
    return tf.reshape(values, [tf.shape(values)[0], -1])


def linear(weights, bias=0.5):
    weights = tf.reshape(tf.cast(weights, tf.float32), [-1, 1])
    return lambda x: tf.matmul(flat(x), weights) + bias


class Network:
    """softplus(tanh(x A + a) B + b) C, in TensorFlow; `logits` is the same in float64 NumPy."""

    def __init__(self):
        rng = np.random.default_rng(5)
        shapes = [(PIXELS, 4), (4,), (4, 3), (3,), (3, 1)]
        self.values = [rng.normal(0, 0.7, shape) for shape in shapes]
        self.variables = [tf.Variable(value, dtype=tf.float32) for value in self.values]

    def __call__(self, x):
        a, b, c, d, e = self.variables
        return tf.matmul(tf.math.softplus(tf.matmul(tf.tanh(tf.matmul(flat(x), a) + b), c) + d), e)

    def logits(self, x, values=None):
        a, b, c, d, e = self.values if values is None else values
        return np.log1p(np.exp(np.tanh(x.reshape(len(x), -1) @ a + b) @ c + d)) @ e

    def gradients(self, x, values=None):
        """d logits / d x by central differences, float64 [B, pixels]."""
        x, h, columns = np.reshape(x, (len(x), -1)).astype(np.float64), 1e-5, []
        for change in np.eye(x.shape[1]) * h:
            difference = self.logits(x + change, values) - self.logits(x - change, values)
            columns.append(difference[:, 0] / (2 * h))
        return np.stack(columns, axis=1)


def at(seen):
    """A stand-in for a critic that keeps what it is shown."""

    def critic(x):
        seen.append(x)
        return tf.reduce_sum(x, axis=[1, 2, 3])

    return critic


def shown(name, real, fake, key=KEY):
    seen = []
    PENALTIES[name](at(seen), real, fake, key)
    (result,) = seen
    return result.numpy()


def two_sided(gradients):
    return np.mean((np.sqrt(np.sum(gradients**2, axis=1)) - 1) ** 2)


FORMULAS = {
    "wgan_gp": two_sided,
    "dragan": two_sided,
    "r1": lambda gradients: np.mean(np.sum(gradients**2, axis=1)) / 2,
    "r2": lambda gradients: np.mean(np.sum(gradients**2, axis=1)) / 2,
}
ZERO_CENTRED = ("r1", "r2")


def uniform_distance(sample):
    """Kolmogorov-Smirnov distance of a sample from U[0, 1), over its 1 percent critical value: below 1 if uniform."""
    sample = np.sort(np.ravel(sample))
    return np.abs(sample - (np.arange(len(sample)) + 0.5) / len(sample)).max() * np.sqrt(len(sample)) / 1.63


def test_every_penalty_has_an_independent_formula():
    assert set(PENALTIES) == set(FORMULAS)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("name", PENALTIES)
def test_a_linear_critic_gives_the_closed_form(name, scale):
    weights = np.random.default_rng(0).normal(size=PIXELS) * scale
    norm = np.sqrt(np.sum(weights**2))
    expected = norm**2 / 2 if name in ZERO_CENTRED else (norm - 1) ** 2
    assert float(PENALTIES[name](linear(weights), images(0), images(1), KEY)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_smooth_network_agrees_with_finite_differences(name):
    network, real, fake = Network(), images(0), images(1)
    with tf.GradientTape() as tape:
        value = PENALTIES[name](network, real, fake, KEY)
    slopes = tape.gradient(value, network.variables)
    x = shown(name, real, fake)
    assert float(value) == pytest.approx(FORMULAS[name](network.gradients(x)), rel=1e-4)

    h = 1e-4
    for k, slope in enumerate(slopes):
        numeric = np.empty_like(network.values[k])
        for index in np.ndindex(*numeric.shape):
            sides = []
            for step in (h, -h):
                values = [value.copy() for value in network.values]
                values[k][index] += step
                sides.append(FORMULAS[name](network.gradients(x, values)))
            numeric[index] = (sides[0] - sides[1]) / (2 * h)
        assert np.abs(numeric).max() > 1e-3
        np.testing.assert_allclose(slope, numeric, rtol=1e-3, atol=1e-5)


def test_gradient_norms_are_those_of_each_image():
    network, x = Network(), images(0, 5)
    norms = gradient_norms(network, x)
    assert norms.shape == (5,)
    assert norms.dtype == tf.float32
    np.testing.assert_allclose(norms, np.sqrt((network.gradients(x) ** 2).sum(1)), rtol=1e-4)
    np.testing.assert_allclose(gradient_norms(network, x[2:3])[0], norms[2], rtol=1e-5)


def test_the_derivative_of_the_norm_is_that_of_the_root():
    weights = tf.Variable(np.array([3.0, 4.0] + [0.0] * 10), dtype=tf.float32)
    for scale in (1.0, 1e-6, 1e6):
        weights.assign(np.array([3.0, 4.0] + [0.0] * 10) * scale)
        with tf.GradientTape() as tape:
            norm = gradient_norms(linear(weights), images(0, 1))[0]
        assert float(norm) == pytest.approx(5 * scale)
        np.testing.assert_allclose(tape.gradient(norm, weights)[:3], [0.6, 0.8, 0], rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", PENALTIES)
def test_a_vanishing_gradient_is_no_nan(name, jit_compile):
    weights = tf.Variable(tf.zeros([PIXELS]))
    some = tf.constant([1.0, 0.0, 0.0, 1.0])[:, None]  # the gradient vanishes for two samples of four

    @tf.function(jit_compile=jit_compile)
    def both(factor):
        with tf.GradientTape() as tape:
            value = PENALTIES[name](lambda x: factor * linear(weights)(x), images(0), images(1), KEY)
        return value, tape.gradient(value, weights)

    for factor in (tf.ones([4, 1]), some):
        value, slope = both(factor)
        assert float(value) == (0 if name in ZERO_CENTRED else 1)
        assert not slope.numpy().any()  # and so no NaN
    weights.assign(tf.ones([PIXELS]))
    value, slope = both(some)
    norm = np.sqrt(PIXELS)
    assert float(value) == pytest.approx(norm**2 / 4 if name in ZERO_CENTRED else ((norm - 1) ** 2 + 1) / 2)
    np.testing.assert_allclose(slope, 0.5 if name in ZERO_CENTRED else (norm - 1) / norm, rtol=1e-5)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_critic_that_ignores_its_input_has_the_gradient_zero(name):
    value = PENALTIES[name](lambda x: tf.ones([tf.shape(x)[0], 1]), images(0), images(1), KEY)
    assert float(value) == (0 if name in ZERO_CENTRED else 1)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_nan_is_not_hidden(name):
    weights = np.ones(PIXELS)
    weights[3] = np.nan
    assert np.isnan(PENALTIES[name](linear(weights), images(0), images(1), KEY))


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_interpolates_lie_on_the_segment_with_one_epsilon_per_sample(jit_compile):
    real, fake = images(0, 64), images(1, 64)
    function = interpolate
    if jit_compile is not None:
        unknown = tf.TensorSpec([None, *SHAPE])
        signature = [unknown, unknown, tf.TensorSpec([2], tf.int32)]
        function = tf.function(interpolate, input_signature=signature, jit_compile=jit_compile)
    recovered = []
    for key in (KEY, OTHER_KEY):
        x = function(real, fake, key).numpy().astype(np.float64)
        epsilon = ((x - fake) * (real - fake)).sum((1, 2, 3)) / ((real - fake) ** 2).sum((1, 2, 3))
        column = epsilon[:, None, None, None]
        np.testing.assert_allclose(x, column * real + (1 - column) * fake, atol=1e-6)
        assert epsilon.min() > -1e-6
        assert epsilon.max() < 1 + 1e-6
        assert len(np.unique(epsilon.round(5))) == 64
        assert uniform_distance(epsilon) < 1
        recovered.append(epsilon)
    assert np.abs(recovered[0] - recovered[1]).min() > 1e-5
    np.testing.assert_array_equal(function(real, fake, KEY), function(real, fake, KEY))


def test_wgan_gp_looks_at_the_interpolates():
    real, fake = images(0), images(1)
    np.testing.assert_array_equal(shown("wgan_gp", real, fake), interpolate(real, fake, KEY))
    assert not np.array_equal(shown("wgan_gp", real, fake), shown("wgan_gp", real, images(2)))
    assert not np.array_equal(shown("wgan_gp", real, fake), shown("wgan_gp", images(2), fake))


def test_dragan_looks_around_real_images_as_its_docstring_says():
    real = images(0, 200, (16, 16, 2)) * 0.3
    real[:100] = 0.1  # constant images are perturbed as much as the others
    x = shown("dragan", real, real)
    noise = (x.astype(np.float64) - real) / (0.5 * np.std(real.astype(np.float64)))  # alpha u
    assert noise.min() > -1e-5
    alpha = noise.max((1, 2, 3))  # of 512 pixels, so within 1 percent
    u = noise / alpha[:, None, None, None]
    assert uniform_distance(alpha) < 1  # one for every sample
    assert uniform_distance(u[:, ::4, ::4]) < 1
    np.testing.assert_allclose(u.mean((1, 2, 3)), 0.5, atol=0.06)
    assert abs(np.corrcoef(u[:, 0, 0, 0], u[:, 0, 0, 1])[0, 1]) < 0.25  # one for every pixel and channel
    assert abs(np.corrcoef(alpha, u.ravel()[:200])[0, 1]) < 0.25  # drawn apart from alpha


def test_dragan_depends_on_real_and_key_alone():
    network, real = Network(), images(0)

    def value(*arguments):
        return float(PENALTIES["dragan"](network, *arguments))

    assert value(real, images(1), KEY) == value(real, images(2), KEY) == value(real, images(1) * np.nan, KEY)
    assert value(real, images(1), KEY) != value(images(2), images(1), KEY)
    assert value(real, images(1), KEY) != value(real, images(1), OTHER_KEY)


def test_r1_depends_on_real_alone():
    network, real = Network(), images(0)

    def value(*arguments):
        return float(PENALTIES["r1"](network, *arguments))

    assert value(real, images(1), KEY) == value(real, images(2), OTHER_KEY) == value(real, images(1) * np.nan, KEY)
    assert value(real, images(1), KEY) != value(images(2), images(1), KEY)
    np.testing.assert_array_equal(shown("r1", real, images(1)), real)


def test_r2_depends_on_generated_images_alone():
    network, fake = Network(), images(1)

    def value(*arguments):
        return float(PENALTIES["r2"](network, *arguments))

    assert value(images(0), fake, KEY) == value(images(2), fake, OTHER_KEY) == value(images(0) * np.nan, fake, KEY)
    assert value(images(0), fake, KEY) != value(images(0), images(2), KEY)
    assert value(images(0), fake, KEY) == float(PENALTIES["r1"](network, fake, images(0), KEY))
    np.testing.assert_array_equal(shown("r2", images(0), fake), fake)


@pytest.mark.parametrize("name", PENALTIES)
def test_conformance(name):
    network, real, fake = Network(), images(0), images(1)
    penalty = PENALTIES[name]
    value = penalty(network, real, fake, KEY)
    assert value.shape == ()
    assert value.dtype == tf.float32
    assert float(value) > 0
    assert float(value) == float(penalty(network, real, fake, KEY))
    assert float(value) == float(penalty(lambda x: network(x)[:, 0], real, fake, KEY))  # logits [B]
    half = penalty(network, tf.cast(real, tf.bfloat16), tf.cast(fake, tf.bfloat16), KEY)
    assert half.dtype == tf.float32
    assert float(half) == pytest.approx(float(value), rel=0.02)

    def in_half(x):
        return tf.cast(network(x), tf.bfloat16)

    assert penalty(in_half, real, fake, KEY).dtype == tf.float32


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", PENALTIES)
def test_graphs_of_unknown_batch_size(name, jit_compile):
    network, weights = Network(), np.arange(PIXELS) / 10
    unknown = tf.TensorSpec([None, *SHAPE])

    @tf.function(input_signature=[unknown, unknown, tf.TensorSpec([2], tf.int32)], jit_compile=jit_compile)
    def both(real, fake, key):
        straight = PENALTIES[name](linear(weights), real, fake, key)
        with tf.GradientTape() as tape:
            value = PENALTIES[name](network, real, fake, key)
        return straight, value, tape.gradient(value, network.variables)

    norm = np.sqrt(np.sum(weights**2))
    for count in (4, 3):
        real, fake = images(0, count), images(1, count)
        straight, value, slopes = both(real, fake, KEY)
        assert float(straight) == pytest.approx(norm**2 / 2 if name in ZERO_CENTRED else (norm - 1) ** 2, rel=1e-5)
        assert all(np.isfinite(slope).all() and np.any(slope) for slope in slopes)
        if name in ZERO_CENTRED or not jit_compile:  # XLA draws other numbers
            assert float(value) == pytest.approx(float(PENALTIES[name](network, real, fake, KEY)), rel=1e-5)
