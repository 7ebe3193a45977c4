"""Closed-form directions: a linear generator's singular vectors, and what is found in every variant's first layer."""

import keras
import numpy as np
import pytest

from data_tools.errors import SuiteError
from models_zoo import VARIANTS, load_variant
from tfgan_suite.exploring.directions import factorised, first_layer


def test_the_directions_of_a_linear_generator_are_its_singular_vectors():
    matrix = np.random.default_rng(0).normal(size=(48, 5)).astype(np.float32)
    latents = keras.Input((5,))
    dense = keras.layers.Dense(48, name="only")
    generator = keras.Model(latents, keras.layers.Reshape((4, 4, 3))(dense(latents)))
    dense.set_weights([matrix.T, np.full(48, 3.0, np.float32)])
    name, found = first_layer(generator)
    np.testing.assert_allclose(found, matrix, atol=1e-5)
    rows, strengths = factorised(found)
    _, values, vectors = np.linalg.svd(matrix.astype(np.float64))
    assert name == "only"
    np.testing.assert_allclose(strengths, values, rtol=1e-5)
    np.testing.assert_allclose(np.abs((rows * vectors).sum(axis=1)), 1, atol=1e-4)  # the same up to the sign
    np.testing.assert_allclose(rows @ rows.T, np.eye(5), atol=1e-9)
    assert (rows[np.arange(5), np.abs(rows).argmax(axis=1)] > 0).all()


def test_no_unit_vector_moves_the_layer_more_than_the_first_direction():
    matrix = np.random.default_rng(1).normal(size=(9, 4)) * [5, 1, 1, 0]
    rows, strengths = factorised(matrix)
    others = np.random.default_rng(2).normal(size=(500, 4))
    moved = np.linalg.norm(others @ matrix.T, axis=1) / np.linalg.norm(others, axis=1)
    assert np.linalg.norm(matrix @ rows[0]) == pytest.approx(strengths[0])
    assert moved.max() <= strengths[0] and strengths[-1] == pytest.approx(0, abs=1e-6)


def kernel_of_latents(generator, layer):
    """The kernel that the latents meet, [outputs, d], read from the weights, and how many latents it takes."""
    weights = [weight.numpy() for weight in generator.get_layer(layer).weights if "kernel" in weight.path]
    dim = generator.inputs[0].shape[-1]
    return weights[0][:dim].T


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=pytest.mark.slow if name == "sagan" else ()) for name in VARIANTS]
)
def test_the_first_layer_of_every_variant_is_found(variant):
    kind = load_variant(variant)
    classes = 3 if kind.conditional else None
    generator, _ = kind.networks(16, 3, 9, 0.05, num_classes=classes)
    for weight in generator.weights:  # an averaged generator has none that are trainable
        weight.trainable = False
    name, found = first_layer(generator)
    kernel = kernel_of_latents(generator, name)
    scale = found[:, : kernel.shape[1]] / np.where(np.abs(kernel) > 1e-3, kernel, np.nan)
    assert np.nanstd(scale) < 1e-3 * np.nanmean(scale) and np.nanmean(scale) > 0  # the layer's, times one number
    assert not found[:, kernel.shape[1] :].any()  # latents that go elsewhere


def test_a_generator_that_sees_no_latents_is_refused():
    latents = keras.Input((3,))
    images = keras.layers.Dense(4, kernel_initializer="zeros")(latents)
    with pytest.raises(SuiteError, match="no layer with weights that its latents reach"):
        first_layer(keras.Model(latents, images))
