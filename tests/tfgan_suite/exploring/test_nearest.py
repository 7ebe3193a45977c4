"""The nearest of images that come in batches, against looking at all of them at once."""

import numpy as np
import pytest

from tfgan_suite.exploring.nearest import nearest, pixels


@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_the_nearest_are_those_of_a_sort_of_all_distances(batch_size):
    random = np.random.default_rng(0)
    others = random.integers(0, 256, (40, 4, 4, 3), dtype=np.uint8)
    images = random.integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    batches = (others[i : i + batch_size] for i in range(0, 40, batch_size))
    numbers, distances, found = nearest(images, batches, 5, pixels)
    everything = np.sqrt(((images[:, None].astype(float) - others[None]) ** 2).sum(axis=(2, 3, 4)))
    expected = everything.argsort(axis=1)[:, :5]
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_allclose(distances, np.take_along_axis(everything, expected, axis=1))
    np.testing.assert_array_equal(found, others[expected])


def test_an_image_among_them_is_found_at_no_distance_by_any_measure():
    others = np.random.default_rng(1).integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
    for rows_of in (pixels, lambda images: images.mean(axis=(1, 2))):
        numbers, distances, _ = nearest(others[[17, 4]], [others[:20], others[20:]], 2, rows_of)
        assert numbers[:, 0].tolist() == [17, 4] and distances[:, 0].tolist() == [0, 0] and (distances[:, 1] > 0).all()


def test_of_two_at_one_distance_the_earlier_is_named_and_there_may_be_fewer():
    others = np.zeros((3, 2, 2, 1), np.uint8)
    others[0] = 9
    numbers, distances, _ = nearest(others[1:2], [others[:2], others[2:]], 9, pixels)
    assert numbers.tolist() == [[1, 2, 0]] and distances.tolist() == [[0, 0, 18]]
