"""VT-GAN: smoothed classes, minibatch discrimination, uniform latents."""

import numpy as np
import pytest
from small_gans import BATCH, CLASSES, REAL_LABELS, build, everything_in, feed, generated, pair, real_images

from models_zoo.minibatch_discrimination import MinibatchDiscrimination

pytestmark = pytest.mark.usefixtures("short_warm_up")


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
