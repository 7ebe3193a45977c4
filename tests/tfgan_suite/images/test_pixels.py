"""One rule from numbers to bytes, in NumPy and in a graph, for every range."""

import numpy as np
import pytest
import tensorflow as tf

from tfgan_suite.images.pixels import RANGES, as_uint8, to_uint8, to_uint8_in_graph


@pytest.mark.parametrize("values", RANGES)
def test_every_byte_comes_back_and_rounding_is_to_the_nearest(values):
    low, high = RANGES[values]
    levels = np.arange(256)
    exact = (low + (high - low) * levels / 255).astype(np.float32)
    np.testing.assert_array_equal(to_uint8(exact, values), levels)
    step = np.float32((high - low) / 255)
    for shift, moved in ((0.49, 0), (0.51, 1), (-0.49, 0), (-0.51, -1)):
        expected = np.clip(levels + moved, 0, 255)
        np.testing.assert_array_equal(to_uint8(exact + np.float32(shift) * step, values), expected)


@pytest.mark.parametrize("values", RANGES)
def test_scores_pictures_and_exports_round_alike(values):
    low, high = RANGES[values]
    numbers = np.random.default_rng(0).uniform(low, high, 3_000_000).astype(np.float32)
    rounded = to_uint8(numbers, values)
    np.testing.assert_array_equal(as_uint8(numbers, values, "x"), rounded)
    np.testing.assert_array_equal(tf.function(to_uint8_in_graph)(numbers, values).numpy(), rounded)


def test_what_is_out_of_range_is_clipped():
    assert to_uint8(np.array([-3.0, 3.0])).tolist() == [0, 255]
    assert to_uint8_in_graph(tf.constant([-3.0, 3.0])).numpy().tolist() == [0, 255]
