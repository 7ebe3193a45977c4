"""Streaming means and covariances, and the Frechet distance of them, against NumPy and closed forms."""

import numpy as np
import pytest

from tfgan_suite.scores.feature_metrics import standard_error
from tfgan_suite.scores.moments import Moments, frechet_influences, squared_frechet_distance

RNG = np.random.default_rng(0)


def streamed(rows, *sizes):
    moments = Moments(rows.shape[1])
    for part in np.split(rows, np.cumsum(sizes)[:-1]):
        moments.update(part)
    return moments


@pytest.mark.parametrize("sizes", [(71,), (32, 32, 7), (1,) * 71, (70, 1)])
@pytest.mark.parametrize("columns", [5, 100])
def test_parts_of_any_size_give_the_moments_of_the_whole(sizes, columns, monkeypatch):
    monkeypatch.setattr("tfgan_suite.scores.moments._BLOCK", 16)  # so that parts are folded in on the way
    rows = RNG.normal(size=(71, columns)) * 3 + 100
    moments = streamed(rows, *sizes)
    assert moments.count == 71
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.T), rtol=1e-9, atol=1e-9)
    assert len(moments.root) <= max(columns, 71)


def test_merged_parts_equal_the_whole_and_stay_as_they_are():
    rows = RNG.normal(size=(90, 6)) + 10
    parts = [streamed(rows[:20], 20), streamed(rows[20:21], 1), streamed(rows[21:], 69)]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    np.testing.assert_allclose(merged.covariance, np.cov(rows.T), rtol=1e-11)
    np.testing.assert_allclose(merged.mean, rows.mean(axis=0), rtol=1e-13)
    assert [part.count for part in parts] == [20, 1, 69]
    empty = Moments(6).merge(parts[0])
    np.testing.assert_allclose(empty.covariance, parts[0].covariance, rtol=1e-12)


def test_memory_does_not_grow_with_the_rows():
    moments = Moments(4)
    for _ in range(200):
        moments.update(RNG.normal(size=(50, 4)))
    held = sum(part.nbytes for part in moments._waiting) + moments._root.nbytes
    assert moments.count == 10_000 and held <= 2 * 256 * 4 * 8


def test_cancellation_does_not_spoil_a_small_spread_around_a_large_mean():
    rows = RNG.normal(size=(500, 3)) * 1e-6 + 1e6
    np.testing.assert_allclose(streamed(rows, 250, 250).covariance, np.cov(rows.T), rtol=1e-6)


def test_a_covariance_of_other_tools_gives_the_same_distance():
    one, other = RNG.normal(size=(50, 6)), RNG.normal(size=(60, 6)) + 1
    expected = squared_frechet_distance(Moments.of(one), Moments.of(other))
    stored = Moments.from_covariance(60, other.mean(axis=0), np.cov(other.T))
    assert squared_frechet_distance(Moments.of(one), stored) == pytest.approx(expected, rel=1e-9)
    few = other[:4]  # a covariance that is not of full rank
    expected = squared_frechet_distance(Moments.of(one), Moments.of(few))
    stored = Moments.from_covariance(4, few.mean(axis=0), np.cov(few.T))
    assert squared_frechet_distance(Moments.of(one), stored) == pytest.approx(expected, rel=1e-6)


def test_2048_columns_from_300_images():
    """Rows in a random subspace: the distance is that of their coordinates in it."""
    basis = np.linalg.qr(RNG.normal(size=(2048, 8)))[0].T
    one, other = RNG.normal(size=(300, 8)), RNG.normal(size=(300, 8)) * 2 + 0.5
    expected = squared_frechet_distance(Moments.of(one), Moments.of(other))
    found = squared_frechet_distance(Moments.of(one @ basis), Moments.of(other @ basis))
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_bias_is_that_of_the_closed_form():
    """E = (d (d + 1) / 2 + 2 d) / n to first order, of two samples of N(0, I_d)."""
    d, n = 8, 400
    values = [squared_frechet_distance(*map(Moments.of, RNG.normal(size=(2, n, d)))) for _ in range(200)]
    expected = (d * (d + 1) / 2 + 2 * d) / n
    assert np.mean(values) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("images", "columns"), [(40, 5), (6, 9)])
def test_influences_are_the_derivatives_by_the_weight_of_a_row(images, columns):
    """Against finite differences of the distance of weighted rows, of full rank and below it."""
    rows, other = RNG.normal(size=(images, columns)) + 0.3, Moments.of(RNG.normal(size=(60, columns)) * 1.5)

    def weighted(weights):
        mean = weights @ rows
        covariance = (rows - mean).T @ (weights[:, None] * (rows - mean)) * images / (images - 1)
        return squared_frechet_distance(Moments.from_covariance(images, mean, covariance), other)

    even, step, slopes = np.full(images, 1 / images), 3e-4, []
    for i in range(images):
        towards = np.eye(images)[i] - even
        slopes.append((weighted(even + step * towards) - weighted(even - step * towards)) / (2 * step))
    moments = Moments.of(rows)
    influences = frechet_influences(moments, other, rows)
    of_mean = 2 * (rows - moments.mean) @ (moments.mean - other.mean)
    of_covariance = (influences - influences.mean() - of_mean) * images / (images - 1)  # which is over n - 1
    np.testing.assert_allclose(of_mean + of_covariance, slopes, rtol=1e-3, atol=1e-3 * np.abs(slopes).max())


@pytest.mark.parametrize(("scale", "smallest", "largest"), [(1.5, 0.86, 1.14), (1.0, 1.2, 1.65)])
def test_errors_are_how_far_distances_vary(scale, smallest, largest):
    """Over 300 draws beside one reference, of the distance, at half as many images, and extrapolated.

    Neither too small nor too large where there is a distance; where there is none, and all of it is bias, sqrt(2) times
    too large, as theory says of the jackknife of a number of second order.
    """
    draws, count, columns = np.random.default_rng(1), 300, 4
    other = Moments.of(draws.normal(size=(100_000, columns)))
    second = np.arange(count) >= count // 2
    values, errors = [], []
    for _ in range(300):
        rows = draws.normal(size=(count, columns)) * scale
        parts = np.split(rows, 2)
        whole, *halves = (squared_frechet_distance(Moments.of(part), other) for part in (rows, *parts))
        of_whole, *of_parts = (frechet_influences(Moments.of(part), other, part) for part in (rows, *parts))
        half, of_halves = np.mean(halves), np.concatenate(of_parts)
        values.append((whole, half, 2 * whole - half))
        contributions = (of_whole, of_halves, 2 * of_whole - of_halves)
        errors.append([standard_error(influences, second, count) for influences in contributions])
    values, errors = np.array(values), np.array(errors)
    ratios = np.sqrt((errors**2).mean(axis=0)) / values.std(axis=0)
    covered = (np.abs(values - values.mean(axis=0)) < 1.96 * errors).mean(axis=0)
    assert (smallest < ratios).all() and (ratios < largest).all()
    assert (covered > 0.91).all() and (scale == 1.0 or (covered < 0.985).all())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Moments(3).update(np.zeros((2, 4))), r"\[N, 3\]. Received: shape=\(2, 4\)"),
        (lambda: Moments(1).update(np.array([[np.nan]])), "must be finite"),
        (lambda: Moments(3).merge(Moments(4)), "must have 3 columns. Received: 4"),
        (lambda: Moments.of(np.zeros(3)), r"Received: shape=\(3,\)"),
        (lambda: Moments.of(np.zeros((1, 3))).root, "2 images or more. Received: 1"),
        (lambda: Moments.from_covariance(9, np.zeros(3), np.eye(4)), r"Received: \(3,\) and \(4, 4\)"),
        (lambda: Moments.from_covariance(9, np.zeros(2), np.array([[1, 0.5], [0, 1]])), "symmetric"),
        (lambda: Moments.from_covariance(9, np.zeros(2), np.diag([1.0, -1.0])), "no negative eigenvalue"),
        (lambda: Moments.from_covariance(9, np.zeros(1), np.array([[np.inf]])), "must be finite"),
        (lambda: Moments.from_covariance(9, np.zeros(1), np.array([[1 + 1j]])), "sigma must be real numbers.*complex"),
        (lambda: Moments.from_covariance(9, np.array(["a"]), np.eye(1)), "mu must be real numbers. Received: <U1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
