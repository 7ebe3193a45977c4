"""Variants that are told classes: all of them need labels, and heed them."""

import numpy as np
import pytest
import tensorflow as tf
from papers import class_term
from small_gans import CLASSES, CONDITIONAL, LATENTS, REAL_LABELS, build, feed, generated, pair, real_images

from models_zoo import VARIANTS, load_variant

pytestmark = pytest.mark.usefixtures("short_warm_up")


@pytest.mark.parametrize("real", [True, False])
def test_acgan_classifies_real_and_generated_images(real):
    """Other labels of one batch change the loss by the change of that batch's cross-entropy."""
    gan = build("acgan", {"dropout": 0.0})
    fake, labels = generated(gan)
    images, classes = (real_images(), REAL_LABELS) if real else (fake, labels)
    others = (classes + 2) % CLASSES
    arguments = [real_images(), others, fake, labels, 0] if real else [real_images(), REAL_LABELS, fake, others, 0]
    before = float(gan.discriminator_loss(real_images(), REAL_LABELS, fake, labels, 0)[0])
    change = float(gan.discriminator_loss(*arguments)[0]) - before
    logits = feed(gan.discriminator, images, None)["class_logits"]
    expected = float(class_term(logits, others) - class_term(logits, classes))
    assert abs(expected) > 1e-2
    assert change == pytest.approx(expected, rel=1e-4, abs=1e-5)


CONDITIONED = [(name, {}) for name in ("r3gan", "acgan", "vtgan", "reacgan", "sagan", "biggan")] + [
    ("cgan", {"generator_conditioning": way}) for way in ("cbn_embedding", "cbn_linear", "concat", "hidden_concat")
]


@pytest.mark.parametrize(("name", "networks"), CONDITIONED)
def test_each_label_gives_images_of_its_own(name, networks):
    gan = build(name, networks)
    latents = tf.random.stateless_normal([2, LATENTS], [0, 1])
    images = [gan([latents, tf.constant([label, 0])]).numpy() for label in range(CLASSES)]
    for label in range(1, CLASSES):
        assert np.abs(images[label][0] - images[0][0]).max() > 1e-2
        np.testing.assert_array_equal(images[label][1], images[0][1])


@pytest.mark.parametrize("name", CONDITIONAL)
def test_conditional_variants_want_labels_and_classes(name):
    networks = pair(name)
    for num_classes in (None, 1):
        with pytest.raises(ValueError, match=f"needs two classes or more. Received: num_classes={num_classes}"):
            load_variant(name)(*networks, num_classes=num_classes)
    gan = load_variant(name)(*networks, num_classes=CLASSES)
    with pytest.raises(ValueError, match=r"batches must be \(images, labels\). Received: images only"):
        gan.train_step(real_images())


def test_the_others_take_batches_with_and_without_labels():
    assert {name for name in VARIANTS if load_variant(name).conditional} == set(CONDITIONAL)
    one, other = build("lsgan"), build("lsgan")
    logs, others = one.train_step(real_images()), other.train_step((real_images(), REAL_LABELS))
    assert {k: float(v) for k, v in logs.items()} == {k: float(v) for k, v in others.items()}
