"""Pictures: where each pixel stands, in grids, enlarged, with names, and moving."""

import numpy as np
import pytest
from PIL import Image

from tfgan_suite.images import pictures


def some(n=5, side=8, channels=3):
    return np.random.default_rng(0).integers(0, 200, (n, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("n", "columns"), [(5, 3), (5, None), (1, 1), (64, 8)])
def test_a_named_grid_is_at_least_640_wide_and_every_pixel_is_a_whole_square(n, columns, channels):
    images = some(n, 8, channels)
    found = np.asarray(pictures.named_grid(images, columns))
    across = columns or 3
    native = across * 10 + 2
    factor = found.shape[1] // native
    assert found.shape == (factor * ((-(-n // across)) * 10 + 2), factor * native, 3)
    assert 640 <= found.shape[1] < 640 + native
    small = found[::factor, ::factor]
    np.testing.assert_array_equal(found, small.repeat(factor, axis=0).repeat(factor, axis=1))
    for i, image in enumerate(images):
        top, left = 2 + i // across * 10, 2 + i % across * 10
        expected = np.broadcast_to(image, (8, 8, 3))
        np.testing.assert_array_equal(small[top : top + 8, left : left + 8], expected)
    assert (small[:2] == 255).all() and (small[:, :2] == 255).all()


def ink(picture, box):
    return np.asarray(picture.crop(box).convert("L")) < 128


def test_names_stand_over_their_columns_and_beside_their_rows():
    images = np.full((6, 32, 32, 3), 255, np.uint8)
    plain = pictures.named_grid(images, 3)
    named = pictures.named_grid(images, 3, column_names=["one", "", "three"], row_names=["", "below"])
    left, top = named.width - plain.width, named.height - plain.height
    assert left > 0 and top > 0
    width, height = plain.width // 3, plain.height // 2
    over = [ink(named, (left + i * width, 0, left + (i + 1) * width, top)).any() for i in range(3)]
    beside = [ink(named, (0, top + i * height, left, top + (i + 1) * height)).any() for i in range(2)]
    assert over == [True, False, True] and beside == [False, True]
    assert not ink(named, (left, top, named.width, named.height)).any()  # nothing is written over images
    columns = np.flatnonzero(ink(named, (left, 0, left + width, top)).any(axis=0))
    assert abs(columns.mean() - width / 2) < width / 10  # in the middle of its column


def test_long_names_stand_upright_and_strange_ones_do_no_harm():
    images = some(20, 32)
    names = ["a very long name of a class"] * 20
    upright = pictures.named_grid(images, 20, column_names=names)
    assert upright.height - pictures.named_grid(images, 20).height > 100
    endless = pictures.named_grid(images, 20, column_names=["x" * 10_000, *names[1:]], row_names=["y" * 10_000])
    assert endless.width < upright.width + 300 and endless.height < upright.height + 300
    other = pictures.named_grid(images, 20, column_names=["\x00\n\u202e", *names[1:]])
    assert other.height == upright.height
    letters = [np.asarray(pictures.named_grid(images[:1], 1, column_names=[name])) for name in "Яβ\u00e9?"]
    assert len({each.tobytes() for each in letters}) == 4  # one glyph each, not a box for all


@pytest.mark.parametrize(("width", "factor"), [(1, 640), (274, 3), (640, 1), (641, 1), (320, 2), (319, 3)])
def test_the_factor_is_the_smallest_whole_number(width, factor):
    assert pictures.factor_to(width) == factor
    assert pictures.enlarged(Image.new("L", (width, 2))).size == (width * factor, 2 * factor)


def test_a_gif_holds_its_frames_and_repeats(tmp_path):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((255, 0, 0), (0, 200, 0), (0, 0, 90))]
    pictures.save_gif((frame for frame in frames), tmp_path / "a.gif", milliseconds=50, last=900)
    with Image.open(tmp_path / "a.gif") as found:
        assert (found.n_frames, found.size, found.info["loop"]) == (3, (20, 10), 0)
        for number, frame in enumerate(frames):
            found.seek(number)
            np.testing.assert_array_equal(np.asarray(found.convert("RGB")), np.asarray(frame))
            assert found.info["duration"] == (900 if number == 2 else 50)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_a_caption_stands_below():
    picture = Image.new("L", (200, 40), 7)
    found = pictures.captioned(picture, "step 500")
    assert found.width == 200 and (np.asarray(found)[:40] == 7).all()
    assert ink(found, (0, 40, 200, found.height)).any()
