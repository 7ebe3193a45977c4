"""Each variant's two updates against its paper's formulas, which stand in `papers.py`."""

import numpy as np
import pytest
from papers import (
    CROSS_ENTROPY,
    HINGE,
    assert_same_update,
    began,
    cross_entropy,
    discriminator_update,
    dragan,
    ebgan,
    generator_update,
    hinge,
    least_squares,
    minimax,
    minus,
    minus_log_sigmoid,
    minus_score,
    on_logits,
    r1,
    reacgan,
    relativistic,
    wasserstein,
    wgan_gp,
    with_classes,
)
from small_gans import BATCH, REAL_LABELS, build, compared, feed, generated, real_images, snapshot, unmoved

pytestmark = pytest.mark.usefixtures("short_warm_up")

# case: variant, options of the networks, options of training, formulas of both losses
CASES = {
    "lsgan": ("lsgan", {}, {}, least_squares(a=0, b=1, c=1)),
    "lsgan-pearson": ("lsgan", {}, {"loss": "least_squares_pearson"}, least_squares(a=-1, b=1, c=0)),
    "wgan": ("wgan", {}, {"clip": 0.4}, (wasserstein, minus_score)),
    "wgan_gp": ("wgan_gp", {}, {}, wgan_gp(10)),
    "wgan_gp-layer": ("wgan_gp", {"normalization": "layer"}, {"penalty_weight": 2.0}, wgan_gp(2)),
    "dragan": ("dragan", {}, {}, dragan(10)),
    "dragan-layer": ("dragan", {"normalization": "layer"}, {"penalty_weight": 2.0}, dragan(2)),
    "r1": ("r1", {}, {}, r1(10)),
    "r1-layer": ("r1", {"normalization": "layer"}, {"penalty_weight": 2.0}, r1(2)),
    "rpgan": ("rpgan", {}, {}, relativistic(1)),
    "rpgan-layer": ("rpgan", {"normalization": "layer"}, {"penalty_weight": 3.0}, relativistic(3)),
    "r3gan": ("r3gan", {}, {}, relativistic(0.05)),
    "r3gan-strong": ("r3gan", {}, {"penalty_weight": 2.0}, relativistic(2)),
    "sngan": ("sngan", {}, {}, (hinge, minus_score)),
    "sngan-resnet": ("sngan", {"architecture": "resnet", "spectral_generator": True}, {}, (hinge, minus_score)),
    "sngan-strided": ("sngan", {"architecture": "strided"}, {"loss": "minimax"}, (cross_entropy, minimax)),
    "ebgan": ("ebgan", {}, {"margin": 5.0, "pulling_away_weight": 0.3}, ebgan(5.0, 0.3)),
    "began": ("began", {}, {}, began(0.7)),
    "acgan": ("acgan", {"dropout": 0.0}, {}, with_classes(CROSS_ENTROPY, minus_log_sigmoid)),
    "vtgan": ("vtgan", {}, {"label_smoothing": 0.2}, with_classes(CROSS_ENTROPY, minus_log_sigmoid, 0.2)),
    "reacgan": ("reacgan", {"attention": False}, {}, reacgan(0.5, 0.98, 0.02, 0.5)),
    "reacgan-other": (
        "reacgan",
        {"attention": False, "embedding_dim": 6},
        {"class_weight": 2.0, "positive_margin": 0.3, "negative_margin": -0.2, "temperature": 0.3},
        reacgan(2.0, 0.3, -0.2, 0.3),
    ),
    "cgan-projection": ("cgan", {}, {}, on_logits(hinge, minus_score)),
    "cgan-auxiliary": ("cgan", {"discriminator_conditioning": "auxiliary"}, {}, with_classes(HINGE, minus)),
    "cgan-concat": ("cgan", {"discriminator_conditioning": "concat"}, {}, on_logits(hinge, minus_score)),
    "cgan-hidden_concat": (
        "cgan",
        {"discriminator_conditioning": "hidden_concat", "normalization": "spectral"},
        {},
        on_logits(hinge, minus_score),
    ),
    "sagan": ("sagan", {}, {}, (hinge, minus_score)),
    "biggan": ("biggan", {}, {}, (hinge, minus_score)),
}  # fmt: skip


def built_case(case):
    name, networks, options, _ = CASES[case]
    gan = build(name, networks, **options)
    if name == "began":
        gan.k.assign(0.7)
    if gan.adversarial_loss == "hinge":
        between_the_margins(gan)
    return gan


def between_the_margins(gan):
    """Move the logits to both sides of zero, where either half of the hinge counts."""

    def logits():
        fake, labels = generated(gan)
        outputs = [feed(gan.discriminator, *given) for given in ((real_images(), REAL_LABELS), (fake, labels))]
        return [np.asarray(output["logits"] if isinstance(output, dict) else output) for output in outputs]

    last = {v.path.rpartition("/")[2]: v for v in gan.discriminator.trainable_variables if v.shape[-1:] == (1,)}
    last["bias"].assign(last["bias"] - np.mean(logits()))
    real, fake = logits()
    if real.min() >= 1:  # told apart so well that nothing is left to descend: let it take each for the other
        last["kernel"].assign(-last["kernel"])
        last["bias"].assign(-last["bias"])
        real, fake = logits()
    assert real.min() < 1 and fake.max() > -1


@pytest.mark.parametrize(
    ("case", "index"), [*((case, 0) for case in CASES), ("wgan", 1), ("wgan_gp", 1), ("dragan", 1), ("acgan", 1)]
)
def test_discriminator_step_is_the_papers(case, index):
    gan, by_hand = built_case(case), built_case(case)
    generator, discriminator = snapshot(gan.generator), snapshot(gan.discriminator)
    logs = gan.discriminator_step(real_images(), REAL_LABELS, index)
    loss, norm = discriminator_update(by_hand, CASES[case][3][0], index)
    if case == "wgan":
        gan.clip_weights()
        for variable in by_hand.discriminator.trainable_variables:
            variable.assign(np.clip(variable.numpy(), -0.4, 0.4))
    assert float(logs["d_loss"]) == pytest.approx(loss, rel=1e-5, abs=1e-6)
    assert float(logs["d_gradient_norm"]) == pytest.approx(norm, rel=1e-4)
    assert_same_update(gan.discriminator, by_hand.discriminator, discriminator)
    assert unmoved(gan.generator, generator)


@pytest.mark.parametrize("case", CASES)
def test_generator_step_is_the_papers(case):
    gan, by_hand = built_case(case), built_case(case)
    generator, discriminator = snapshot(gan.generator), snapshot(gan.discriminator)
    logs = gan.generator_step(BATCH, *compared(gan))
    loss, norm = generator_update(by_hand, CASES[case][3][1])
    assert float(logs["g_loss"]) == pytest.approx(loss, rel=1e-5, abs=1e-6)
    assert float(logs["g_gradient_norm"]) == pytest.approx(norm, rel=1e-4)
    assert_same_update(gan.generator, by_hand.generator, generator)
    assert unmoved(gan.discriminator, discriminator)


@pytest.mark.parametrize(
    "case",
    ["lsgan", "wgan", "wgan_gp", "r1", "rpgan", "sngan", "ebgan", "began", "acgan", "reacgan", "cgan-projection"],
)
def test_log_of_what_the_discriminator_says(case):
    """Probabilities for cross-entropy and hinge, scores for least squares and critics, energies for autoencoders."""
    gan = built_case(case)
    fake, labels = generated(gan)
    logs = gan.discriminator_loss(real_images(), REAL_LABELS, fake, labels, 0)[1]
    for name, images, classes in (("d_real", real_images(), REAL_LABELS), ("d_fake", fake, labels)):
        outputs = feed(gan.discriminator, images, classes)
        if case == "ebgan":
            expected = np.mean((outputs["reconstruction"] - images) ** 2)
        elif case == "began":
            expected = np.mean(np.abs(outputs - images))
        else:
            scores = np.asarray(outputs["logits"] if isinstance(outputs, dict) else outputs)
            expected = (
                scores.mean() if case.startswith(("wgan", "lsgan", "rpgan")) else np.mean(1 / (1 + np.exp(-scores)))
            )
        assert float(logs[name]) == pytest.approx(expected, rel=1e-5, abs=1e-6)
