"""MS-SSIM against TensorFlow's, the sliced Wasserstein distance against its definition."""

import numpy as np
import pytest
import tensorflow as tf

from data_tools import shapes
from tfgan_suite.scores import picture_metrics
from tfgan_suite.scores.picture_metrics import mean_ms_ssim, ms_ssim, ms_ssim_scales, sliced_wasserstein

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("size", "scales"), [(11, 1), (21, 2), (28, 2), (32, 2), (64, 3), (108, 4), (299, 5)])
def test_scales_that_fit_the_window(size, scales):
    assert ms_ssim_scales(size) == scales


@pytest.mark.parametrize("size", [32, 108])
@pytest.mark.parametrize("channels", [1, 3])
def test_ms_ssim_equals_that_of_tensorflow(size, channels):
    one = shapes.draw(6, seed=1, image_size=size).images[..., :channels]
    other = (one * 0.7 + RNG.integers(0, 70, one.shape)).astype(np.uint8)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][: ms_ssim_scales(size)])
    expected = tf.image.ssim_multiscale(one, other, 255, power_factors=list(weights / weights.sum()))
    np.testing.assert_allclose(ms_ssim(one, other), expected, atol=2e-5)
    np.testing.assert_allclose(ms_ssim(one, one), 1, rtol=1e-12)


def test_mean_over_pairs_never_pairs_an_image_with_itself():
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[1] = RNG.integers(0, 256, images[1].shape)
    expected = ms_ssim(images[:1], images[1:])[0]
    assert mean_ms_ssim(images, 30, seed=0) == (pytest.approx(expected, rel=1e-9), pytest.approx(0, abs=1e-9))
    with pytest.raises(ValueError, match="2 images or more. Received: 1"):
        mean_ms_ssim(images[:1], 5, seed=0)
    many = RNG.integers(0, 256, (9, 32, 32, 3)).astype(np.uint8)
    assert mean_ms_ssim(many, 250, seed=0) != mean_ms_ssim(many, 250, seed=1)
    assert mean_ms_ssim(many, 250, seed=0) != mean_ms_ssim(many, 100, seed=0)


def test_too_small_images_are_refused():
    with pytest.raises(ValueError, match="11 pixels or more. Received: 10"):
        ms_ssim_scales(10)
    with pytest.raises(ValueError, match="16 pixels or more. Received: 12"):
        sliced_wasserstein(np.zeros((2, 12, 12, 3), np.uint8), np.zeros((2, 12, 12, 3), np.uint8))
    with pytest.raises(ValueError, match="same shape"):
        sliced_wasserstein(np.zeros((2, 32, 32, 3), np.uint8), np.zeros((3, 32, 32, 3), np.uint8))


def test_pyramid_takes_images_apart_and_its_levels_add_up_again():
    images = RNG.integers(0, 256, (2, 108, 108, 3)).astype(np.uint8)
    levels = picture_metrics._laplacian_pyramid(images)
    assert [level.shape[1] for level in levels] == [108, 54, 27]
    rebuilt = levels[-1]
    for level in levels[-2::-1]:
        size = level.shape[1]
        wide = np.zeros((len(images), size, size, 3))
        wide[:, ::2, ::2] = rebuilt
        taps = np.array([1, 4, 6, 4, 1]) / 8  # one of two pixels is there
        for axis in (1, 2):
            padded = np.pad(wide, [(2, 2) if a == axis else (0, 0) for a in range(4)], mode="reflect")
            wide = sum(tap * np.take(padded, range(i, i + size), axis=axis) for i, tap in enumerate(taps))
        rebuilt = level + wide
    np.testing.assert_allclose(rebuilt, images, atol=1e-2)
    flat = picture_metrics._laplacian_pyramid(np.full((1, 64, 64, 1), 90, np.uint8))
    np.testing.assert_allclose(flat[-1], 90, rtol=1e-5)  # a flat image is all in the last level
    np.testing.assert_allclose(flat[0], 0, atol=1e-3)


def test_sliced_wasserstein_equals_its_definition_on_one_level():
    """16 pixels are a single level; patches and projections are drawn again from the same seed, by loops."""
    one, other = (RNG.integers(0, 256, (3, 16, 16, 2)).astype(np.uint8) for _ in range(2))
    found = sliced_wasserstein(one, other, patches=4, directions=5, repeats=2, seed=7)
    rng = np.random.default_rng(7)
    corners = rng.integers(10, size=(2, 2, 3, 4))
    sets = []
    for images, (tops, lefts) in zip((one, other), corners, strict=True):
        patches = np.array(
            [
                images[n, t : t + 7, c : c + 7].astype(float)
                for n in range(3)
                for t, c in zip(tops[n], lefts[n], strict=True)
            ]
        )
        patches = (patches - patches.mean(axis=(0, 1, 2))) / patches.std(axis=(0, 1, 2))
        sets.append(np.moveaxis(patches, 3, 1).reshape(12, -1))
    values = []
    for _ in range(2):
        axes = rng.normal(size=(98, 5))
        for column in (axes / np.linalg.norm(axes, axis=0)).T:
            values.append(np.abs(np.sort(sets[0] @ column) - np.sort(sets[1] @ column)).mean())
    assert found == {"16": pytest.approx(1000 * np.mean(values), rel=1e-9), "average": found["16"]}


def test_sliced_wasserstein_sees_blur_and_every_option_counts():
    real, same = shapes.draw(100, seed=1).images, shapes.draw(100, seed=2).images
    blurred = tf.cast(tf.nn.avg_pool2d(tf.cast(same, tf.float32), 3, 1, "SAME"), tf.uint8).numpy()
    near = sliced_wasserstein(same, real)
    assert set(near) == {"32", "16", "average"} and near["average"] == pytest.approx((near["32"] + near["16"]) / 2)
    assert sliced_wasserstein(blurred, real)["32"] > 1.5 * near["32"]
    for option in ({"seed": 1}, {"patches": 8}, {"directions": 16}, {"repeats": 1}):
        assert sliced_wasserstein(same, real, **option)["average"] != near["average"]
