"""Differentiable augmentation: what was drawn is recovered from the images, which then must equal NumPy's."""

import numpy as np
import pytest
import tensorflow as tf

from models_zoo import penalties
from models_zoo.augmentation import AUGMENTATIONS, augment, parse

KEY = tf.constant([3, 5])
OTHER_KEY = tf.constant([3, 6])
HEIGHT, WIDTH = 16, 20  # shifts up to 2 and, as 2.5 is rounded up, 3
ALL = "color,translation,cutout"


def images(count, shape=(HEIGHT, WIDTH, 3), seed=0):
    """Every pixel another one, and none of them zero."""
    count_of_values = int(np.prod(shape))
    values = np.linspace(-1, 1, count_of_values + count_of_values % 2)[:count_of_values]
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(values).reshape(shape) for _ in range(count)]).astype(np.float32)


def half_up(side, divisor):
    return (2 * side + divisor) // (2 * divisor)


def colored(x, brightness, saturation, contrast):
    x = x + brightness
    gray = x.mean(-1, keepdims=True)
    x = (x - gray) * saturation + gray
    return (x - x.mean()) * contrast + x.mean()


def moved(x, down, right):
    result = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if 0 <= i - down < x.shape[0] and 0 <= j - right < x.shape[1]:
                result[i, j] = x[i - down, j - right]
    return result


def cut(x, row, column):
    result = x.copy()
    height, width = half_up(x.shape[0], 2), half_up(x.shape[1], 2)
    top, left = row - height // 2, column - width // 2
    for i in range(top, top + height):
        for j in range(left, left + width):
            if 0 <= i < x.shape[0] and 0 <= j < x.shape[1]:
                result[i, j] = 0
    return result


def recover_color(before, after):
    """Brightness leaves all differences alone, saturation the mean over channels, contrast the mean of the image."""
    brightness = after.mean() - before.mean()
    gray, gray_after = before.mean(-1), after.mean(-1)
    contrast = np.sum((gray - gray.mean()) * gray_after) / np.sum((gray - gray.mean()) ** 2)
    tint, tint_after = before - gray[..., None], after - gray_after[..., None]
    return brightness, np.sum(tint * tint_after) / np.sum(tint**2) / contrast, contrast


def recover_translation(before, after):
    centre = np.array(before.shape[:2]) // 2
    (source,) = np.argwhere(before[..., 0] == after[*centre, 0])
    return tuple(centre - source)


def recover_cutout(before, after):
    rows, columns = np.nonzero((after == 0).all(-1))
    places = []
    for found, side in ((rows, before.shape[0]), (columns, before.shape[1])):
        size = half_up(side, 2)
        start = found.min() if found.min() > 0 else found.max() + 1 - size
        places.append(start + size // 2)
    return tuple(places)


NUMPY = {
    "color": (recover_color, colored),
    "translation": (recover_translation, moved),
    "cutout": (recover_cutout, cut),
}


def check(name, before, after, tolerance=1e-5):
    """What was drawn, float64 [B, number of draws], after checking that it makes `after` out of `before`."""
    recover, apply = NUMPY[name]
    drawn = []
    for one, other in zip(np.float64(before), np.float64(after), strict=True):
        drawn.append(recover(one, other))
        np.testing.assert_allclose(other, apply(one, *drawn[-1]), atol=0 if name != "color" else tolerance)
    return np.array(drawn)


def distance_from_uniform(sample, values):
    """Pearson's chi^2 of a sample that should be uniform over `values`, over its 0.1 percent critical value."""
    counts = np.array([(sample == value).sum() for value in values])
    assert counts.sum() == len(sample)  # nothing else
    expected = len(sample) / len(values)
    freedom = len(values) - 1
    critical = freedom * (1 - 2 / (9 * freedom) + 3.09 * np.sqrt(2 / (9 * freedom))) ** 3  # Wilson and Hilferty
    return ((counts - expected) ** 2 / expected).sum() / critical


def test_every_augmentation_has_an_independent_formula():
    assert set(AUGMENTATIONS) == set(NUMPY)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_equals_numpy_given_what_was_drawn(name):
    before = images(8)
    drawn = check(name, before, AUGMENTATIONS[name](before, KEY))
    for parameter in drawn.T:
        assert len(np.unique(parameter)) > 2  # every sample has its own
    other = check(name, before, AUGMENTATIONS[name](before, OTHER_KEY))
    assert (drawn != other).any(axis=0).all()


def test_color_covers_its_ranges():
    before = images(1500, (4, 4, 3))
    drawn = check("color", before, AUGMENTATIONS["color"](before, KEY))
    for parameter, (low, high) in zip(drawn.T, [(-0.5, 0.5), (0, 2), (0.5, 1.5)], strict=True):
        share = np.sort((parameter - low) / (high - low))
        assert share[0] > -1e-5
        assert share[-1] < 1 + 1e-5
        distance = np.abs(share - (np.arange(1500) + 0.5) / 1500).max()
        assert distance < 1.63 / np.sqrt(1500)  # Kolmogorov and Smirnov, 1 percent


@pytest.mark.parametrize("shape", [(16, 20), (12, 28), (8, 3)])
def test_translation_covers_its_ranges(shape):
    before = images(400, (*shape, 1))
    drawn = check("translation", before, AUGMENTATIONS["translation"](before, KEY))
    for parameter, side in zip(drawn.T, shape, strict=True):
        reach = half_up(side, 8)
        assert reach == {16: 2, 20: 3, 12: 2, 28: 4, 8: 1, 3: 0}[side]
        if reach:
            assert distance_from_uniform(parameter, range(-reach, reach + 1)) < 1
        else:
            assert not parameter.any()


@pytest.mark.parametrize("shape", [(16, 20), (10, 9), (6, 7)])
def test_cutout_covers_its_ranges(shape):
    before = images(600, (*shape, 2))
    drawn = check("cutout", before, AUGMENTATIONS["cutout"](before, KEY))
    for parameter, side in zip(drawn.T, shape, strict=True):
        size = {16: 8, 20: 10, 10: 5, 9: 5, 6: 3, 7: 4}[side]
        assert distance_from_uniform(parameter, range(side + 1 if size % 2 == 0 else side)) < 1


def test_draws_are_independent_of_one_another():
    before = images(600, (16, 16, 3))
    drawn = np.concatenate([check(name, before, AUGMENTATIONS[name](before, KEY)) for name in AUGMENTATIONS], axis=1)
    assert drawn.shape == (600, 7)
    correlation = np.corrcoef(drawn, rowvar=False) - np.eye(7)
    assert np.abs(correlation).max() < 4 / np.sqrt(600)
    assert len({tuple(column.round(6)) for column in drawn.T}) == 7
    for column in drawn.T:  # nor of the sample before
        assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 4 / np.sqrt(600)


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_gradient_is_the_transposed_map(name, jit_compile):
    before, upstream = images(4), images(4, seed=1)

    def both(x, g):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = AUGMENTATIONS[name](x, KEY)
        return y, tape.gradient(y, x, output_gradients=g)

    if jit_compile is not None:
        unknown = tf.TensorSpec([None, HEIGHT, WIDTH, 3])
        both = tf.function(both, input_signature=[unknown, unknown], jit_compile=jit_compile)
    after, slope = both(tf.constant(before), tf.constant(upstream))
    transposed = {
        "color": lambda g, b, s, c: colored(g, 0, s, c),  # its linear part is symmetric
        "translation": lambda g, down, right: moved(g, -down, -right),
        "cutout": cut,
    }[name]
    for g, result, drawn in zip(np.float64(upstream), slope, check(name, before, after), strict=True):
        drawn = drawn if name == "color" else drawn.astype(int)
        np.testing.assert_allclose(result, transposed(g, *drawn), atol=1e-5)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_gradient_equals_finite_differences(name):
    before, weights = images(2, (4, 4, 3)), images(2, (4, 4, 3), seed=1)

    def value(x):
        return tf.reduce_sum(tf.square(AUGMENTATIONS[name](x, KEY)) * weights)

    x = tf.constant(before)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = value(x)
    slope = tape.gradient(y, x).numpy()
    rng = np.random.default_rng(2)
    for _ in range(5):
        direction = rng.normal(size=before.shape).astype(np.float32)
        numeric = (float(value(x + 0.1 * direction)) - float(value(x - 0.1 * direction))) / 0.2
        assert numeric == pytest.approx(float(np.sum(slope * direction)), rel=1e-3, abs=1e-3)  # exact for a quadratic


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_gradient_penalty_can_be_taken_through_it(jit_compile):
    weights = tf.Variable(np.random.default_rng(0).normal(size=(HEIGHT * WIDTH * 3, 1)), dtype=tf.float32)

    @tf.function(jit_compile=jit_compile)
    def both(real):
        def critic(x):
            return tf.reshape(augment(x, ALL, KEY), [4, -1]) @ weights

        def shown(x):
            return augment(x, ALL, KEY) - augment(tf.zeros_like(x), ALL, KEY)

        with tf.GradientTape() as tape:
            value = penalties.r1(critic, real, real, KEY)
        # the critic's gradient is J^T w, and that of |J^T w|^2 / 2 is J J^T w
        with tf.GradientTape() as inner:
            inner.watch(real)
            logits = critic(real)
        pulled = inner.gradient(logits, real)
        expected = tf.reduce_mean(tf.reshape(shown(pulled), [4, -1]), axis=0)
        return value, tape.gradient(value, weights)[:, 0], pulled, expected

    value, slope, pulled, expected = both(tf.constant(images(4)))
    assert float(value) == pytest.approx(np.sum(np.float64(pulled) ** 2) / 4 / 2, rel=1e-5)
    np.testing.assert_allclose(slope, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize("name", [*AUGMENTATIONS, ALL])
def test_the_same_key_gives_the_same_bits_and_another_other_images(name):
    before = images(4)
    once, again, other = (augment(before, name, key).numpy() for key in (KEY, KEY, OTHER_KEY))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, before)


def test_a_policy_is_applied_in_its_order():
    before = tf.constant(images(8))
    results = {}
    for policy in ("color,translation", "translation,color", "translation,cutout", "cutout,translation"):
        first, second = policy.split(",")
        results[policy] = augment(before, policy, KEY).numpy()
        expected = AUGMENTATIONS[second](AUGMENTATIONS[first](before, KEY), KEY)
        np.testing.assert_array_equal(results[policy], expected)
    assert not np.array_equal(results["color,translation"], results["translation,color"])
    assert not np.array_equal(results["translation,cutout"], results["cutout,translation"])


def test_the_empty_policy_returns_the_images_themselves():
    before = tf.constant(images(2))
    assert augment(before, "", KEY) is before
    assert parse("") == []
    assert parse(ALL) == ["color", "translation", "cutout"]


@pytest.mark.parametrize("policy", ["colour", "color,", "color;cutout", "color,rotation", ",", "cutout,color,cutout"])
def test_refuses_unknown_names_and_repetition(policy):
    with pytest.raises(ValueError, match="augment must be .* color, translation, cutout.*Received: augment="):
        augment(images(1), policy, KEY)
    with pytest.raises(ValueError, match=f"Received: augment='{policy}'"):
        parse(policy)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_graphs_of_unknown_batch_size(name, jit_compile):
    signature = [tf.TensorSpec([None, HEIGHT, WIDTH, 3]), tf.TensorSpec([2], tf.int32)]
    compiled = tf.function(AUGMENTATIONS[name], input_signature=signature, jit_compile=jit_compile)
    if not jit_compile:
        assert compiled.get_concrete_function().output_shapes.as_list() == [None, HEIGHT, WIDTH, 3]
    for count in (5, 3):
        before = images(count)
        after = compiled(before, KEY)
        drawn = check(name, before, after)
        assert len(np.unique(drawn, axis=0)) > 1
        if name != "color" or not jit_compile:  # XLA draws other real numbers
            np.testing.assert_allclose(after, AUGMENTATIONS[name](before, KEY), atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_bfloat16_stays_bfloat16(name, jit_compile):
    before = tf.cast(images(4), tf.bfloat16)
    after = tf.function(AUGMENTATIONS[name], jit_compile=jit_compile)(before, KEY)
    assert after.dtype == tf.bfloat16
    assert after.shape == before.shape
    if name == "color":
        check(name, tf.cast(before, tf.float32), tf.cast(after, tf.float32), tolerance=0.02)
    else:
        expected = AUGMENTATIONS[name](tf.cast(before, tf.float32), KEY)
        np.testing.assert_array_equal(tf.cast(after, tf.float32), expected)
    with tf.GradientTape() as tape:
        tape.watch(before)
        after = AUGMENTATIONS[name](before, KEY)
    assert tape.gradient(after, before).dtype == tf.bfloat16


def test_a_gray_image_and_a_single_pixel_survive():
    for shape in ((HEIGHT, WIDTH, 1), (1, 1, 3)):
        after = augment(images(3, shape), ALL, KEY).numpy()
        assert after.shape == (3, *shape)
        assert np.isfinite(after).all()
