"""The arithmetic of latents, against formulas written another way, and where those have no value."""

import math

import numpy as np
import pytest

from tfgan_suite.exploring.walks import PATHS, arithmetic, linear, spherical, truncated

SHARES = np.array([0, 0.25, 0.5, 0.9, 1])


def two(seed=0, dim=7):
    return np.random.default_rng(seed).normal(size=(2, dim)).astype(np.float32)


@pytest.mark.parametrize("path", PATHS.values())
@pytest.mark.parametrize(
    "ends", [two(), two(1, 1), np.zeros((2, 3)), np.eye(3)[:2] * 1e-20, np.array([[1.0, 2], [-1, -2]])]
)
def test_a_walk_begins_and_ends_at_its_ends_to_the_bit(path, ends):
    points = path(*ends, SHARES)
    np.testing.assert_array_equal(points[[0, -1]].astype(ends.dtype), ends)
    assert points.shape == (5, ends.shape[1]) and np.isfinite(points).all()


def test_the_straight_walk_goes_in_equal_steps():
    start, end = two()
    np.testing.assert_allclose(linear(start, end, SHARES)[3], 0.1 * start + 0.9 * end, rtol=1e-6)


def test_the_arc_is_shoemakes_between_ends_of_one_length():
    start, end = (5 * end / np.linalg.norm(end) for end in two(3).astype(np.float64))
    angle = math.acos(start @ end / 25)
    for share, point in zip(SHARES, spherical(start, end, SHARES), strict=True):
        expected = (math.sin((1 - share) * angle) * start + math.sin(share * angle) * end) / math.sin(angle)
        np.testing.assert_allclose(point, expected, atol=1e-12)
        assert np.linalg.norm(point) == pytest.approx(5)


def test_the_arc_turns_and_grows_at_constant_speed():
    points = spherical(np.array([1.0, 0]), np.array([0, 3.0]), np.linspace(0, 1, 7))
    np.testing.assert_allclose(np.arctan2(points[:, 1], points[:, 0]), np.linspace(0, math.pi / 2, 7), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), np.linspace(1, 3, 7))


def test_without_an_angle_the_arc_is_straight():
    start = np.array([1.0, 2, 2])
    for end in (3 * start, np.zeros(3), start):
        np.testing.assert_allclose(spherical(start, end, SHARES), linear(start, end, SHARES), atol=1e-12)


def test_opposite_ends_are_joined_by_one_arc_that_never_passes_zero():
    start = np.array([3.0, 0, 4])
    points = spherical(start, -start, np.linspace(0, 1, 9))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 5)
    np.testing.assert_allclose(points[4], [0, 5, 0], atol=1e-12)  # the axis that is perpendicular to the ends
    turns = np.einsum("ij,ij->i", points[1:], points[:-1]) / 25
    np.testing.assert_allclose(turns, math.cos(math.pi / 8))


def test_arithmetic_is_of_means_and_takes_away_what_it_adds():
    a, b, c = two(1), two(2)[:1], np.concatenate([two(3), two(4)])
    np.testing.assert_allclose(arithmetic(a, b, c), a.sum(0) / 2 - b[0] + c.sum(0) / 4, rtol=1e-5, atol=1e-6)
    mean = a.astype(np.float64).mean(axis=0).astype(np.float32)
    np.testing.assert_array_equal(arithmetic(a, c, c).astype(np.float32), mean)


def test_truncated_latents_have_the_law_of_those_drawn_anew():
    latents = np.random.default_rng(0).normal(size=20_000)
    drawn = np.random.default_rng(1).normal(size=200_000)
    for threshold in (0.3, 1.0, 2.5):
        found, expected = truncated(latents, threshold), drawn[np.abs(drawn) <= threshold]
        levels = np.linspace(0.02, 0.98, 25)
        spread = expected.std()
        np.testing.assert_allclose(np.quantile(found, levels), np.quantile(expected, levels), atol=0.04 * spread)
        assert np.abs(found).max() <= threshold
        order = np.argsort(latents)
        assert (np.diff(found[order]) >= 0).all()


def test_a_wide_threshold_changes_nothing_and_far_latents_stay_finite():
    latents = np.array([[-12.0, -5, -0.5, 0, 0.5, 5, 12]])
    np.testing.assert_array_equal(truncated(latents, math.inf), latents)
    np.testing.assert_allclose(truncated(latents[:, 1:-1], 9), latents[:, 1:-1], atol=1e-6)
    narrow = truncated(latents, 0.5)
    assert np.isfinite(narrow).all() and np.abs(narrow).max() <= 0.5
    np.testing.assert_allclose(narrow, -narrow[:, ::-1], atol=1e-12)
    for threshold in (0, -1, math.nan):
        with pytest.raises(ValueError, match="threshold must be positive"):
            truncated(latents, threshold)
