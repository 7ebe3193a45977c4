import pytest
import tensorflow as tf

from models_zoo import networks

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
