"""The hypermodel: every way for the class into both networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from small_gans import (
    BATCH,
    CLASSES,
    REAL_LABELS,
    bare_and_wrapped,
    build,
    pair,
    real_images,
    snapshot,
    spectral_layers,
)

from models_zoo import load_variant

pytestmark = pytest.mark.usefixtures("short_warm_up")


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


@pytest.mark.parametrize("size, side", [(16, 8), (32, 16), (108, 27)])
def test_cgan_attends_in_both_networks_on_the_same_map(size, side):
    with_it, without = pair("cgan", size, attention=True), pair("cgan", size)
    for network in with_it:
        assert network.get_layer("attention").output.shape[1:3] == (side, side)
    for network in without:
        assert not any(layer.name == "attention" for layer in network.layers)


def test_cgan_normalizes_the_network_that_was_asked_for():
    for generator_too in (False, True):
        for of_discriminator in ("none", "spectral"):
            options = {"spectral_generator": generator_too, "normalization": of_discriminator, "attention": True}
            generator, discriminator = pair("cgan", 32, **options)
            for network, spectral in ((generator, generator_too), (discriminator, of_discriminator == "spectral")):
                bare, wrapped = bare_and_wrapped(network)
                of_classes = {"gain", "bias"}  # of conditional batch normalization, which nothing convolves
                assert bool(wrapped) == spectral and bool({x.name for x in bare} - of_classes) != spectral
                assert network.get_layer("attention").spectral == spectral
