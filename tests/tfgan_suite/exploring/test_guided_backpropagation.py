"""Guided back-propagation by hand on a small network, and the map that is found in every discriminator."""

import keras
import numpy as np
import pytest

from models_zoo import VARIANTS, load_variant
from tfgan_suite.exploring.guided_backpropagation import FeatureMap, as_picture

SLOW = ("sagan",)  # to build; its discriminator is that of biggan
DEEPEST = {  # rectifier and side at 16 pixels
    "acgan": ("lrelu_5", 2),
    "vtgan": ("lrelu_5", 2),
    "ebgan": ("lrelu_1", 4),
    "began": ("encoder_1_conv_1_elu", 8),
    "sagan": ("relu", 8),
    "biggan": ("relu", 8),
    "reacgan": ("relu", 8),
}


def small(rectifier):
    """1x1 convolutions on 2x2 grey images, so that every pixel can be followed by hand."""
    images = keras.Input((2, 2, 1))
    x = keras.layers.Conv2D(3, 1, name="first")(images)
    x = rectifier(name="one")(x)
    x = keras.layers.Conv2D(2, 1, name="second")(x)
    x = rectifier(name="two")(x)
    model = keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    model.get_layer("first").set_weights([np.array([[[[2.0, -1.0, 1.0]]]]), np.array([0.0, 0.0, -0.5])])
    second = np.array([[[[1.0, 0.5], [3.0, 1.0], [-2.0, 4.0]]]])
    model.get_layer("second").set_weights([second, np.zeros(2)])
    return model


@pytest.mark.parametrize("rectifier", [keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU])
def test_gradients_pass_where_input_and_gradient_are_positive(rectifier):
    found = FeatureMap(small(rectifier))
    pixels = np.array([0.9, 0.4, -0.5, -1.0], np.float32)
    image = pixels.reshape(1, 2, 2, 1)
    assert (found.layer, found.channels) == ("two", 2)
    labels = np.zeros(1, np.int32)
    hidden = np.stack([2 * pixels, -pixels, pixels - 0.5], axis=1)
    first = {
        keras.layers.ReLU: lambda x: np.maximum(x, 0),
        keras.layers.LeakyReLU: lambda x: np.where(x > 0, x, 0.3 * x),
        keras.layers.ELU: lambda x: np.where(x > 0, x, np.expm1(x)),
    }[rectifier]
    before = first(hidden) @ np.array([[1.0, 0.5], [3.0, 1.0], [-2.0, 4.0]])
    np.testing.assert_allclose(found.responses(image, labels)[0], first(before).max(axis=0), rtol=1e-5)
    for channel, weights in ((0, [1.0, 3.0, -2.0]), (1, [0.5, 1.0, 4.0])):
        at = before[:, channel].argmax()  # the pixel of the largest response
        expected = np.zeros(4)
        for unit, (inner, outer) in enumerate(zip([2.0, -1.0, 1.0], weights, strict=True)):
            if hidden[at, unit] > 0 and outer > 0:  # positive input, positive gradient
                expected[at] += outer * inner
        assert expected.any()
        np.testing.assert_allclose(found.gradients(image, labels, channel).ravel(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in VARIANTS]
)
def test_every_discriminator_has_a_deepest_map_that_responds(variant):
    kind = load_variant(variant)
    _, discriminator = kind.networks(16, 3, 8, 0.1, num_classes=3 if kind.conditional else None)
    before = [weight.numpy() for weight in discriminator.weights]
    found = FeatureMap(discriminator)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 0], np.int32)
    layer, side = DEEPEST.get(variant, (found.layer, 4))
    assert found.layer == layer and discriminator.get_layer(layer).output.shape[1] == side
    responses = found.responses(images, labels)
    best = responses.max(axis=0).argmax()
    gradients = found.gradients(images, labels, best)
    assert responses.shape == (4, found.channels) and gradients.shape == images.shape
    assert np.abs(gradients).max(axis=(1, 2, 3)).max() > 0
    np.testing.assert_array_equal(found.responses(images[2:3], labels[2:3])[0].argmax(), responses[2].argmax())
    for old, weight in zip(before, discriminator.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


def test_a_network_without_a_rectified_map_is_refused():
    images = keras.Input((4, 4, 3))
    with pytest.raises(ValueError, match="no rectifier"):
        FeatureMap(keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(images))))


def test_gradients_become_pictures_around_mid_grey():
    gradients = np.zeros((2, 1, 3, 1), np.float32)
    gradients[0, 0, :, 0] = [-4, 0, 2]
    np.testing.assert_array_equal(as_picture(gradients)[..., 0], [[[1, 128, 192]], [[128, 128, 128]]])
