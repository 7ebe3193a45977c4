"""Each variant against its paper's formulas, written out here once more, and each of its options.

Losses, penalties, layers and augmentations have tests of their own; here it is what the variants make of them.
"""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models_zoo import VARIANTS, load_variant, randomness
from models_zoo.augmentation import AUGMENTATIONS
from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.minibatch_discrimination import MinibatchDiscrimination
from models_zoo.self_attention import SelfAttention
from models_zoo.spectral_normalization import SpectralNormalization

SIZE, BATCH, CLASSES, LATENTS, WIDTH = 16, 4, 5, 12, 0.05
SEED, STEP = 11, 3
RATE = 0.5
REAL_LABELS = tf.constant([0, 3, 1, 4])
CONDITIONAL = ("acgan", "vtgan", "cgan", "sagan", "biggan")


def real_images(size=SIZE, count=BATCH):
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)), tf.float32)


def pair(name, size=SIZE, **options):
    keras.utils.set_random_seed(0)
    return load_variant(name).networks(size, 3, LATENTS, WIDTH, CLASSES, **options)


def build(name, networks=None, size=SIZE, rate=RATE, stir=True, **options):
    """A variant at some step, with weights that look trained: small initial ones would make every step small."""
    gan = load_variant(name)(*pair(name, size, **(networks or {})), num_classes=CLASSES, seed=SEED, **options)
    if stir:
        stirred(gan.generator, 1)
        stirred(gan.discriminator, 2)
        gan.ema_generator.set_weights(gan.generator.get_weights())
    gan.step.assign(STEP)
    gan.compile(keras.optimizers.SGD(rate, name="g"), keras.optimizers.SGD(rate, name="d"))
    return gan


def stirred(network, seed):
    rng = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        value = variable.numpy()
        if value.ndim < 2:
            variable.assign(value + rng.uniform(0.1, 0.5, value.shape))
        elif variable.path.endswith("embeddings"):
            variable.assign(value + 0.3 * rng.standard_normal(value.shape))
        else:
            variable.assign(rng.standard_normal(value.shape) * np.sqrt(2 / np.prod(value.shape[:-1])))
    for layer in spectral_layers(network):
        power_iteration(layer, 3)


def everything_in(network):
    """All layers, those inside of other layers too."""
    return [layer for layer in network._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]


def spectral_layers(network):
    return [layer for layer in everything_in(network) if isinstance(layer, SpectralNormalization)]


def matrix_of(layer, kernel=None):
    """The kernel of a spectral normalization, or another one of its shape, with one row per output channel."""
    inner = layer.layer
    kernel = (
        np.asarray(inner.embeddings if isinstance(inner, layers.Embedding) else inner.kernel)
        if kernel is None
        else kernel
    )
    kernel = np.moveaxis(kernel, -2 if isinstance(inner, layers.Conv2DTranspose) else -1, 0)
    return kernel.reshape(len(kernel), -1).astype(np.float64)


def power_iteration(layer, iterations=1):
    """Algorithm 1 of Miyato et al. (2018)."""
    w, u = matrix_of(layer), layer.vector.numpy().astype(np.float64)
    for _ in range(iterations):
        v = w.T @ u / np.linalg.norm(w.T @ u)
        u = w @ v / np.linalg.norm(w @ v)
    layer.vector.assign(u)


def snapshot(network):
    return [variable.numpy().copy() for variable in network.variables]


def unmoved(network, before):
    return all(np.array_equal(v.numpy(), old) for v, old in zip(network.variables, before, strict=True))


def feed(network, first, labels):
    return network([first, labels] if len(network.inputs) == 2 else first, training=True)


def draws(latents_use, labels_use, index=0):
    latents = randomness.normal([BATCH, LATENTS], randomness.key(SEED, STEP, latents_use, index))
    return latents, randomness.labels(BATCH, CLASSES, randomness.key(SEED, STEP, labels_use, index))


def generated(gan, index=0):
    """The generated images of a discriminator update, and their labels."""
    latents, labels = draws(randomness.DISCRIMINATOR_LATENTS, randomness.DISCRIMINATOR_LABELS, index)
    return feed(gan.generator, latents, labels), labels


# The papers' formulas. A discriminator's takes d(images, labels), real images and labels, generated images and labels,
# and the key of the penalty's noise; a generator's takes d, generated images and labels.

mean = tf.reduce_mean


def two_terms(of_real, of_fake):
    return lambda d, x, y, g, c, key: mean(of_real(d(x, y))) + mean(of_fake(d(g, c)))


def one_term(of_fake):
    return lambda d, g, c: mean(of_fake(d(g, c)))


def class_term(logits, labels, smoothing=0.0):
    """-sum_k t_k log P(C = k), t as in section 3.7 of Sridhar (2019)."""
    targets = np.full(logits.shape, smoothing / CLASSES)
    targets[np.arange(len(targets)), np.asarray(labels)] = 1 - (CLASSES - 1) / CLASSES * smoothing
    return -mean(tf.reduce_sum(tf.constant(targets, tf.float32) * tf.math.log(tf.nn.softmax(logits)), axis=1))


def input_gradient_norms(d, images, labels):
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = d(images, labels)
    return tf.sqrt(tf.reduce_sum(tape.gradient(score, images) ** 2, axis=(1, 2, 3)))


def uniform(shape, key, use=None):
    key = key if use is None else tf.random.experimental.stateless_fold_in(key, use, alg="philox")
    return tf.random.stateless_uniform(shape, key, alg="philox")


def minus(a):
    return -a


def minus_log_sigmoid(a):
    return -tf.math.log(tf.sigmoid(a))


CROSS_ENTROPY = minus_log_sigmoid, lambda a: -tf.math.log(1 - tf.sigmoid(a))
HINGE = (lambda a: tf.maximum(0.0, 1 - a)), (lambda a: tf.maximum(0.0, 1 + a))
cross_entropy, non_saturating = two_terms(*CROSS_ENTROPY), one_term(minus_log_sigmoid)
minimax = one_term(lambda a: tf.math.log(1 - tf.sigmoid(a)))
hinge, wasserstein, minus_score = two_terms(*HINGE), two_terms(minus, lambda a: a), one_term(minus)


def least_squares(a, b, c):
    return two_terms(lambda s: (s - b) ** 2 / 2, lambda s: (s - a) ** 2 / 2), one_term(lambda s: (s - c) ** 2 / 2)


def wgan_gp(weight):
    def discriminator(d, x, y, g, c, key):
        epsilon = uniform([BATCH, 1, 1, 1], key)
        norms = input_gradient_norms(d, epsilon * x + (1 - epsilon) * g, y)
        return wasserstein(d, x, y, g, c, key) + weight * mean((norms - 1) ** 2)

    return discriminator, minus_score


def dragan(weight):
    def discriminator(d, x, y, g, c, key):
        noisy = x + 0.5 * np.std(x.numpy()) * uniform(x.shape, key, use=1)
        near = x + uniform([BATCH, 1, 1, 1], key, use=2) * (noisy - x)
        return cross_entropy(d, x, y, g, c, key) + weight * mean((input_gradient_norms(d, near, y) - 1) ** 2)

    return discriminator, non_saturating


def r1(weight):
    def discriminator(d, x, y, g, c, key):
        return cross_entropy(d, x, y, g, c, key) + weight / 2 * mean(input_gradient_norms(d, x, y) ** 2)

    return discriminator, non_saturating


def ebgan(margin, weight):
    def energy(x, outputs):
        return mean((outputs["reconstruction"] - x) ** 2, axis=(1, 2, 3))

    def discriminator(d, x, y, g, c, key):
        return mean(energy(x, d(x, y))) + mean(tf.maximum(0.0, margin - energy(g, d(g, c))))

    def generator(d, g, c):
        outputs = d(g, c)
        s = [outputs["code"][i] for i in range(BATCH)]
        cosines = [
            tf.reduce_sum(s[i] * s[j]) / (tf.norm(s[i]) * tf.norm(s[j]))
            for i in range(BATCH) for j in range(BATCH) if i != j
        ]  # fmt: skip
        return mean(energy(g, outputs)) + weight * sum(c**2 for c in cosines) / (BATCH * (BATCH - 1))

    return discriminator, generator


def began(k):
    def loss(d, x, y):
        return mean(tf.abs(x - d(x, y)))

    return lambda d, x, y, g, c, key: loss(d, x, y) - k * loss(d, g, c), loss


def with_classes(terms, of_generator, smoothing=0.0):
    """L_S and L_C of Odena et al. (2017), from one call of d for each batch."""

    def discriminator(d, x, y, g, c, key):
        real, fake = d(x, y), d(g, c)
        source = mean(terms[0](real["logits"])) + mean(terms[1](fake["logits"]))
        classes = class_term(real["class_logits"], y, smoothing) + class_term(fake["class_logits"], c, smoothing)
        return source + classes

    def generator(d, g, c):
        outputs = d(g, c)
        return mean(of_generator(outputs["logits"])) + class_term(outputs["class_logits"], c)

    return discriminator, generator


def on_logits(source, of_generator):
    return (
        lambda d, *arguments: source(lambda images, labels: d(images, labels)["logits"], *arguments),
        lambda d, *arguments: of_generator(lambda images, labels: d(images, labels)["logits"], *arguments),
    )


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
    "sngan": ("sngan", {}, {}, (hinge, minus_score)),
    "sngan-resnet": ("sngan", {"architecture": "resnet", "spectral_generator": True}, {}, (hinge, minus_score)),
    "sngan-strided": ("sngan", {"architecture": "strided"}, {"loss": "minimax"}, (cross_entropy, minimax)),
    "ebgan": ("ebgan", {}, {"margin": 5.0, "pulling_away_weight": 0.3}, ebgan(5.0, 0.3)),
    "began": ("began", {}, {}, began(0.7)),
    "acgan": ("acgan", {"dropout": 0.0}, {}, with_classes(CROSS_ENTROPY, minus_log_sigmoid)),
    "vtgan": ("vtgan", {}, {"label_smoothing": 0.2}, with_classes(CROSS_ENTROPY, minus_log_sigmoid, 0.2)),
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

    (bias,) = [v for v in gan.discriminator.trainable_variables if v.path.endswith("/bias") and v.shape == (1,)]
    bias.assign(bias - np.mean(logits()))
    real, fake = logits()
    assert real.min() < 1 and fake.max() > -1


def images_as_they_are(images, use, index=0):
    return images


def discriminator_update(gan, formula, index=0, seen=images_as_they_are):
    """One descent of a discriminator along a formula; its value and the norm of its gradient."""
    for layer in spectral_layers(gan.discriminator):
        power_iteration(layer)
    fake, fake_labels = generated(gan, index)
    real = seen(real_images(), randomness.AUGMENT_REAL, index)
    fake = seen(fake, randomness.AUGMENT_FAKE, index)
    key = randomness.key(SEED, STEP, randomness.PENALTY, index)
    with tf.GradientTape() as tape:
        loss = formula(functools.partial(feed, gan.discriminator), real, REAL_LABELS, fake, fake_labels, key)
    return float(loss), descend(tape, loss, gan.discriminator)


def generator_update(gan, formula, seen=images_as_they_are):
    for layer in spectral_layers(gan.generator):
        power_iteration(layer)
    latents, labels = draws(randomness.GENERATOR_LATENTS, randomness.GENERATOR_LABELS)
    with tf.GradientTape() as tape:
        fake = seen(feed(gan.generator, latents, labels), randomness.AUGMENT_GENERATED)
        loss = formula(functools.partial(feed, gan.discriminator), fake, labels)
    return float(loss), descend(tape, loss, gan.generator)


def descend(tape, loss, network):
    variables = [variable.value for variable in network.trainable_variables]
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
    for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign_sub(RATE * gradient)
    return np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients))


def assert_same_update(network, by_hand, before):
    """All variables agree, and every kernel moved much further than they may differ."""
    for ours, theirs, old in zip(network.variables, by_hand.variables, before, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-5, atol=2e-6, err_msg=ours.path)
        if ours.trainable and old.ndim > 1:
            assert np.abs(ours.numpy() - old).max() > 1e-4, ours.path


@pytest.mark.parametrize(
    ("case", "index"), [*((case, 0) for case in CASES), ("wgan", 1), ("wgan_gp", 1), ("dragan", 1), ("acgan", 1)]
)
def test_discriminator_step_is_the_papers(case, index):
    gan, by_hand = built_case(case), built_case(case)
    generator, discriminator = snapshot(gan.generator), snapshot(gan.discriminator)
    logs = gan.discriminator_step(real_images(), REAL_LABELS, index)
    loss, norm = discriminator_update(by_hand, CASES[case][3][0], index)
    if case == "wgan":
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
    logs = gan.generator_step(BATCH)
    loss, norm = generator_update(by_hand, CASES[case][3][1])
    assert float(logs["g_loss"]) == pytest.approx(loss, rel=1e-5, abs=1e-6)
    assert float(logs["g_gradient_norm"]) == pytest.approx(norm, rel=1e-4)
    assert_same_update(gan.generator, by_hand.generator, generator)
    assert unmoved(gan.discriminator, discriminator)


@pytest.mark.parametrize(
    "case", ["lsgan", "wgan", "wgan_gp", "r1", "sngan", "ebgan", "began", "acgan", "cgan-projection"]
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
            expected = scores.mean() if case.startswith(("wgan", "lsgan")) else np.mean(1 / (1 + np.exp(-scores)))
        assert float(logs[name]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


# WGAN


@pytest.mark.parametrize("clip", [0.01, 0.2])
def test_wgan_clips_the_critic_after_each_update_and_nothing_else(clip):
    gan = build("wgan", rate=100.0, discriminator_steps=2, clip=clip)
    bound, largest, originals = np.float32(clip), [], gan.discriminator_step

    def step(images, labels, index):
        logs = originals(images, labels, index)
        largest.append([np.abs(v.numpy()).max() for v in gan.discriminator.trainable_variables])
        return logs

    gan.discriminator_step = step
    gan.train_step(real_images(count=2 * BATCH))
    assert len(largest) == 2, "one look after the first critic update, one after the second"
    for values in largest:
        assert max(values) == bound
    statistics = [v for v in gan.discriminator.non_trainable_variables if "moving_variance" in v.path]
    assert all(v.numpy().max() > clip for v in statistics)
    assert all(np.abs(v.numpy()).max() > clip for v in gan.generator.trainable_variables)


def test_wgan_clips_to_a_hundredth_unless_told():
    gan = build("wgan", rate=100.0)
    gan.discriminator_step(real_images())
    assert max(np.abs(v.numpy()).max() for v in gan.discriminator.trainable_variables) == np.float32(0.01)


# BEGAN


def test_began_balance_by_hand():
    """k_{t+1} = k_t + lambda_k (gamma L(x) - L(G)) in [0, 1], M = L(x) + |gamma L(x) - L(G)|: sections 3.4, 3.5."""
    gan = build("began", gamma=0.5, lambda_k=0.1)
    worked = [  # L(x), L(G), k, M
        (1.0, 0.1, 0.04, 1.4),  # 0 + 0.1 * 0.4
        (2.0, 0.2, 0.12, 2.8),  # 0.04 + 0.1 * 0.8
        (20.0, 1.0, 1.0, 29.0),  # 0.12 + 0.1 * 9 = 1.02, too much
        (0.2, 3.1, 0.7, 3.2),  # 1 - 0.1 * 3
        (0.0, 9.0, 0.0, 9.0),  # 0.7 - 0.1 * 9 = -0.2, too little
        (0.6, 0.3, 0.0, 0.6),  # in balance
    ]
    for real_loss, fake_loss, k, convergence in worked:
        logs = gan.balance(tf.constant(real_loss), tf.constant(fake_loss))
        assert float(logs["k"]) == float(gan.k.numpy()) == pytest.approx(k, abs=1e-6)
        assert float(logs["convergence"]) == pytest.approx(convergence, abs=1e-5)


def test_began_gamma_and_lambda_by_default_and_k_in_the_state():
    gan = build("began")
    assert (gan.gamma, gan.lambda_k) == (0.5, 0.001)
    assert gan.state()["training/k"] is gan.k and float(gan.k.numpy()) == 0
    gan.balance(tf.constant(4.0), tf.constant(1.0))
    assert float(gan.k.numpy()) == pytest.approx(0.001 * (0.5 * 4 - 1), rel=1e-5)


def test_began_k_weighs_the_generated_images_in_the_discriminators_loss():
    gan = build("began")
    fake, labels = generated(gan)
    real_loss, fake_loss = (np.abs(x - feed(gan.discriminator, x, None)).mean() for x in (real_images(), fake))
    for k in (0.0, 0.7, 1.0):
        gan.k.assign(k)
        loss = float(gan.discriminator_loss(real_images(), None, fake, labels, 0)[0])
        assert loss == pytest.approx(real_loss - k * fake_loss, rel=1e-5)
    assert fake_loss > 0.1


def test_began_k_follows_the_losses_of_the_step():
    gan = build("began", gamma=0.4, lambda_k=0.1)
    gan.k.assign(0.5)
    logs = {name: float(value) for name, value in gan.train_step(real_images()).items()}
    difference = 0.4 * logs["d_real"] - logs["g_loss"]
    assert logs["k"] == float(gan.k.numpy()) == pytest.approx(0.5 + 0.1 * difference, rel=1e-5)
    assert logs["convergence"] == pytest.approx(logs["d_real"] + abs(difference), rel=1e-5)
    assert logs["d_loss"] == pytest.approx(logs["d_real"] - 0.5 * logs["d_fake"], rel=1e-5), "k of before the step"
    assert abs(difference) > 0.01


# EBGAN


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


# VT-GAN


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_vtgan_smooths_the_classes_for_the_discriminator_only(smoothing):
    gan = build("vtgan", label_smoothing=smoothing)
    fake, labels = generated(gan)
    logs = gan.discriminator_loss(real_images(), REAL_LABELS, fake, labels, 0)[1]
    of_fake = None
    for name, images, classes in (("d_class_real", real_images(), REAL_LABELS), ("d_class_fake", fake, labels)):
        of_fake = feed(gan.discriminator, images, None)["class_logits"].numpy().astype(np.float64)
        log_probabilities = of_fake - np.log(np.exp(of_fake).sum(axis=1, keepdims=True))
        targets = np.full((BATCH, CLASSES), smoothing / CLASSES)
        targets[np.arange(BATCH), classes.numpy()] = 1 - (CLASSES - 1) / CLASSES * smoothing
        assert float(logs[name]) == pytest.approx(-(targets * log_probabilities).sum(axis=1).mean(), rel=1e-5)
    plain = -log_probabilities[np.arange(BATCH), labels.numpy()].mean()
    assert float(gan.generator_loss(fake, labels)[1]["g_class"]) == pytest.approx(plain, rel=1e-5)
    assert smoothing == 0 or abs(float(logs["d_class_fake"]) - plain) > 1e-3


def test_vtgan_has_thirty_kernels_of_minibatch_discrimination_unless_told():
    def kernels(**options):
        found = [x for x in everything_in(pair("vtgan", **options)[1]) if isinstance(x, MinibatchDiscrimination)]
        return [tuple(layer.kernel.shape[1:]) for layer in found]

    assert kernels() == [(30, 3)]
    assert kernels(minibatch_kernels=7, minibatch_dim=2) == [(7, 2)]
    assert kernels(minibatch_kernels=0) == []


@pytest.mark.parametrize("kernels", [30, 0])
def test_vtgan_looks_at_the_batch_and_only_through_minibatch_discrimination(kernels):
    discriminator = build("vtgan", {"minibatch_kernels": kernels}).discriminator
    images = real_images().numpy()
    others = np.concatenate([images[:1], -images[1:]])
    one, other = (discriminator(x, training=False)["logits"].numpy()[0, 0] for x in (images, others))
    assert (abs(one - other) > 1e-4) == (kernels > 0)


def test_vtgan_feeds_real_and_generated_images_as_two_batches():
    gan = build("vtgan")
    fake, labels = generated(gan)
    one = gan.discriminator_loss(real_images(), REAL_LABELS, fake, labels, 0)[1]
    other = gan.discriminator_loss(real_images(), REAL_LABELS, -fake, labels, 0)[1]
    for name in ("d_real", "d_class_real"):
        assert float(one[name]) == float(other[name])
    for name in ("d_fake", "d_class_fake"):
        assert float(one[name]) != float(other[name])


@pytest.mark.parametrize("name", ["vtgan", "began"])
def test_latents_are_uniform_where_the_paper_has_them_so(name):
    """Kolmogorov and Smirnov at the level of 1 %: 1.63 / sqrt(n)."""
    layer = pair(name)[0].get_layer("uniform")
    normal = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)

    def distance(values):
        values, n = np.sort(values), len(values)
        at = np.clip((values + 1) / 2, 0, 1)  # the distribution function of U[-1, 1]
        return max((np.arange(1, n + 1) / n - at).max(), (at - np.arange(n) / n).max())

    uniform_values = layer(normal[:, None]).numpy()[:, 0]
    assert np.abs(uniform_values).max() <= 1
    assert distance(uniform_values) < 1.63 / np.sqrt(20_000) < distance(normal)


def test_vtgan_normalizes_after_the_activation():
    generator, discriminator = pair("vtgan", size=32)

    def after(network, layer):
        outputs = network.get_layer(layer).output
        return [x.name for x in network.layers if x.input is outputs]

    for i in range(3):
        assert after(generator, f"deconv_{i}") == [f"lrelu_{i}"] and after(generator, f"lrelu_{i}") == [f"norm_{i}"]
    for i in range(6):
        assert after(discriminator, f"conv_{i}") == [f"lrelu_{i}"]
    assert after(discriminator, "lrelu_0") == ["conv_1"] and after(discriminator, "lrelu_5") == ["flatten"]
    for i in range(1, 5):
        assert after(discriminator, f"lrelu_{i}") == [f"norm_{i}"]


# Conditional variants


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


CONDITIONED = [(name, {}) for name in ("acgan", "vtgan", "sagan", "biggan")] + [
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


# SAGAN and BigGAN


def bare_and_wrapped(network):
    """Names of the layers with a kernel or table, by whether a spectral normalization stands around them."""
    wrapped = [layer.layer for layer in spectral_layers(network)]
    kinds = (layers.Conv2D, layers.Conv2DTranspose, layers.Dense, layers.Embedding)
    bare = [x for x in everything_in(network) if isinstance(x, kinds) and not any(x is w for w in wrapped)]
    return bare, wrapped


@pytest.mark.parametrize("name", ["sagan", "biggan"])
def test_spectral_normalization_is_everywhere_but_in_the_generators_tables(name):
    generator, discriminator = pair(name, size=32, attention=True)
    bare, wrapped = bare_and_wrapped(discriminator)
    assert not bare
    # four blocks of two convolutions, two shortcuts; attention; the two heads of the projection
    assert len(wrapped) == 4 * 2 + 2 + 4 + 2
    assert any(isinstance(layer, layers.Embedding) for layer in wrapped)
    bare, wrapped = bare_and_wrapped(generator)
    assert bare and all(isinstance(layer, layers.Embedding) for layer in bare)
    # dense, three blocks of two convolutions and a shortcut, one to the image; attention; W_g and W_b of six norms
    assert len(wrapped) == 1 + 3 * 3 + 1 + 4 + (12 if name == "biggan" else 0)


@pytest.mark.parametrize(("size", "side"), [(28, 14), (32, 16), (64, 32), (108, 27)])
def test_sagan_attends_at_the_largest_map_of_at_most_32_pixels(size, side, monkeypatch):
    monkeypatch.setattr(SpectralNormalization, "WARM_UP", 1)
    for network in pair("sagan", size=size):
        found = [layer for layer in everything_in(network) if isinstance(layer, SelfAttention)]
        assert [layer.output.shape[1:3] for layer in found] == [(side, side)]
        assert float(found[0].gamma.numpy()) == 0
    for network in pair("sagan", size=size, attention=False):
        assert not any(isinstance(layer, SelfAttention) for layer in everything_in(network))


def test_sagans_generator_looks_up_gains_and_biases_by_class():
    norms = [x for x in everything_in(pair("sagan")[0]) if isinstance(x, ConditionalBatchNormalization)]
    assert len(norms) == 2 * 2 and all(norm.num_classes == CLASSES for norm in norms)


def test_biggans_norms_share_one_embedding_and_have_latents_of_their_own():
    """At 32x32 three blocks: the first quarter of the latents is for the dense layer, each other for one block."""
    generator = build("biggan", size=32).generator
    norms = [x for x in everything_in(generator) if isinstance(x, ConditionalBatchNormalization)]
    assert [norm.name for norm in norms] == [f"block_{i}_norm_{j}" for i in range(3) for j in range(2)]
    conditions = [generator.get_layer(f"condition_{i}").output for i in range(3)]
    for norm in norms:
        assert norm.num_classes is None and norm.input[1] is conditions[int(norm.name[6])]

    seen = keras.Model(generator.inputs, [generator.get_layer("reshape").output, *conditions])
    latents, labels = np.random.default_rng(0).standard_normal((BATCH, LATENTS)).astype(np.float32), REAL_LABELS.numpy()
    first, *of_blocks = (x.numpy() for x in seen([latents, labels]))
    part = LATENTS // 4
    table = generator.get_layer("class_embedding").embeddings.numpy()
    for i, condition in enumerate(of_blocks):
        own = latents[:, (i + 1) * part : (i + 2) * part]
        np.testing.assert_array_equal(condition, np.concatenate([table[labels], own], axis=1))
    assert table.shape == (CLASSES, 128)
    for chunk in range(4):
        changed = latents.copy()
        changed[:, chunk * part : (chunk + 1) * part] += 1
        now = seen([changed, labels])
        moved = [not np.array_equal(x.numpy(), y) for x, y in zip(now, [first, *of_blocks], strict=True)]
        assert moved == [i == chunk for i in range(4)]
        assert not np.allclose(generator([changed, labels]), generator([latents, labels]), atol=1e-3)


def test_biggan_begins_with_orthogonal_kernels():
    for network, count in zip(pair("biggan"), (1 + 2 * 3 + 1 + 2 * 4, 3 * 2 + 1), strict=True):
        kernels = [v for v in network.trainable_variables if v.path.endswith("/kernel") and "logits" not in v.path]
        assert len(kernels) == count
        for variable in kernels:
            matrix = variable.numpy().reshape(-1, variable.shape[-1]).astype(np.float64)
            gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
            np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5, err_msg=variable.path)


# Conditional GAN


@pytest.mark.parametrize("of_discriminator", ["projection", "auxiliary", "concat", "hidden_concat"])
@pytest.mark.parametrize("of_generator", ["cbn_embedding", "cbn_linear", "concat", "hidden_concat"])
def test_cgan_every_combination_takes_a_step(of_generator, of_discriminator):
    networks = {"generator_conditioning": of_generator, "discriminator_conditioning": of_discriminator}
    gan = build("cgan", networks, size=32, rate=0.01)
    generator, discriminator = snapshot(gan.generator), snapshot(gan.discriminator)
    logs = gan.train_step((real_images(32), REAL_LABELS))
    assert np.isfinite([float(value) for value in logs.values()]).all()
    assert (float(logs["d_class"]) > 0) == (float(logs["g_class"]) > 0) == (of_discriminator == "auxiliary")
    for network, before in ((gan.generator, generator), (gan.discriminator, discriminator)):
        assert all(np.isfinite(v.numpy()).all() for v in network.variables)
        assert not any(
            np.array_equal(v.numpy(), old)
            for v, old in zip(network.variables, before, strict=True)
            if v.trainable and old.ndim > 1
        )


@pytest.mark.parametrize("way", ["projection", "auxiliary", "concat", "hidden_concat"])
def test_cgan_label_reaches_the_discriminators_output(way):
    discriminator = build("cgan", {"discriminator_conditioning": way}).discriminator
    if way == "auxiliary":
        assert len(discriminator.inputs) == 1
        assert discriminator(real_images())["class_logits"].shape == (BATCH, CLASSES)
        return
    labels = tf.constant([0, 3, 1, 4]), tf.constant([0, 2, 0, 1])
    one, other = (discriminator([real_images(), given])["logits"].numpy() for given in labels)
    assert one[0] == other[0] and (np.abs(one - other)[1:] > 1e-3).all()


@pytest.mark.parametrize("layer", range(4))
def test_cgan_generator_joins_the_class_after_the_layer_that_was_asked_for(layer):
    options = {"generator_conditioning": "hidden_concat", "generator_concat_layer": layer, "embedding_dim": 6}
    generator, plain = pair("cgan", 32, **options)[0], pair("cgan", 32)[0]
    side = (4, 8, 16, 32)[layer]
    assert joined_sides(generator) == [side]
    for i, name in enumerate(["deconv_0", "deconv_1", "deconv_2", "to_image"]):
        axis = 2 if name == "to_image" else 3
        more = generator.get_layer(name).kernel.shape[axis] - plain.get_layer(name).kernel.shape[axis]
        assert more == (6 if i == layer else 0)


@pytest.mark.parametrize("layer", range(4))
def test_cgan_discriminator_joins_the_class_after_the_layer_that_was_asked_for(layer):
    """Layer 0, the image itself, is the way `concat`."""
    options = {"discriminator_conditioning": "hidden_concat", "discriminator_concat_layer": layer, "embedding_dim": 6}
    options = options if layer else {"discriminator_conditioning": "concat", "embedding_dim": 6}
    discriminator = pair("cgan", 32, **options)[1]
    side = (32, 16, 8, 4)[layer]
    assert joined_sides(discriminator) == [side]
    joined = discriminator.get_layer(f"with_class_{side}")
    images, labels = real_images(32), REAL_LABELS
    features = keras.Model(discriminator.inputs, joined.output)([images, labels]).numpy()
    table = discriminator.get_layer("class_embedding").embeddings.numpy()
    expected = np.broadcast_to(table[labels.numpy()][:, None, None], (BATCH, side, side, 6))
    np.testing.assert_array_equal(features[..., -6:], expected)
    inner = images if layer == 0 else keras.Model(discriminator.inputs, joined.input[0])([images, labels])
    np.testing.assert_array_equal(features[..., :-6], inner.numpy())


def joined_sides(network):
    return [x.output.shape[1] for x in network.layers if x.name.startswith("with_class")]


def test_cgan_other_numbers_of_the_hypermodel():
    options = {"kernel_size": 5, "slope": 0.3, "base_channels": 100, "normalization": "spectral"}
    generator, discriminator = load_variant("cgan").networks(32, 3, 50, 1.0, 10, **options)
    assert generator.get_layer("project").kernel.shape == (50, 4 * 4 * 100)
    assert generator.get_layer("deconv_0").kernel.shape == (5, 5, 512, 100)
    slopes = {x.negative_slope for n in (generator, discriminator) for x in n.layers if isinstance(x, layers.LeakyReLU)}
    assert slopes == {0.3}
    assert not bare_and_wrapped(discriminator)[0] and not spectral_layers(generator)
    assert discriminator.get_layer("sn_conv_2").layer.kernel.shape == (5, 5, 256, 512)


# SNGAN


@pytest.mark.parametrize("architecture", ["standard", "resnet", "strided"])
def test_sngan_normalizes_every_kernel_of_the_discriminator(architecture):
    def kinds(network):
        return {type(layer).__name__ for layer in everything_in(network) if "Normalization" in type(layer).__name__}

    generator, discriminator = pair("sngan", architecture=architecture)
    bare, wrapped = bare_and_wrapped(discriminator)
    assert not bare and len(wrapped) == {"standard": 5 + 1, "resnet": 3 * 2 + 1 + 1, "strided": 2 + 1}[architecture]
    assert kinds(discriminator) == {"SpectralNormalization"}
    assert kinds(generator) == {"BatchNormalization"}
    generator = pair("sngan", architecture=architecture, spectral_generator=True)[0]
    assert not bare_and_wrapped(generator)[0] and spectral_layers(generator)
    for normalization, kind in (("batch", {"BatchNormalization"}), ("layer", {"LayerNormalization"}), ("none", set())):
        discriminator = pair("sngan", architecture=architecture, normalization=normalization)[1]
        assert kinds(discriminator) == kind


@pytest.mark.parametrize("architecture", ["standard", "resnet", "strided"])
def test_sngan_moves_singular_vectors_in_the_step_of_their_network_only(architecture):
    gan = build("sngan", {"architecture": architecture, "spectral_generator": True})

    def vectors():  # that of a single output is 1 or -1 for ever
        of = [[x.vector for x in spectral_layers(n)] for n in (gan.generator, gan.discriminator)]
        return [[v.numpy().copy() for v in network if v.shape[0] > 1] for network in of]

    def moved(before, after):
        return [not np.array_equal(one, other) for one, other in zip(before, after, strict=True)]

    (g, d), _ = vectors(), gan.discriminator_step(real_images())
    (g_then, d_then), _ = vectors(), gan.generator_step(BATCH)
    g_last, d_last = vectors()
    assert not any(moved(g, g_then)) and all(moved(d, d_then))
    assert all(moved(g_then, g_last)) and not any(moved(d_then, d_last))


# Options that all variants share


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


def change_of(network, before):
    """Global norm of the change of the trainable weights."""
    pairs = zip(network.variables, before, strict=True)
    return np.sqrt(sum(np.sum(np.square(v.numpy() - old)) for v, old in pairs if v.trainable))


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


# Every option of every variant: an alternative to its default, and what else it needs to have any effect

SHARED = {"augment": "cutout", "discriminator_clip_norm": 0.001}
OPTIONS = {
    "dcgan": {},
    "lsgan": {},
    "wgan": {"normalization": "layer", "clip": 0.02},
    "wgan_gp": {"normalization": "layer", "penalty_weight": 1.0},
    "dragan": {"normalization": "layer", "penalty_weight": 1.0},
    "r1": {"normalization": "layer", "penalty_weight": 1.0},
    "sngan": {"architecture": "resnet", "normalization": "batch", "spectral_generator": True, "stable_rank": 0.5},
    "ebgan": {"margin": 20.0, "pulling_away_weight": 0.5},
    "began": {"gamma": 0.7, "lambda_k": 0.01},
    "acgan": {"dropout": 0.0},
    "vtgan": {"label_smoothing": 0.0, "minibatch_kernels": 5, "minibatch_dim": 2},
    "cgan": {
        "generator_conditioning": "concat",
        "discriminator_conditioning": "concat",
        "generator_concat_layer": 2,
        "discriminator_concat_layer": 2,
        "embedding_dim": 5,
        "kernel_size": 3,
        "slope": 0.1,
        "base_channels": 100,
        "normalization": "spectral",
    },
    "sagan": {"attention": False, "stable_rank": 0.2},
    "biggan": {"attention": True, "stable_rank": 0.2},
}
NEEDS = {
    ("cgan", "generator_concat_layer"): {"generator_conditioning": "hidden_concat"},
    ("cgan", "discriminator_concat_layer"): {"discriminator_conditioning": "hidden_concat"},
    ("cgan", "embedding_dim"): {"generator_conditioning": "concat"},
}
EVERY_OPTION = [(name, option) for name in OPTIONS for option in (SHARED | OPTIONS[name])]


def test_the_table_of_options_is_complete():
    assert list(OPTIONS) == list(VARIANTS)
    for name, alternatives in OPTIONS.items():
        network, training = load_variant(name).options()
        assert set(SHARED | alternatives) == {*network, *training}, name
        assert not set(network) & set(training), name
        for option, default in (network | training).items():
            assert (SHARED | alternatives)[option] != default


@functools.cache
def outcome(name, given):
    """Structure of the networks, and all numbers after a step."""
    in_networks = load_variant(name).options()[0]
    networks = {option: value for option, value in given if option in in_networks}
    gan = build(name, networks, **{option: value for option, value in given if option not in in_networks})
    if name == "began":
        gan.k.assign(0.5)
    structure = [
        (type(layer).__name__, layer.name, [(v.path, tuple(v.shape)) for v in layer.variables])
        for network in (gan.generator, gan.discriminator)
        for layer in everything_in(network)
    ]
    logs = gan.train_step((real_images(), REAL_LABELS))
    state = [v.numpy() for key, v in gan.state().items() if not key.startswith("log/")]
    return structure, [np.asarray(logs[key]) for key in sorted(logs)], state


def differ(one, other):
    if one[0] != other[0]:
        return True
    pairs = [*zip(one[1], other[1], strict=True), *zip(one[2], other[2], strict=True)]
    return not all(np.allclose(x, y, rtol=1e-5, atol=1e-6) for x, y in pairs)


@pytest.mark.parametrize(("name", "option"), EVERY_OPTION)
def test_every_option_has_an_effect(name, option):
    needed = tuple(NEEDS.get((name, option), {}).items())
    alternative = (option, (SHARED | OPTIONS[name])[option])
    assert differ(outcome(name, needed), outcome(name, (*needed, alternative)))


@pytest.mark.parametrize("name", ["sngan", "acgan", "cgan"])
def test_the_default_given_by_name_has_no_effect(name):
    network, training = load_variant(name).options()
    assert not differ(outcome(name, ()), outcome(name, tuple((network | training).items())))


REFUSED = [
    ("dcgan", {"augment": "blur"}, "augment must be empty or names out of color, translation, cutout.*='blur'"),
    ("dcgan", {"augment": "color,color"}, "each once.*='color,color'"),
    ("dcgan", {"discriminator_clip_norm": -1.0}, "discriminator_clip_norm must be.*discriminator_clip_norm=-1.0"),
    ("lsgan", {"loss": "hinge"}, "loss must be one of least_squares, least_squares_pearson.*loss='hinge'"),
    ("wgan", {"clip": 0.0}, "clip must be positive. Received: clip=0.0"),
    ("wgan", {"normalization": "spectral"}, "normalization must be one of batch, layer, none.*'spectral'"),
    ("wgan", {"loss": "hinge"}, "loss must be one of wasserstein.*loss='hinge'"),
    ("ebgan", {"margin": 0.0}, "margin must be positive. Received: margin=0.0"),
    ("ebgan", {"pulling_away_weight": -0.1}, "pulling_away_weight must be 0 or more.*pulling_away_weight=-0.1"),
    ("began", {"gamma": 0.0}, "gamma must be in .0, 1.*gamma=0.0"),
    ("began", {"gamma": 1.1}, "gamma must be in .0, 1.*gamma=1.1"),
    ("began", {"lambda_k": 0.0}, "lambda_k must be positive. Received: lambda_k=0.0"),
    ("began", {"discriminator_steps": 2}, "discriminator_steps is 1 in BEGAN.*discriminator_steps=2"),
    ("acgan", {"dropout": 1.0}, "dropout must be in .0, 1.*dropout=1.0"),
    ("acgan", {"dropout": -0.1}, "dropout must be in .0, 1.*dropout=-0.1"),
    ("vtgan", {"label_smoothing": 1.0}, "label_smoothing must be in .0, 1.*label_smoothing=1.0"),
    ("vtgan", {"label_smoothing": -0.1}, "label_smoothing must be in .0, 1.*label_smoothing=-0.1"),
    ("vtgan", {"minibatch_kernels": -1}, "minibatch_kernels must be 0 or more.*minibatch_kernels=-1"),
    ("vtgan", {"minibatch_dim": 0}, "minibatch_dim 1 or more.*minibatch_dim=0"),
    ("sngan", {"architecture": "dcgan"}, "architecture must be one of standard, resnet, strided.*'dcgan'"),
    ("sngan", {"stable_rank": 1.5}, "stable_rank must be in .0, 1.*stable_rank=1.5"),
    ("cgan", {"generator_conditioning": "projection"}, "generator_conditioning must be one of cbn_emb.*'projection'"),
    ("cgan", {"discriminator_conditioning": "cbn"}, "discriminator_conditioning must be one of projection.*'cbn'"),
    ("cgan", {"kernel_size": 2}, "kernel_size must be one of 3, 4, 5. Received: kernel_size=2"),
    ("cgan", {"kernel_size": 6}, "kernel_size must be one of 3, 4, 5. Received: kernel_size=6"),
    ("cgan", {"slope": -0.1}, "slope must be in .0, 0.3.*slope=-0.1"),
    ("cgan", {"slope": 0.31}, "slope must be in .0, 0.3.*slope=0.31"),
    ("cgan", {"base_channels": 9}, "base_channels must be from 10 to 512. Received: base_channels=9"),
    ("cgan", {"base_channels": 513}, "base_channels must be from 10 to 512. Received: base_channels=513"),
    ("cgan", {"embedding_dim": 0}, "embedding_dim must be at least 1. Received: embedding_dim=0"),
    ("cgan", {"normalization": "batch"}, "normalization must be one of none, spectral.*'batch'"),
    ("sagan", {"stable_rank": -0.1}, "stable_rank must be in .0, 1.*stable_rank=-0.1"),
    ("biggan", {"stable_rank": 2.0}, "stable_rank must be in .0, 1.*stable_rank=2.0"),
]
REFUSED += [
    (name, given, message)
    for name in ("wgan_gp", "dragan", "r1")
    for given, message in (
        ({"penalty_weight": -1.0}, "penalty_weight must be 0 or more. Received: penalty_weight=-1.0"),
        ({"normalization": "batch"}, "normalization must be one of none, layer.*'batch'"),
    )
]
REFUSED += [
    ("sngan", {"architecture": architecture, **given}, message)
    for architecture in ("standard", "resnet", "strided")
    for given, message in (
        ({"normalization": "instance"}, "normalization must be one of batch, layer, spectral, none.*'instance'"),
        ({"normalization": "batch", "stable_rank": 0.5}, "stable_rank needs spectral.*stable_rank=0.5"),
    )
]
REFUSED += [
    ("cgan", {f"{network}_conditioning": "hidden_concat", f"{network}_concat_layer": layer}, f"_concat_layer={layer}")
    for network, wrong in (("generator", (-1, 3)), ("discriminator", (0, 3)))
    for layer in wrong
]


@pytest.mark.parametrize(("name", "given", "message"), REFUSED)
def test_wrong_values_are_refused(name, given, message):
    in_networks = load_variant(name).options()[0]
    networks = {option: value for option, value in given.items() if option in in_networks}
    training = {option: value for option, value in given.items() if option not in in_networks}
    with pytest.raises(ValueError, match="Received: ") as error:
        load_variant(name)(*pair(name, **networks), num_classes=CLASSES, **training)
    assert re.search(message, str(error.value), re.DOTALL)


def test_biggan_wants_latents_for_each_block():
    with pytest.raises(ValueError, match="latent_dim must be at least 4.*Received: latent_dim=3"):
        load_variant("biggan").networks(32, 3, 3, WIDTH, CLASSES)
