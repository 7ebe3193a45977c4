"""Between two classes: the ends are the classes, and the middle is what a mixture of their embeddings gives."""

import numpy as np
import pytest

from models_zoo import VARIANTS, load_variant
from models_zoo.cgan import CGAN
from models_zoo.conditioning import GENERATOR_NORMS
from tfgan_suite.exploring.class_blends import blended

CONDITIONAL = [name for name in VARIANTS if load_variant(name).conditional]
SLOW = ("vtgan", "sagan", "biggan")  # to build; the others take the class in the same ways
CASES = [
    *(pytest.param(name, {}, marks=pytest.mark.slow if name in SLOW else ()) for name in CONDITIONAL if name != "cgan"),
    *(("cgan", {"generator_conditioning": norm}) for norm in GENERATOR_NORMS),
]


@pytest.mark.parametrize(("variant", "options"), CASES)
def test_the_ends_are_the_classes_and_the_middle_is_neither(variant, options):
    generator, _ = load_variant(variant).networks(16, 3, 6, 0.05, num_classes=4, **options)
    random = np.random.default_rng(0)
    for weight in generator.trainable_variables:  # tables that begin alike for all classes would hide everything
        weight.assign_add(0.3 * random.normal(size=weight.shape))
    latents = random.normal(size=(3, 6)).astype(np.float32)
    one, other = np.array([0, 1, 3]), np.array([2, 1, 0])
    first, last = np.split(generator([np.tile(latents, (2, 1)), np.concatenate([one, other])], training=False), 2)
    mixture = blended(generator)
    classes = np.concatenate([np.stack([one, other, np.full(3, share)], axis=1) for share in (0, 0.5, 1)])
    made = mixture([np.tile(latents, (3, 1)), classes.astype(np.float32)], training=False)
    begin, middle, end = np.split(made, 3)
    np.testing.assert_allclose(begin, first, atol=1e-6)
    np.testing.assert_allclose(end, last, atol=1e-6)
    for of_class in (first, last):
        assert np.abs(middle - of_class)[[0, 2]].max(axis=(1, 2, 3)).min() > 1e-4
    np.testing.assert_allclose(middle[1], first[1], atol=1e-6)  # from a class to itself
    assert {weight.path for weight in mixture.weights} == {weight.path for weight in generator.weights}


def test_half_way_is_the_class_whose_embedding_is_the_mean_of_both():
    generator, _ = CGAN.networks(16, 3, 6, 0.05, num_classes=3, generator_conditioning="concat")
    table = next(weight for weight in generator.weights if "class_embedding" in weight.path)
    rows = table.numpy()
    rows[2] = 0.75 * rows[0] + 0.25 * rows[1]
    table.assign(rows)
    latents = np.random.default_rng(1).normal(size=(2, 6)).astype(np.float32)
    found = blended(generator)([latents, np.array([[0, 1, 0.25]] * 2, np.float32)], training=False)
    expected = generator([latents, np.array([2, 2])], training=False)
    np.testing.assert_allclose(found, expected, atol=1e-6)
