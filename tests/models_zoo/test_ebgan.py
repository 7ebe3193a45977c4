"""EBGAN: the margin, and the pulling-away term."""

import numpy as np
import pytest
import tensorflow as tf
from papers import assert_same_update, discriminator_update, mean
from small_gans import BATCH, build, feed, generated, real_images, snapshot

pytestmark = pytest.mark.usefixtures("short_warm_up")


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_ebgan_generators_loss_reaches_every_weight_of_the_generator(weight):
    gan = build("ebgan", pulling_away_weight=weight)
    before = snapshot(gan.generator)
    logs = gan.generator_step(BATCH)
    for variable, old in zip(gan.generator.variables, before, strict=True):
        assert np.isfinite(variable.numpy()).all() and not np.array_equal(variable.numpy(), old), variable.path
    assert 0 < float(logs["pulling_away"]) <= 1


def test_ebgan_pushes_generated_images_up_to_the_margin_only():
    networks = build("ebgan")
    fake, labels = generated(networks)
    energies = np.mean((fake - feed(networks.discriminator, fake, None)["reconstruction"]) ** 2, axis=(1, 2, 3))
    real = np.mean((real_images() - feed(networks.discriminator, real_images(), None)["reconstruction"]) ** 2)
    below, between, above = energies.min() / 2, (energies.min() + energies.max()) / 2, 2 * energies.max()
    assert 0 < below < between < above
    for margin in (below, between, above):
        gan = build("ebgan", margin=float(margin))
        with tf.GradientTape() as tape:
            tape.watch(fake)
            loss = gan.discriminator_loss(real_images(), None, fake, labels, 0)[0]
        assert float(loss) == pytest.approx(real + np.maximum(0, margin - energies).mean(), rel=1e-5)
        pushed = np.abs(tape.gradient(loss, fake)).max() > 0
        assert pushed == (margin > below)


def test_ebgan_above_the_margin_the_discriminator_learns_from_real_images_alone():
    gan, by_hand = (build("ebgan", margin=1e-6) for _ in range(2))
    before = snapshot(gan.discriminator)
    gan.discriminator_step(real_images())
    discriminator_update(
        by_hand, lambda d, x, y, g, c, key: mean((d(x, y)["reconstruction"] - x) ** 2) + 0 * mean(d(g, c)["code"])
    )
    assert_same_update(gan.discriminator, by_hand.discriminator, before)
