"""Each loss against its formula or loops in float64 NumPy, and its gradient against finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models_zoo.losses import (
    LOSSES,
    class_cross_entropy,
    data_to_data_cross_entropy,
    margin_discriminator,
    margin_generator,
    paired_discriminator,
    paired_generator,
    pulling_away,
    reconstruction,
)

REAL = np.array([[-2.0], [0.3], [1.7], [0.9]])
FAKE = np.array([[0.4], [-1.2], [2.5], [-0.1]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


DISCRIMINATOR = {
    "non_saturating": lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
    "minimax": lambda r, f: -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
    "hinge": lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
    "least_squares": lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
    "least_squares_pearson": lambda r, f: ((r - 1) ** 2).mean() / 2 + ((f + 1) ** 2).mean() / 2,
    "wasserstein": lambda r, f: f.mean() - r.mean(),
}
GENERATOR = {
    "non_saturating": lambda f: -np.log(sigmoid(f)).mean(),
    "minimax": lambda f: np.log(1 - sigmoid(f)).mean(),
    "hinge": lambda f: -f.mean(),
    "least_squares": lambda f: ((f - 1) ** 2).mean() / 2,
    "least_squares_pearson": lambda f: (f**2).mean() / 2,
    "wasserstein": lambda f: -f.mean(),
}


def finite_differences(formula, at, step=1e-6):
    numeric = np.empty_like(at)
    for index in np.ndindex(*at.shape):
        change = np.zeros_like(at)
        change[index] = step
        numeric[index] = (formula(at + change) - formula(at - change)) / (2 * step)
    return numeric


def gradient(function, at):
    at = tf.constant(at, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = tf.reduce_sum(function(at))
    return tape.gradient(value, at).numpy()


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
        np.testing.assert_allclose(gradient, finite_differences(formula, at), rtol=1e-5, atol=1e-6)


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


def test_pearson_coding_makes_the_generator_descend_the_chi_squared_divergence():
    # with the best D on two points of probability p (data) and q (generated), 2 V(G) is Pearson's divergence
    p, q = np.array([0.3, 0.7]), np.array([0.8, 0.2])
    loss = LOSSES["least_squares_pearson"]
    best = (p - q) / (p + q)  # minimizes p/2 (D - 1)^2 + q/2 (D + 1)^2
    value = sum(p[i] * (best[i] - 0) ** 2 + q[i] * 2 * float(loss.generator(tf.constant([best[i]]))) for i in range(2))
    assert value == pytest.approx(np.sum((2 * q - (p + q)) ** 2 / (p + q)), rel=1e-6)

    def expected(d):
        return sum(  # the loss is a mean over pairs, so weigh real and generated logits apart
            p[i] * float(loss.discriminator(tf.constant([d[i]]), tf.constant([-1.0])))
            + q[i] * float(loss.discriminator(tf.constant([1.0]), tf.constant([d[i]])))
            for i in range(2)
        )

    for change in ([0.05, 0], [-0.05, 0], [0, 0.05], [0, -0.05]):
        assert expected(best + change) > expected(best)


ENERGIES = np.array([[0.4], [1.2], [2.5], [0.1]])


def test_margin_losses():
    real, fake, margin = np.array([[0.2], [0.9], [3.0], [0.0]]), ENERGIES, 1.0
    value = margin_discriminator(tf.constant(real), tf.constant(fake), margin)
    assert float(value) == pytest.approx(real.mean() + (0.6 + 0.9) / 4)
    assert float(margin_generator(tf.constant(fake))) == pytest.approx(fake.mean())

    def formula(r, f, m):
        return r.mean() + np.maximum(0, m - f).mean()

    assert float(margin_discriminator(real, fake, 2.0)) == pytest.approx(formula(real, fake, 2.0))
    np.testing.assert_allclose(gradient(lambda r: margin_discriminator(r, fake, margin), real), 1 / 4)
    np.testing.assert_allclose(
        gradient(lambda f: margin_discriminator(real, f, margin), fake),
        finite_differences(lambda f: formula(real, f, margin), fake),
        atol=1e-6,
    )
    np.testing.assert_allclose(gradient(margin_generator, fake), 1 / 4)


def cosines_by_loops(features):
    count, total = len(features), 0.0
    for i in range(count):
        for j in range(count):
            if i != j:
                one, other = features[i], features[j]
                total += (sum(one * other) / np.sqrt(sum(one**2) * sum(other**2))) ** 2
    return total / (count * (count - 1))


def test_pulling_away():
    features = np.random.default_rng(0).normal(size=(5, 3))
    assert float(pulling_away(tf.constant(features))) == pytest.approx(cosines_by_loops(features), rel=1e-5)
    np.testing.assert_allclose(
        gradient(pulling_away, features), finite_differences(cosines_by_loops, features), rtol=1e-3, atol=1e-6
    )
    assert float(pulling_away(tf.eye(4))) == 0
    assert float(pulling_away(tf.constant([[1.0, 2.0], [-3.0, -6.0], [1e-6, 2e-6]]))) == pytest.approx(1)


def test_pulling_away_of_zero_rows_and_of_a_single_row():
    features = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    assert float(pulling_away(features)) == pytest.approx(2 * 0.5 / 6)
    slope = gradient(pulling_away, features)
    assert np.isfinite(slope).all()
    assert not slope[1].any()
    assert slope[0].any()
    for nothing in (np.zeros((3, 2)), np.array([[3.0, 4.0]])):
        assert float(pulling_away(nothing)) == 0
        assert not gradient(pulling_away, nothing).any()


@pytest.mark.parametrize("power", [1, 2])
def test_reconstruction(power):
    rng = np.random.default_rng(0)
    images, others = rng.uniform(-1, 1, (2, 3, 4, 2, 3))
    expected = np.zeros(3)
    for i in range(3):
        for x, r in zip(images[i].ravel(), others[i].ravel(), strict=True):
            expected[i] += abs(x - r) ** power / (4 * 2 * 3)
    result = reconstruction(tf.constant(images), tf.constant(others), power)
    assert result.shape == (3,)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    np.testing.assert_allclose(
        gradient(lambda r: reconstruction(images, r, power), others),
        finite_differences(lambda r: (np.abs(images - r) ** power).mean((1, 2, 3)).sum(), others),
        rtol=1e-3,
        atol=1e-6,
    )
    assert not gradient(lambda r: reconstruction(images, r, power), images).any()  # and no NaN


def test_reconstruction_refuses_other_powers():
    with pytest.raises(ValueError, match=r"power must be 1 or 2. Received: power=3"):
        reconstruction(np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)), 3)


CLASS_LOGITS = np.array([[1.0, -2.0, 0.5, 3.0], [0.0, 0.0, 4.0, -1.0], [2.0, 2.5, -0.5, 0.1]])
LABELS = np.array([3, 0, 1])


def cross_entropy(logits, labels, smoothing):
    classes, total = logits.shape[1], 0.0
    for row, label in zip(logits, labels, strict=True):
        log_probabilities = np.log(np.exp(row) / np.exp(row).sum())
        targets = np.full(classes, smoothing / classes)
        targets[label] = 1 - (classes - 1) / classes * smoothing
        assert targets.sum() == pytest.approx(1)
        total -= (targets * log_probabilities).sum()
    return total / len(logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_class_cross_entropy(smoothing):
    value = class_cross_entropy(tf.constant(CLASS_LOGITS), tf.constant(LABELS), smoothing)
    assert float(value) == pytest.approx(cross_entropy(CLASS_LOGITS, LABELS, smoothing), rel=1e-6)
    np.testing.assert_allclose(
        gradient(lambda x: class_cross_entropy(x, LABELS, smoothing), CLASS_LOGITS),
        finite_differences(lambda x: cross_entropy(x, LABELS, smoothing), CLASS_LOGITS),
        atol=1e-6,
    )


def test_without_smoothing_it_is_plain_cross_entropy():
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, CLASS_LOGITS)
    assert float(class_cross_entropy(CLASS_LOGITS, LABELS)) == pytest.approx(float(plain), rel=1e-6)
    assert float(class_cross_entropy(CLASS_LOGITS, LABELS, 0.0)) == float(class_cross_entropy(CLASS_LOGITS, LABELS))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_smoothed_targets_sum_to_one_and_are_the_fixed_point(smoothing):
    # the gradient with respect to one sample's logits is softmax - targets
    uniform = np.zeros((1, 4))
    targets = 1 / 4 - gradient(lambda x: class_cross_entropy(x, [2], smoothing), uniform)[0]
    assert targets.sum() == pytest.approx(1)
    np.testing.assert_allclose(targets[2], 1 - 3 / 4 * smoothing, rtol=1e-6)
    np.testing.assert_allclose(np.delete(targets, 2), smoothing / 4, rtol=1e-6, atol=1e-7)


def test_class_cross_entropy_is_finite_for_huge_logits():
    assert float(class_cross_entropy(np.array([[1e4, -1e4]]), [1])) == pytest.approx(2e4)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_refuses_a_smoothing_out_of_range(smoothing):
    with pytest.raises(ValueError, match=rf"smoothing must be in \[0, 1\). Received: smoothing={smoothing}"):
        class_cross_entropy(CLASS_LOGITS, LABELS, smoothing)


def pair_by_pair(better, worse):
    """Cross-entropy of the answer that the first of each pair is the better one."""
    return sum(np.log(1 + np.exp(-(b - w))) for b, w in zip(better.ravel(), worse.ravel(), strict=True)) / len(better)


def test_paired_losses():
    assert float(paired_discriminator(REAL, FAKE)) == pytest.approx(pair_by_pair(REAL, FAKE), rel=1e-6)
    assert float(paired_generator(REAL, FAKE)) == pytest.approx(pair_by_pair(FAKE, REAL), rel=1e-6)
    assert float(paired_generator(REAL, FAKE)) != pytest.approx(pair_by_pair(REAL, FAKE), rel=1e-2)
    for loss, formula in (
        (paired_discriminator, pair_by_pair),
        (paired_generator, lambda r, f: pair_by_pair(f, r)),
    ):
        slopes = gradient(lambda r, loss=loss: loss(r, FAKE), REAL), gradient(lambda f, loss=loss: loss(REAL, f), FAKE)
        of_real = finite_differences(lambda r, formula=formula: formula(r, FAKE), REAL)
        of_fake = finite_differences(lambda f, formula=formula: formula(REAL, f), FAKE)
        np.testing.assert_allclose(slopes[0], of_real, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(slopes[1], of_fake, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(slopes[0], -slopes[1], rtol=1e-6)
        assert float(loss(REAL + 7, FAKE + 7)) == pytest.approx(float(loss(REAL, FAKE)), rel=1e-6)


def test_a_pair_is_a_row_and_no_other():
    """Logits in another order make other pairs; the sum over all pairs would not change."""
    assert abs(float(paired_discriminator(REAL, FAKE)) - float(paired_discriminator(REAL, FAKE[::-1]))) > 0.01


def test_paired_losses_are_finite_and_linear_for_huge_logits():
    huge = np.array([[500.0]])
    assert float(paired_discriminator(-huge, huge)) == float(paired_generator(huge, -huge)) == 1000
    assert float(paired_discriminator(huge, -huge)) == float(paired_generator(-huge, huge)) == 0


CLASSES_OF_SIX = np.array([0, 1, 0, 2, 1, 2])


def on_sphere(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def d2d_ce_by_loops(f, v, labels, m_p, m_n, tau):
    total = 0.0
    for i in range(len(f)):
        own = np.exp(min(f[i] @ v[i] - m_p, 0) / tau)
        others = sum(np.exp(max(f[i] @ f[j] - m_n, 0) / tau) for j in range(len(f)) if labels[j] != labels[i])
        total -= np.log(own / (own + others))
    return total / len(f)


@pytest.mark.parametrize("margins", [(0.98, 0.02, 0.5), (0.1, -0.3, 0.2), (1.0, -1.0, 1.0)])
def test_data_to_data_cross_entropy(margins):
    rng = np.random.default_rng(0)
    f, w = on_sphere(rng.normal(size=(6, 4))), on_sphere(rng.normal(size=(3, 4)))
    v, labels = w[CLASSES_OF_SIX], CLASSES_OF_SIX
    value = data_to_data_cross_entropy(f, v, labels, *margins)
    assert float(value) == pytest.approx(d2d_ce_by_loops(f, v, labels, *margins), rel=1e-6)
    ours, formula = data_to_data_cross_entropy, d2d_ce_by_loops
    for loss, by_loops, at in (
        (lambda x: ours(x, v, labels, *margins), lambda x: formula(x, v, labels, *margins), f),
        (lambda x: ours(f, x, labels, *margins), lambda x: formula(f, x, labels, *margins), v),
    ):
        numeric = finite_differences(by_loops, at)
        assert np.abs(numeric).max() > 1e-3
        np.testing.assert_allclose(gradient(loss, at), numeric, rtol=1e-3, atol=1e-5)


def test_what_is_easy_gives_no_gradient_and_what_is_hard_does():
    """Two samples on the axes: nearer than m_p to its class, or at least m_n away from the other class, is enough."""
    labels, near, far = np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.6, 0.8], [0.8, 0.6]])

    def slopes(f, m_p, m_n):
        of_proxies = gradient(lambda v: data_to_data_cross_entropy(f, v, labels, m_p, m_n, 0.5), near)
        return of_proxies, gradient(lambda f: data_to_data_cross_entropy(f, near, labels, m_p, m_n, 0.5), f)

    easy = slopes(near, 0.98, 0.02)
    assert not easy[0].any() and not easy[1].any()
    to_proxy, of_samples = slopes(far, 0.98, 0.02)
    assert (to_proxy * far).sum(1).max() < 0, "a sample that is far from its class draws its proxy"
    assert (of_samples * far[::-1]).sum(1).min() > 0, "and samples of other classes push each other away"
    assert not slopes(far, 0.5, 0.97)[1].any(), "unless the margins ask for less"


def test_samples_of_one_class_are_not_compared():
    rng = np.random.default_rng(1)
    f, v = on_sphere(rng.normal(size=(5, 3))), on_sphere(rng.normal(size=(5, 3)))
    assert float(data_to_data_cross_entropy(f, v, np.zeros(5, int), 0.98, 0.02, 0.5)) == pytest.approx(0, abs=1e-6)
    assert not gradient(lambda f: data_to_data_cross_entropy(f, v, np.zeros(5, int), 0.98, 0.02, 0.5), f).any()
    assert float(data_to_data_cross_entropy(f, v, np.arange(5), 0.98, 0.02, 0.5)) > 1


def compare_columns(r, f):
    """D2D-CE of rows [r, f] as they are, each of a class of its own."""
    rows = tf.concat([r, f], 1)
    return data_to_data_cross_entropy(rows, rows[::-1], tf.range(tf.shape(r)[0]), 0.9, 0.1, 0.5)


FUNCTIONS = {
    **{f"{name}_discriminator": loss.discriminator for name, loss in LOSSES.items()},
    **{f"{name}_generator": lambda r, f, loss=loss: loss.generator(f) for name, loss in LOSSES.items()},
    "paired_discriminator": paired_discriminator,
    "paired_generator": paired_generator,
    "data_to_data_cross_entropy": compare_columns,
    "margin_discriminator": lambda r, f: margin_discriminator(r, f, 1.0),
    "margin_generator": lambda r, f: margin_generator(f),
    "pulling_away": lambda r, f: pulling_away(tf.concat([r, f], 1)),
    "reconstruction_1": lambda r, f: reconstruction(r[:, :, None, None], f[:, :, None, None], 1),
    "reconstruction_2": lambda r, f: reconstruction(r[:, :, None, None], f[:, :, None, None], 2),
    "class_cross_entropy": lambda r, f: class_cross_entropy(tf.concat([r, f], 1), tf.zeros(tf.shape(r)[0], tf.int32)),
}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_of_unknown_batch_size_agree_with_eager(jit_compile):
    unknown = tf.TensorSpec([None, 1], tf.float32)
    real, fake = tf.constant(REAL, tf.float32), tf.constant(FAKE, tf.float32)

    @tf.function(input_signature=[unknown, unknown], jit_compile=jit_compile)
    def together(r, f):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(f)
            values = {name: function(r, f) for name, function in FUNCTIONS.items()}
        return values, {name: tape.gradient(value, f) for name, value in values.items()}

    values, slopes = together(real, fake)
    for name, function in FUNCTIONS.items():
        np.testing.assert_allclose(values[name], function(real, fake), rtol=1e-5, err_msg=name)
        expected = gradient(lambda f, function=function: function(real, f), FAKE)
        np.testing.assert_allclose(slopes[name], expected, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_dtype_of_the_arguments_does_not_matter(name):
    function = FUNCTIONS[name]
    real, fake = (keras.ops.cast(values, "bfloat16") for values in (REAL, FAKE))
    result = function(real, fake)
    assert result.dtype == tf.float32
    np.testing.assert_array_equal(result, function(tf.cast(real, tf.float32), tf.cast(fake, tf.float32)))
    assert function(tf.constant(REAL), tf.constant(FAKE)).dtype == tf.float32
