import hashlib
import time

import numpy as np
import pytest

from data_tools import shapes
from data_tools.errors import DataError

# SHA-256 of draw(100, seed=7).images: the same on every processor, Python and NumPy
KNOWN = "e9896ff5f0af406cce2fec8b9139b1de2ab53fdeaba9f0b701304209fb03d03d"


def test_splits_are_balanced_and_of_the_promised_size():
    began = time.monotonic()
    train, test = shapes.load("train"), shapes.load("test")
    assert time.monotonic() - began < 30  # a few seconds on an idle machine
    assert train.images.shape == (50_000, 32, 32, 3) and test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(train.labels).tolist() == [5000] * 10 and np.bincount(test.labels).tolist() == [1000] * 10
    assert train.class_names == shapes.CLASS_NAMES
    assert not np.array_equal(train.images[:10], test.images[:10])


def test_pixels_are_the_same_on_every_machine():
    assert hashlib.sha256(shapes.draw(100, seed=7).images.tobytes()).hexdigest() == KNOWN


def test_a_smaller_set_is_the_beginning_of_a_larger_one():
    np.testing.assert_array_equal(shapes.draw(30, seed=1).images, shapes.draw(300, seed=1).images[:30])


def test_seeds_differ():
    assert not np.array_equal(shapes.draw(10, seed=1).images, shapes.draw(10, seed=2).images)


def test_six_colours_on_a_dark_background():
    images = shapes.draw(600, seed=3).images.astype(int)
    corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.max() <= 48 and (corners.min(axis=-1) == corners.max(axis=-1)).all()
    centre = images[np.arange(600) % 10 == 0, 16, 16]  # circles
    hues = {tuple((colour > 0.62 * colour.max()).tolist()) for colour in centre}
    assert len(hues) == 6


@pytest.mark.parametrize("size", [16, 28, 32, 64, 108])
def test_any_size_shows_the_same_picture(size):
    """Averaged to 4x4 blocks, an image of another size is the same image, but for the edges' antialiasing."""
    small, other = shapes.draw(20, seed=5, image_size=32).images, shapes.draw(20, seed=5, image_size=size).images
    assert other.shape == (20, size, size, 3)

    def blocks(images):
        edge = images.shape[1] // 4
        return images.reshape(20, 4, edge, 4, edge, 3).mean(axis=(2, 4))

    assert np.abs(blocks(small) - blocks(other)).max() < (8 if size < 28 else 4)


def test_area_of_simple_shapes_is_that_of_their_formula():
    """Pixels of a large drawing against the area of circle, square and ring in units of the half width."""
    drawn = shapes.draw(200, seed=9, image_size=256)
    uniform = shapes._uniform((200, 10), 9)
    scale = 0.68 + 0.12 * uniform[:, 2]
    areas = {
        "circle": np.pi * 0.9**2,
        "square": 1.6**2,
        "ring": np.pi * (0.92**2 - 0.48**2),
        "plus": 2.28 - 0.36 + 0.36,
    }
    areas["plus"] = 2 * 1.9 * 0.6 - 0.6**2
    for i, label in enumerate(drawn.labels):
        name = drawn.class_names[label]
        if name in areas:
            image = drawn.images[i].max(axis=-1).astype(float)
            background, colour = image[0, 0], image[image > 100].max()
            covered = ((image - background) / (colour - background)).sum() / 128**2
            assert covered == pytest.approx(areas[name] * scale[i] ** 2, rel=0.01), name


def test_refusals():
    with pytest.raises(DataError, match="splits train, test, selection. Received: split='validation'"):
        shapes.load("validation")
    with pytest.raises(DataError, match="16 pixels or more.*Received: image_size=8"):
        shapes.draw(1, seed=0, image_size=8)
    with pytest.raises(DataError, match="drawn, not read.*Received: data_dir=somewhere"):
        shapes.load("train", data_dir="somewhere")
