"""Options that several variants share: augmentation, clipped gradients, bounded stable ranks."""

import functools

import numpy as np
import pytest
from papers import (
    assert_same_update,
    discriminator_update,
    generator_update,
    hinge,
    least_squares,
    minus_score,
    on_logits,
    relativistic,
)
from small_gans import (
    BATCH,
    REAL_LABELS,
    SEED,
    STEP,
    build,
    change_of,
    compared,
    matrix_of,
    power_iteration,
    real_images,
    snapshot,
    spectral_layers,
)

from models_zoo import randomness
from models_zoo.augmentation import AUGMENTATIONS

pytestmark = pytest.mark.usefixtures("short_warm_up")


def key_of(use, index=0):
    return randomness.key(SEED, STEP, use, index)


@pytest.mark.parametrize(("name", "policy"), [("lsgan", "color"), ("lsgan", "translation,cutout"), ("cgan", "color")])
def test_augmentation_changes_all_that_the_discriminator_sees(name, policy):
    formulas = {"lsgan": least_squares(a=0, b=1, c=1), "cgan": on_logits(hinge, minus_score)}[name]

    def augmented(images, use, index=0):
        for one in policy.split(","):
            images = AUGMENTATIONS[one](images, key_of(use, index))
        return images

    for step in ("discriminator", "generator"):
        gan, by_hand, plain = build(name, augment=policy), build(name), build(name)
        network = getattr(gan, step)
        before = snapshot(network)
        if step == "discriminator":
            logs, without = (one.discriminator_step(real_images(), REAL_LABELS, 1) for one in (gan, plain))
            loss, _ = discriminator_update(by_hand, formulas[0], 1, augmented)
        else:
            logs, without = (one.generator_step(BATCH) for one in (gan, plain))
            loss, _ = generator_update(by_hand, formulas[1], augmented)
        entry = f"{step[0]}_loss"
        assert float(logs[entry]) == pytest.approx(loss, rel=1e-5, abs=1e-6)
        assert abs(float(logs[entry]) - float(without[entry])) > 1e-4
        assert_same_update(network, getattr(by_hand, step), before)


@pytest.mark.parametrize("name", ["dcgan", "cgan", "began"])
def test_the_discriminators_gradient_is_clipped_to_its_norm(name):
    def steps(clip):
        gan = build(name, rate=1.0, discriminator_clip_norm=clip)
        discriminator, generator = snapshot(gan.discriminator), snapshot(gan.generator)
        of_discriminator = gan.discriminator_step(real_images(), REAL_LABELS)
        moved = change_of(gan.discriminator, discriminator)
        norms = float(of_discriminator["d_gradient_norm"]), float(gan.generator_step(BATCH)["g_gradient_norm"])
        return moved, change_of(gan.generator, generator), norms, snapshot(gan.discriminator)

    moved, _, (norm, _), unclipped = steps(0.0)
    assert moved == pytest.approx(norm, rel=1e-4)
    clip = norm / 7
    moved, of_generator, (norm_then, generators), weights = steps(clip)
    assert moved == pytest.approx(clip, rel=1e-4) and norm_then == pytest.approx(norm, rel=1e-6)
    assert of_generator == pytest.approx(generators, rel=1e-4)
    assert not all(np.allclose(x, y) for x, y in zip(weights, unclipped, strict=True))
    moved, _, _, weights = steps(2 * norm)
    assert moved == pytest.approx(norm, rel=1e-4)
    for one, other in zip(weights, unclipped, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_the_generators_gradient_is_not_clipped():
    gan = build("dcgan", rate=1.0, discriminator_clip_norm=1e-4)
    before = snapshot(gan.generator)
    norm = float(gan.generator_step(BATCH)["g_gradient_norm"])
    assert change_of(gan.generator, before) == pytest.approx(norm, rel=1e-4) and norm > 1e-2


def test_augmentation_changes_the_real_images_that_the_generators_update_compares_with():
    """By draws of their own: neither those of the generated images nor those of the discriminator's update."""
    gan, by_hand = build("rpgan", augment="color"), build("rpgan")
    before = snapshot(gan.generator)
    logs = gan.generator_step(BATCH, *compared(gan))
    real = AUGMENTATIONS["color"](real_images(), key_of(randomness.AUGMENT_COMPARED))
    formula = functools.partial(relativistic(1)[1], x=real)
    loss, _ = generator_update(by_hand, formula, lambda images, use: AUGMENTATIONS["color"](images, key_of(use)))
    assert float(logs["g_loss"]) == pytest.approx(loss, rel=1e-5, abs=1e-6)
    assert_same_update(gan.generator, by_hand.generator, before)
    uses = (randomness.AUGMENT_COMPARED, randomness.AUGMENT_REAL, randomness.AUGMENT_FAKE, randomness.AUGMENT_GENERATED)
    assert len(set(uses)) == 4


STABLE = [
    ("sngan", {"architecture": "standard"}),
    ("sngan", {"architecture": "resnet"}),
    ("sagan", {"attention": False}),
]
STABLE += [("sngan", {"architecture": "strided"}), ("biggan", {})]


@pytest.mark.parametrize(("name", "networks"), STABLE)
def test_stable_ranks_of_the_discriminator_are_bounded(name, networks):
    lowered = 0
    gan = build(name, {**networks, "stable_rank": 0.3})
    for layer in spectral_layers(gan.discriminator):
        raw = matrix_of(layer)
        layer.vector.assign(np.linalg.svd(raw)[0][:, 0])
        values = np.linalg.svd(matrix_of(layer, layer.normalized_kernel().numpy()), compute_uv=False)
        bound = max(1, 0.3 * min(raw.shape))
        assert values[0] == pytest.approx(1, abs=1e-5)
        assert np.sum(values**2) / values[0] ** 2 <= bound + 1e-4
        original = np.linalg.svd(raw, compute_uv=False)
        lowered += np.sum(original**2) / original[0] ** 2 > bound + 0.1
    assert lowered >= 2
    assert not any(layer.stable_rank for layer in spectral_layers(gan.generator))


@pytest.mark.parametrize(("name", "networks"), STABLE[:3])
def test_stable_rank_changes_the_step_unless_it_holds_anyway(name, networks):
    """The last layer has one row, and so a stable rank of 1 whatever it does; it must go on learning."""
    weights = {}
    for stable_rank in (0.0, 0.3, 1.0):  # no matrix has a stable rank above its rank
        gan = build(name, {**networks, "stable_rank": stable_rank})
        for layer in spectral_layers(gan.discriminator):
            power_iteration(layer, 100)
        before = snapshot(gan.discriminator)
        gan.discriminator_step(real_images(), REAL_LABELS)
        weights[stable_rank] = snapshot(gan.discriminator)
    kernels = [i for i, value in enumerate(before) if value.ndim > 1]
    for i in kernels:
        np.testing.assert_allclose(weights[1.0][i], weights[0.0][i], rtol=1e-4, atol=1e-5)
    different = [not np.allclose(weights[0.3][i], weights[0.0][i], rtol=1e-3, atol=1e-4) for i in kernels]
    assert np.mean(different) > 0.8
