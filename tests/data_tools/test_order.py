import numpy as np

from data_tools import order


def test_every_image_once_an_epoch():
    stream = order.indices(10, 0, 30, seed=4)
    for epoch in range(3):
        assert sorted(stream[epoch * 10 : (epoch + 1) * 10]) == list(range(10))
        np.testing.assert_array_equal(
            stream[epoch * 10 : (epoch + 1) * 10], np.random.default_rng([4, epoch]).permutation(10)
        )


def test_any_part_of_the_stream_is_the_same_however_it_is_cut():
    whole = order.indices(7, 0, 60, seed=1)
    for start, count in ((0, 3), (5, 4), (6, 1), (7, 7), (13, 30), (59, 1), (20, 0)):
        np.testing.assert_array_equal(order.indices(7, start, count, seed=1), whole[start : start + count])


def test_seeds_and_epochs_differ():
    assert not np.array_equal(order.indices(50, 0, 50, seed=1), order.indices(50, 0, 50, seed=2))
    assert not np.array_equal(order.indices(50, 0, 50, seed=1), order.indices(50, 50, 50, seed=1))
