"""The networks: sizes, layers of their own, and every published table, by layers or by numbers of parameters."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from layer_tables import full

from models_zoo import VARIANTS, auxiliary, load_variant, networks
from models_zoo.grouped_convolution import GroupedConv2D
from models_zoo.inputs import is_conditional
from models_zoo.resnet import SumOverMap
from models_zoo.spectral_normalization import SpectralNormalization

pytestmark = pytest.mark.usefixtures("short_warm_up")

SIZES = {28: [28, 14, 7], 32: [32, 16, 8, 4], 64: [64, 32, 16, 8, 4], 108: [108, 54, 27, 14, 7], 16: [16, 8, 4]}


@pytest.mark.parametrize(("size", "path"), SIZES.items())
def test_path_of_sizes(size, path):
    assert networks.sizes(size) == path


@pytest.mark.parametrize("size", [33, 12, 0, 30])
def test_impossible_sizes_are_refused_with_the_nearest(size):
    with pytest.raises(ValueError, match=rf"multiple of 4 from 16 on, for instance \d+ or \d+.*image_size={size}"):
        networks.sizes(size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_range(size, channels):
    generator = networks.dcgan_generator(size, channels, latent_dim=10, width=0.1)
    discriminator = networks.dcgan_discriminator(size, channels, width=0.1)
    images = generator(tf.random.normal((2, 10)) * 100)
    assert images.shape == (2, size, size, channels)
    assert -1 <= float(tf.reduce_min(images)) < float(tf.reduce_max(images)) <= 1
    assert discriminator(images).shape == (2, 1)


def test_parameter_counts_at_full_width():
    """Counted by hand from the tables: kernels, biases, and four numbers per normalized channel."""
    generator = networks.dcgan_generator(32, 3, latent_dim=100)
    kernels = 100 * 16 * 512 + 16 * (512 * 256 + 256 * 128 + 128 * 3)
    assert generator.count_params() == kernels + 3 + 4 * (512 + 256 + 128)
    discriminator = networks.dcgan_discriminator(32, 3)
    kernels = 16 * (3 * 64 + 64 * 128 + 128 * 256) + 4 * 4 * 256
    assert discriminator.count_params() == kernels + 64 + 1 + 4 * (128 + 256)


@pytest.mark.parametrize("normalization", networks.NORMALIZATIONS)
def test_normalization_is_where_it_should_be(normalization):
    network = networks.dcgan_discriminator(32, 3, width=0.1, normalization=normalization)
    kinds = [type(layer).__name__ for layer in network.layers]
    expected = {"batch": ("BatchNormalization", 2), "layer": ("LayerNormalization", 2)}
    kind_expected, count = {**expected, "spectral": ("SpectralNormalization", 4)}.get(normalization, ("", 0))
    for kind in ("BatchNormalization", "LayerNormalization", "SpectralNormalization"):
        assert kinds.count(kind) == (count if kind == kind_expected else 0)


def test_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="must be one of batch.*Received: normalization='instance'"):
        networks.dcgan_discriminator(32, normalization="instance")


def test_width_multiplies_hidden_channels():
    narrow = networks.dcgan_generator(32, width=0.5).get_layer("deconv_0").kernel.shape
    wide = networks.dcgan_generator(32, width=1.0).get_layer("deconv_0").kernel.shape
    assert (narrow[2] * 2, narrow[3] * 2) == (wide[2], wide[3])


def test_first_channels_widens_the_discriminator():
    kernel = networks.dcgan_discriminator(32, first_channels=128).get_layer("conv_0").kernel
    assert kernel.shape == (4, 4, 3, 128)


# Published networks at full width


def trainable(network):
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def shapes_of(network):
    return tf.nest.map_structure(lambda output: output.shape, network.output)


def conv(kernel_size, inputs, outputs, bias=True):
    """Parameters of a convolution, transposed or not."""
    return kernel_size**2 * inputs * outputs + bias * outputs


def dense(inputs, outputs, bias=True):
    return (inputs + bias) * outputs


def norm(*channels):
    """Gains and biases of batch normalizations."""
    return 2 * sum(channels)


def test_parameters_of_sngan_standard():
    """Miyato et al. (2018), table 3: about 3.8 and 5.9 million."""
    generator, discriminator = full("sngan", 128)
    expected = dense(128, 4 * 4 * 512, bias=False) + norm(512, 256, 128, 64) + conv(3, 64, 3)
    for inputs, outputs in ((512, 256), (256, 128), (128, 64)):
        expected += conv(4, inputs, outputs, bias=False)
    assert trainable(generator) == expected == 3_804_739
    expected = dense(4 * 4 * 512, 1)
    for kernel_size, inputs, outputs in (
        (3, 3, 64), (4, 64, 128), (3, 128, 128), (4, 128, 256), (3, 256, 256), (4, 256, 512), (3, 512, 512)
    ):  # fmt: skip
        expected += conv(kernel_size, inputs, outputs)
    assert trainable(discriminator) == expected == 5_860_865
    vectors = 64 + 128 + 128 + 256 + 256 + 512 + 512 + 1
    assert discriminator.count_params() == expected + vectors


def test_parameters_of_sngan_resnet():
    """Miyato et al. (2018), table 4."""
    generator, discriminator = full("sngan", 128, architecture="resnet")
    block = norm(256, 256) + 2 * conv(3, 256, 256) + conv(1, 256, 256)
    assert trainable(generator) == dense(128, 4 * 4 * 256) + 3 * block + norm(256) + conv(3, 256, 3)
    first = conv(3, 3, 128) + conv(3, 128, 128) + conv(1, 3, 128)
    others = 2 * conv(3, 128, 128)
    assert trainable(discriminator) == first + 3 * others + conv(1, 128, 128) + dense(128, 1) == 1_053_825


def test_parameters_of_sngan_strided():
    generator, discriminator = full("sngan", 128, architecture="strided")
    assert trainable(generator) == (
        dense(128, 4 * 4 * 512, bias=False) + norm(512, 256, 128)
        + conv(4, 512, 256, bias=False) + conv(4, 256, 128, bias=False) + conv(4, 128, 3)
    )  # fmt: skip
    expected = conv(4, 3, 128) + conv(4, 128, 256) + conv(4, 256, 512) + dense(4 * 4 * 512, 1)
    assert trainable(discriminator) == expected


def test_parameters_of_acgan():
    """Odena et al. (2017), table 2."""
    generator, discriminator = full("acgan", 110)
    expected = dense(110 + 10, 4 * 4 * 384) + norm(192, 96)
    assert trainable(generator) == expected + conv(5, 384, 192) + conv(5, 192, 96) + conv(5, 96, 3)
    channels = (3, 16, 32, 64, 128, 256, 512)
    expected = sum(conv(3, *pair) for pair in zip(channels, channels[1:], strict=False)) + norm(*channels[2:])
    assert trainable(discriminator) == expected + dense(4 * 4 * 512, 1) + dense(4 * 4 * 512, 10)
    assert [x.rate for x in discriminator.layers if isinstance(x, networks.Dropout)] == [0.5] * 6


def table_of(network, kinds):
    """(kernel size, stride, filters, whether batch normalization follows before the next such layer) of its layers."""
    rows = []
    for layer in network.layers:
        if isinstance(layer, kinds):
            kernel = layer.kernel.shape
            filters = kernel[2] if isinstance(layer, layers.Conv2DTranspose) else kernel[3]
            rows.append([kernel[0], layer.strides[0], filters, "N"])
        elif isinstance(layer, layers.BatchNormalization):
            rows[-1][3] = "Y"
    return [tuple(row) for row in rows]


def test_tables_of_vtgan():
    """Sridhar (2019), figures 3.2 and 3.3."""
    generator, discriminator = full("vtgan", 100)
    assert table_of(discriminator, layers.Conv2D) == [
        (5, 2, 16, "N"), (5, 1, 32, "Y"), (3, 2, 64, "Y"), (5, 1, 128, "Y"), (3, 2, 256, "Y"), (3, 1, 512, "N")
    ]  # fmt: skip
    assert table_of(generator, layers.Conv2DTranspose) == [
        (5, 2, 256, "Y"), (5, 2, 128, "Y"), (5, 2, 64, "Y"), (5, 2, 3, "N")
    ]  # fmt: skip
    features = 4 * 4 * 512
    expected = sum(
        conv(*row) for row in ((5, 3, 16), (5, 16, 32), (3, 32, 64), (5, 64, 128), (3, 128, 256), (3, 256, 512))
    )
    expected += norm(32, 64, 128, 256) + features * 30 * 3 + dense(features + 30, 1) + dense(features + 30, 10)
    assert trainable(discriminator) == expected
    expected = dense(100 + 10, 2 * 2 * 512) + norm(256, 128, 64)
    expected += conv(5, 512, 256) + conv(5, 256, 128) + conv(5, 128, 64) + conv(5, 64, 3)
    assert trainable(generator) == expected


def test_tables_of_cgan():
    """Dogan (2021), tables I and II."""
    generator, discriminator = full("cgan", 100)
    strided = [(4, 2, 128, "N"), (4, 2, 256, "N"), (4, 2, 512, "N")]
    assert table_of(discriminator, layers.Conv2D) == strided
    kinds = (layers.Conv2DTranspose, layers.Conv2D)
    assert table_of(generator, kinds) == [*strided[::-1], (3, 1, 3, "N")]
    body = conv(4, 512, 512) + conv(4, 512, 256) + conv(4, 256, 128) + conv(3, 128, 3)
    latents = dense(100, 4 * 4 * 512)
    norms = 512 + 256 + 128
    assert trainable(generator) == latents + body + 2 * 10 * norms
    head = conv(4, 3, 128) + conv(4, 128, 256) + conv(4, 256, 512)
    assert trainable(discriminator) == head + dense(512, 1) + 10 * 512

    embedding = 10 * 32
    others = {
        "cbn_linear": latents + body + embedding + 2 * 32 * norms,
        "concat": dense(100 + 32, 4 * 4 * 512) + body + embedding + norm(norms),
        "hidden_concat": latents + body + embedding + norm(norms) + 4 * 4 * 32 * 256,  # before the second layer
    }
    for way, expected in others.items():
        assert trainable(full("cgan", 100, generator_conditioning=way)[0]) == expected
    flat = 4 * 4 * 512
    others = {
        "auxiliary": head + dense(flat, 1) + dense(flat, 10),
        "concat": head + embedding + 4 * 4 * 32 * 128 + dense(flat, 1),
        "hidden_concat": head + embedding + 4 * 4 * 32 * 256 + dense(flat, 1),
    }
    for way, expected in others.items():
        assert trainable(full("cgan", 100, discriminator_conditioning=way)[1]) == expected


def test_parameters_of_ebgan():
    discriminator = full("ebgan", 100)[1]
    expected = conv(4, 3, 64) + norm(128, 256) + norm(128, 64) + conv(4, 64, 3)
    for inputs, outputs in ((64, 128), (128, 256), (256, 128), (128, 64)):
        expected += conv(4, inputs, outputs, bias=False)
    assert trainable(discriminator) == expected
    assert shapes_of(discriminator) == {"reconstruction": (None, 32, 32, 3), "code": (None, 4 * 4 * 256)}


def test_parameters_of_began():
    """Berthelot et al. (2017), figure 1, with n = h = 64: the decoder is the generator, with weights of its own."""
    generator, discriminator = full("began", 64)
    decoder = dense(64, 8 * 8 * 64) + 6 * conv(3, 64, 64) + conv(3, 64, 3)
    assert trainable(generator) == decoder
    encoder = conv(3, 3, 64)
    encoder += 2 * conv(3, 64, 64) + conv(3, 64, 128)
    encoder += 2 * conv(3, 128, 128) + conv(3, 128, 192)
    encoder += 2 * conv(3, 192, 192)
    assert trainable(discriminator) == encoder + dense(8 * 8 * 192, 64) + decoder
    assert discriminator.get_layer("code").output.shape == (None, 64)


def attention(channels):
    return 4 * channels * (channels // 8) + 1


def test_parameters_of_sagan():
    """Zhang et al. (2019), on the blocks of table 4 of Miyato et al. (2018)."""
    generator, discriminator = full("sagan", 128)
    block = 2 * (2 * 10 * 256) + 2 * conv(3, 256, 256) + conv(1, 256, 256)
    outer = dense(128, 4 * 4 * 256) + norm(256) + conv(3, 256, 3)
    assert trainable(generator) == outer + 3 * block + attention(256)
    body = conv(3, 3, 128) + conv(1, 3, 128) + 7 * conv(3, 128, 128) + conv(1, 128, 128)
    assert trainable(discriminator) == body + attention(128) + dense(128, 1) + 10 * 128


def test_parameters_of_biggan():
    """Brock et al. (2019), appendix B, with 256 channels: latents in four parts, linear layers for gains and biases."""
    generator, discriminator = full("biggan", 128)
    block = 2 * 2 * (128 + 32) * 256 + 2 * conv(3, 256, 256) + conv(1, 256, 256)
    assert trainable(generator) == dense(32, 4 * 4 * 256) + 10 * 128 + 3 * block + norm(256) + conv(3, 256, 3)
    body = conv(3, 3, 256) + conv(1, 3, 256) + 7 * conv(3, 256, 256) + conv(1, 256, 256)
    assert trainable(discriminator) == body + dense(256, 1) + 10 * 256


def test_parameters_of_r3gan():
    """20.7 million in each network at width 768, as published; 1.63, 0.52 and 0.28 million at 192, 96 and 64."""
    for channels, millions in ((768, 20.7), (192, 1.63), (96, 0.52), (64, 0.28)):
        for network, head in zip(load_variant("r3gan").networks(32, 3, 64, channels / 768, 10), (0, 1), strict=True):
            inner = 2 * channels
            block = dense(channels, inner) + (9 * 16 + 1) * inner + inner * channels
            ends = (128 + 16 + 3, 3 + 16 + 64)[head] * channels + 10 * 64
            assert trainable(network) == 8 * block + ends
            assert 8 * block / 1e6 == pytest.approx(millions, abs=0.006 if channels < 768 else 0.06)


@pytest.mark.parametrize("width", [0.001, 0.03, 0.05, 0.1, 0.123, 1.3])
def test_every_width_gives_r3gan_whole_groups(width):
    for network in load_variant("r3gan").networks(108, 3, 8, width, 5):
        grouped = [layer for layer in network.layers if isinstance(layer, GroupedConv2D)]
        assert len(grouped) == 12
        assert all(layer.filters // layer.groups == layer.kernel.shape[2] == 16 for layer in grouped)


def test_r3gan_begins_as_a_linear_network_and_its_larger_maps_are_narrower():
    """Each block adds zero at first, so twice the images are twice the logits."""
    generator, discriminator = load_variant("r3gan").networks(64, 3, 8, 0.1, 5)
    images, labels = tf.random.stateless_normal((2, 64, 64, 3), [0, 0]), tf.constant([0, 4])
    logits = discriminator([images, labels])
    np.testing.assert_allclose(discriminator([2 * images, labels]), 2 * logits, rtol=1e-4, atol=1e-5)
    assert np.abs(logits).max() > 1e-3
    widths = {layer.output.shape[1]: layer.output.shape[3] for layer in generator.layers if "narrow" in layer.name}
    assert widths == {4: 80, 8: 80, 16: 80, 32: 80, 64: 40}


def test_parameters_of_reacgan():
    """BigGAN's with attention; the heads are a logit, a projection to 512 dimensions, and a vector for each class."""
    generator, discriminator = full("reacgan", 80)
    block = 2 * 2 * (128 + 20) * 256 + 2 * conv(3, 256, 256) + conv(1, 256, 256)
    outer = dense(20, 4 * 4 * 256) + 10 * 128 + norm(256) + conv(3, 256, 3)
    assert trainable(generator) == outer + 3 * block + attention(256)
    body = conv(3, 3, 256) + conv(1, 3, 256) + 7 * conv(3, 256, 256) + conv(1, 256, 256)
    assert trainable(discriminator) == body + attention(256) + dense(256, 1) + dense(256, 512) + 10 * 512


def test_reacgans_vectors_lie_on_the_unit_sphere():
    discriminator = load_variant("reacgan").networks(16, 3, 8, 0.05, 5, embedding_dim=7)[1]
    images = tf.random.stateless_normal((3, 16, 16, 3), [0, 0])
    outputs = discriminator([images, tf.constant([0, 4, 0])])
    for name in ("embedding", "proxy"):
        np.testing.assert_allclose(np.sum(np.square(outputs[name]), axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(outputs["proxy"][0], outputs["proxy"][2])
    assert np.abs(outputs["proxy"][0] - outputs["proxy"][1]).max() > 0.1


# All variants at all sizes


@pytest.mark.parametrize("size", [28, 32, 64, 108])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_networks_for_every_size(name, size, monkeypatch):
    monkeypatch.setattr(SpectralNormalization, "WARM_UP", 1)
    variant = load_variant(name)
    for channels in (1, 3):
        generator, discriminator = variant.networks(size, channels, 8, 0.05, 5)
        assert generator.output_shape == (None, size, size, channels)
        assert discriminator.inputs[0].shape == (None, size, size, channels)
        shapes = shapes_of(discriminator)
        if name in ("ebgan", "began"):
            reconstruction = shapes["reconstruction"] if name == "ebgan" else shapes
            assert reconstruction == (None, size, size, channels)
        elif name == "reacgan":
            assert shapes == {"logits": (None, 1), "embedding": (None, 512), "proxy": (None, 512)}
        elif name in ("acgan", "vtgan"):
            assert shapes == {"logits": (None, 1), "class_logits": (None, 5)}
        else:
            assert shapes == ({"logits": (None, 1)} if name == "cgan" else (None, 1))

    latents, labels = 30 * tf.random.stateless_normal((2, 8), [0, 0]), tf.constant([0, 4])
    given = [latents, labels] if variant.conditional else latents
    if name in ("began", "r3gan"):  # no activation at the end, so what is shown is clipped
        kernel = generator.get_layer("to_image").kernel
        kernel.assign(100 * kernel)
        assert float(tf.reduce_max(tf.abs(generator(given)))) > 1
        images = variant(generator, discriminator, num_classes=5)(given)
    else:
        images = generator(given)
    assert images.shape == (2, size, size, 3) and images.dtype == tf.float32
    assert -1 <= float(tf.reduce_min(images)) < float(tf.reduce_max(images)) <= 1
    outputs = discriminator([images, labels] if is_conditional(discriminator) else images)
    assert all(np.isfinite(output.numpy()).all() for output in tf.nest.flatten(outputs))


@pytest.mark.parametrize(
    ("size", "strides", "last"),
    [
        (16, [2, 1, 2, 1, 2, 1], 2),
        (28, [2, 1, 2, 1, 2, 1], 4),
        (32, [2, 1, 2, 1, 2, 1], 4),
        (64, [2, 1, 2, 1, 2, 2], 4),
        (108, [2, 1, 2, 1, 2, 2], 7),
        (128, [2, 1, 2, 2, 2, 2], 4),
        (256, [2, 2, 2, 2, 2, 2], 4),
    ],
)
def test_strides_of_six_convolutions(size, strides, last):
    assert auxiliary.strides_of_six(size) == strides
    for stride in strides:
        size = -(-size // stride)
    assert size == last


# Layers of the networks


def round_trip(layer, inputs, tmp_path):
    """The layer out of a saved model of it."""
    symbolic = keras.Input(inputs.shape[1:])
    keras.Model(symbolic, layer(symbolic)).save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras").layers[1]


def test_uniform_noise_is_twice_the_normal_distribution_function_minus_one(tmp_path):
    layer = networks.UniformNoise(name="uniform")
    z = np.linspace(-4, 4, 33, dtype=np.float32).reshape(3, 11)
    expected = np.vectorize(lambda value: 2 * (0.5 + 0.5 * math.erf(value / math.sqrt(2))) - 1)(z)
    np.testing.assert_allclose(layer(z).numpy(), expected, atol=1e-6)
    assert layer.compute_output_shape((None, 11)) == (None, 11)
    loaded = round_trip(layer, z, tmp_path)
    assert loaded.get_config() == layer.get_config()
    np.testing.assert_array_equal(loaded(z).numpy(), layer(z).numpy())


def test_sum_over_map(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    layer = SumOverMap(name="features")
    expected = [[sum(x[b, i, j, c] for i in range(3) for j in range(5)) for c in range(4)] for b in range(2)]
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape((None, 3, 5, 4)) == (None, 4)
    np.testing.assert_array_equal(round_trip(layer, x, tmp_path)(x).numpy(), layer(x).numpy())


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_drops_its_fraction_in_training_only(rate):
    layer = networks.Dropout(rate, seed=3, name="dropout_3")
    x = np.random.default_rng(0).uniform(1, 2, (100, 200)).astype(np.float32)
    np.testing.assert_array_equal(layer(x).numpy(), x)
    np.testing.assert_array_equal(layer(x, training=False).numpy(), x)
    dropped = layer(x, training=True).numpy()
    kept = dropped != 0
    assert abs(np.mean(~kept) - rate) < 4 * math.sqrt(rate * (1 - rate) / x.size)
    np.testing.assert_allclose(dropped[kept], x[kept] / (1 - rate), rtol=1e-6)
    assert not np.array_equal(layer(x, training=True).numpy(), dropped), "another draw at each call"
    np.testing.assert_array_equal(networks.Dropout(rate, seed=3)(x, training=True).numpy(), dropped)
    assert not np.array_equal(networks.Dropout(rate, seed=4)(x, training=True).numpy(), dropped)


def test_dropout_of_nothing_changes_nothing():
    x = tf.ones((3, 4))
    np.testing.assert_array_equal(networks.Dropout(0.0, seed=0)(x, training=True).numpy(), x.numpy())


def test_dropout_has_state_of_a_stable_name_that_resumes_the_draws(tmp_path):
    def network():
        x = inputs = keras.Input((50,))
        for i in range(2):
            x = networks.Dropout(0.5, seed=i, name=f"dropout_{i}")(x)
        return keras.Model(inputs, x)

    first, second = network(), network()
    paths = [variable.path for variable in first.variables]
    assert len(set(paths)) == 2 and paths == [variable.path for variable in second.variables]
    x = np.ones((4, 50), np.float32)
    first(x, training=True)
    for ours, theirs in zip(second.variables, first.variables, strict=True):
        ours.assign(theirs)
    np.testing.assert_array_equal(first(x, training=True).numpy(), second(x, training=True).numpy())

    layer = networks.Dropout(0.3, seed=7, name="dropout_7")
    loaded = round_trip(layer, x, tmp_path)
    assert (loaded.rate, loaded.seed, loaded.name) == (0.3, 7, "dropout_7")
    np.testing.assert_array_equal(loaded(x, training=True).numpy(), layer(x, training=True).numpy())


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_dropout_refuses_other_rates(rate):
    with pytest.raises(ValueError, match=rf"dropout must be in \[0, 1\). Received: dropout={rate}"):
        networks.Dropout(rate, seed=0)
