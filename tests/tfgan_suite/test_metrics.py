"""Metrics against closed forms and independent NumPy."""

import numpy as np
import pytest

from tfgan_suite.metrics import (
    METRICS,
    asked_class_fraction,
    class_fractions,
    classifier_score,
    frechet_classifier_distance,
)

RNG = np.random.default_rng(0)


def logits_of(probabilities):
    return np.log(np.asarray(probabilities) + 1e-300)


def test_score_of_certain_and_balanced_predictions_is_the_number_of_classes():
    for classes in (2, 10):
        assert classifier_score(logits_of(np.eye(classes))) == (pytest.approx(classes, rel=1e-9), 0)


def test_score_of_uniform_or_constant_predictions_is_one():
    assert classifier_score(np.zeros((20, 7)))[0] == pytest.approx(1, rel=1e-12)
    assert classifier_score(np.tile(RNG.normal(size=7), (20, 1)))[0] == pytest.approx(1, rel=1e-12)
    certain = np.full((20, 7), -1e4)
    certain[:, 2] = 0
    assert classifier_score(certain)[0] == pytest.approx(1, rel=1e-12)


def test_score_of_blocks_is_the_number_of_blocks():
    """Predictions uniform within one of 3 disjoint groups of 4 classes each."""
    probabilities = np.repeat(np.kron(np.eye(3), np.full((1, 4), 0.25)), 5, axis=0)
    assert classifier_score(logits_of(probabilities))[0] == pytest.approx(3, rel=1e-9)


def test_score_equals_the_formula_and_splits_are_consecutive():
    p = RNG.dirichlet(np.ones(6), size=103)
    expected = []
    for i in range(4):
        part = p[i * 103 // 4 : (i + 1) * 103 // 4]
        expected.append(np.exp((part * np.log(part / part.mean(axis=0))).sum(axis=1).mean()))
    mean, deviation = classifier_score(np.log(p), splits=4)
    assert mean == pytest.approx(np.mean(expected), rel=1e-9)
    assert deviation == pytest.approx(np.std(expected), rel=1e-9)
    assert classifier_score(np.log(p) + 1000)[0] == pytest.approx(classifier_score(np.log(p))[0], rel=1e-9)


def sample_with(mean, covariance, n=400):
    """Rows whose sample mean and unbiased covariance are exactly as given."""
    x = RNG.normal(size=(n, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_commuting_gaussians():
    """Diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2."""
    s1, s2 = np.array([0.5, 1.0, 3.0]), np.array([2.0, 1.0, 0.1])
    one, other = sample_with(np.zeros(3), np.diag(s1**2)), sample_with(np.array([1.0, -2.0, 0.5]), np.diag(s2**2))
    expected = 1 + 4 + 0.25 + ((s1 - s2) ** 2).sum()
    assert frechet_classifier_distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert frechet_classifier_distance(other, one) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_general_gaussians():
    """Against the symmetric square root, tr (C1^(1/2) C2 C1^(1/2))^(1/2)."""
    a, b = RNG.normal(size=(4, 4)), RNG.normal(size=(4, 4))
    c1, c2 = a @ a.T + np.eye(4), b @ b.T + np.eye(4)
    values, vectors = np.linalg.eigh(c1)
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root)).sum()
    expected = 4 * 0.25 + np.trace(c1) + np.trace(c2) - 2 * cross
    one, other = sample_with(np.zeros(4), c1), sample_with(np.full(4, 0.5), c2)
    assert frechet_classifier_distance(one, other) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1e2, 1e4])
def test_frechet_distance_scales_exactly(scale):
    one, other = RNG.normal(size=(50, 8)), RNG.normal(size=(70, 8)) * 2 + 1
    plain = frechet_classifier_distance(one, other)
    assert frechet_classifier_distance(one * scale, other * scale) == pytest.approx(plain * scale**2, rel=1e-9)


def test_frechet_distance_below_full_rank():
    """Ten rows of 64 columns; only the first two columns vary, so the closed form in two dimensions holds."""
    one, other = np.zeros((10, 64)), np.zeros((10, 64))
    one[:, :2], other[:, :2] = RNG.normal(size=(10, 2)), RNG.normal(size=(10, 2)) * 3 + 1
    expected = frechet_classifier_distance(one[:, :2], other[:, :2])
    assert frechet_classifier_distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert frechet_classifier_distance(one, one) == pytest.approx(0, abs=1e-12)
    assert frechet_classifier_distance(one, one) >= 0


def test_class_fractions():
    logits = np.eye(4)[[0, 0, 1, 3, 0]]
    assert class_fractions(logits).tolist() == [0.6, 0.2, 0, 0.2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: classifier_score(np.zeros((3, 2)), splits=4), "Received: splits=4, images=3"),
        (lambda: classifier_score(np.zeros((0, 2))), "N at least 1"),
        (lambda: classifier_score(np.array([[np.nan, 1]])), "must be finite"),
        (lambda: frechet_classifier_distance(np.zeros((1, 3)), np.zeros((5, 3))), "two rows or more"),
        (lambda: frechet_classifier_distance(np.zeros((5, 3)), np.zeros((5, 4))), r"\(5, 3\) and \(5, 4\)"),
        (lambda: class_fractions(np.array([[np.inf, 1]])), "must be finite"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_table_names_its_functions():
    assert all(function.__name__ == name for name, function in METRICS.items())


def test_asked_class_fraction_counts_the_hits():
    logits = np.eye(4)[[0, 1, 2, 3, 3]]
    assert asked_class_fraction(logits, np.array([0, 1, 0, 3, 2])) == 0.6
    with pytest.raises(ValueError, match="labels must be one for each of 5 images"):
        asked_class_fraction(logits, np.array([0, 1]))
