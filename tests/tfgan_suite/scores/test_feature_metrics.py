"""Metrics against closed forms and independent NumPy."""

import numpy as np
import pytest

from tfgan_suite.scores.feature_metrics import (
    KERNEL_PROTOCOLS,
    ScoreSums,
    authenticity,
    class_coverage,
    class_histogram_divergence,
    density_coverage,
    extrapolated,
    finite,
    kernel_classifier_distance,
    nearest_rows,
    precision_recall,
    split_assignment,
    standard_error,
)
from tfgan_suite.scores.gathering import Needs, Statistics
from tfgan_suite.scores.moments import Moments, squared_frechet_distance

RNG = np.random.default_rng(0)


def classifier_score(logits, splits=1, order=None):
    logits = finite(logits, "logits")
    sums = ScoreSums(split_assignment(len(logits), splits, order), splits, np.shape(logits)[-1])
    sums.update(0, logits)
    return sums.value()


def frechet_classifier_distance(one, other):
    return squared_frechet_distance(Moments.of(one), Moments.of(other))


def statistics_of(logits, labels=None, network_classes=None):
    found = Statistics(len(logits), needs=Needs())
    found.update(0, np.zeros((len(logits), 1, 1, 3), np.uint8), labels, {"logits": logits}, 4, network_classes)
    return found


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


def test_images_are_counted_by_class():
    logits = np.eye(4)[[0, 0, 1, 3, 0]]
    assert statistics_of(logits).class_counts.tolist() == [3, 1, 0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: classifier_score(np.zeros((3, 2)), splits=4), "Received: splits=4, images=3"),
        (lambda: classifier_score(np.zeros((0, 2))), "N at least 1"),
        (lambda: classifier_score(np.array([[np.nan, 1]])), "must be finite"),
        (lambda: frechet_classifier_distance(np.zeros((1, 3)), np.zeros((5, 3))), "2 images or more. Received: 1"),
        (
            lambda: frechet_classifier_distance(np.zeros((5, 3)), np.zeros((5, 4))),
            "as many columns as the reference: 3 and 4",
        ),
        (lambda: kernel_classifier_distance(np.zeros((9, 3)), np.zeros((5, 3)), subset_size=6), "drawn from 5"),
        (lambda: kernel_classifier_distance(np.zeros((9, 3)), np.zeros((9, 4))), "as many columns: 3 and 4"),
        (
            lambda: kernel_classifier_distance(np.zeros((9, 3)), np.zeros((5, 3)), protocol="blocks", subset_size=2),
            "5 images cannot be cut into 5 blocks",
        ),
        (lambda: kernel_classifier_distance(np.zeros((9, 3)), np.zeros((5, 3)), protocol="x"), "Received: 'x'"),
        (lambda: precision_recall(np.zeros((3, 2)), np.zeros((9, 2))), "3 neighbours need 4 images or more"),
        (lambda: statistics_of(np.array([[np.inf, 1]])), "must be finite"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_hits_of_the_asked_class_are_counted_by_the_networks_own_classes():
    logits = np.eye(4)[[0, 1, 2, 3, 3]]
    labels = np.array([0, 1, 0, 3, 2])
    found = statistics_of(logits, labels, np.arange(4))
    assert (found.asked, found.labelled) == (3, 5)
    swapped = statistics_of(logits, labels, np.array([2, 1, 0, 3]))  # the network calls 0 what the data call 2
    assert (swapped.asked, swapped.labelled) == (3, 5)
    assert statistics_of(logits, labels, np.array([1, 0, 3, 2])).asked == 1
    assert statistics_of(logits, labels).labelled == 0  # other classes than the network's


def test_streamed_score_equals_the_whole_whatever_the_parts():
    logits = RNG.normal(size=(71, 6)) * 3
    order = np.random.default_rng(5).permutation(71)
    expected = classifier_score(logits[order], splits=4)
    assert classifier_score(logits, splits=4, order=order) == pytest.approx(expected, rel=1e-9)
    assert classifier_score(logits, splits=4) != pytest.approx(expected, rel=1e-6)
    sums = ScoreSums(split_assignment(71, 4, order), 4, 6)
    for first, last in ((32, 64), (64, 71), (0, 32)):
        sums.update(first, logits[first:last])
    assert sums.value() == pytest.approx(expected, rel=1e-12)


def test_one_class_of_certain_predictions_scores_exactly_one():
    certain = np.full((20, 7), -1e4)
    certain[:, 2] = 1e4
    assert classifier_score(certain, splits=3) == (1.0, 0.0)


@pytest.mark.parametrize(("images", "splits"), [(10, 3), (11, 4), (7, 7), (1024, 10)])
def test_splits_are_the_published_slices(images, splits):
    assignment = split_assignment(images, splits)
    for i in range(splits):
        chosen = np.flatnonzero(assignment == i).tolist()
        assert chosen == list(range(images))[i * images // splits : (i + 1) * images // splits]


def kernel_sum_by_loops(x, y):
    """Unbiased squared MMD from its definition, pair by pair."""

    def kernel(a, b):
        return (float(np.dot(a, b)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def test_kernel_distance_in_blocks_equals_brute_force():
    one, other = RNG.normal(size=(17, 5)), RNG.normal(size=(12, 5)) + 0.3
    whole, spread, _ = kernel_classifier_distance(one, other, protocol="blocks", subset_size=20)
    assert whole == pytest.approx(kernel_sum_by_loops(one, other), rel=1e-9) and spread is None
    value, spread, _ = kernel_classifier_distance(one, other, protocol="blocks", subset_size=6)
    # three blocks: of 17 the sizes 5, 6, 6, of 12 three times 4
    blocks = [kernel_sum_by_loops(a, b) for a, b in zip(np.split(one, [5, 11]), np.split(other, [4, 8]), strict=True)]
    assert value == pytest.approx(np.mean(blocks), rel=1e-9)
    assert spread == pytest.approx(np.std(blocks, ddof=1) / np.sqrt(3), rel=1e-9)


def test_kernel_distance_over_subsets_equals_brute_force():
    one, other = RNG.normal(size=(17, 5)), RNG.normal(size=(12, 5)) + 0.3
    value, spread, _ = kernel_classifier_distance(one, other, subsets=4, subset_size=6, seed=3)
    rng = np.random.default_rng(3)
    expected = [
        kernel_sum_by_loops(one[rng.choice(17, 6, replace=False)], other[rng.choice(12, 6, replace=False)])
        for _ in range(4)
    ]
    assert value == pytest.approx(np.mean(expected), rel=1e-9)
    assert spread == pytest.approx(np.std(expected), rel=1e-9)
    assert kernel_classifier_distance(one, other, subsets=4, subset_size=6, seed=4)[0] != value
    assert kernel_classifier_distance(one, other, subsets=5, subset_size=6, seed=3)[0] != value


def test_kernel_distance_is_unbiased():
    """Of two samples of one distribution the mean over many draws is 0 within its error, from both sides."""
    values = [
        kernel_classifier_distance(*RNG.normal(size=(2, 20, 4)), protocol="blocks", subset_size=20)[0]
        for _ in range(400)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20


def torch_fidelitys(one, other, subsets, size, seed):
    """Mean and deviation by the rule that torch-fidelity documents, in its float32: for each subset `size` of the first
    set and then `size` of the second, drawn by one RandomState without replacement."""
    one, other, draws, values = one.astype(np.float32), other.astype(np.float32), np.random.RandomState(seed), []
    for _ in range(subsets):
        x = one[draws.choice(one.shape[0], size, replace=False)]
        y = other[draws.choice(other.shape[0], size, replace=False)]
        xx, yy, xy = ((np.einsum("id,jd->ij", a, b) / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        apart = ~np.eye(size, dtype=bool)
        values.append(xx[apart].mean() + yy[apart].mean() - 2 * xy.mean())
    return np.mean(values), np.std(values)


def test_kernel_distance_by_the_rule_of_torch_fidelity():
    """Of the same images in the same order of draws; the digits are those of `torch_fidelitys`, computed once."""
    digits = 0.1398996, 0.3139987
    draws = np.random.RandomState(7)
    one, other = np.abs(draws.normal(size=(60, 6))) + 0.1, np.abs(draws.normal(size=(50, 6)))
    protocol = KERNEL_PROTOCOLS["torch-fidelity"]
    assert (protocol.seed, protocol.size) == (2020, 1000)
    options = {"protocol": "torch-fidelity", "subsets": 100, "subset_size": 20}
    value, spread, _ = kernel_classifier_distance(one, other, seed=protocol.seed, **options)
    assert (value, spread) == pytest.approx(digits, abs=2e-6)
    assert torch_fidelitys(one, other, 100, 20, 2020) == pytest.approx(digits, abs=2e-6)
    assert abs(kernel_classifier_distance(other, one, seed=2020, **options).value - value) > 1e-4  # the order counts
    assert abs(kernel_classifier_distance(one, other, seed=2021, **options).value - value) > 1e-4
    options["protocol"] = "subsets"
    assert abs(kernel_classifier_distance(one, other, seed=2020, **options).value - value) > 1e-4


@pytest.mark.parametrize("shift", [0, 0.4])
@pytest.mark.parametrize(
    ("images", "real", "options"),
    [
        (60, 60, {"subsets": 2, "subset_size": 60}),  # every subset is the whole
        (150, 120, {"subsets": 8, "subset_size": 40}),
        (150, 40, {"subsets": 8, "subset_size": 40, "protocol": "torch-fidelity"}),
        (50, 60, {"subset_size": 60, "protocol": "blocks"}),
        (120, 150, {"subset_size": 50, "protocol": "blocks"}),
    ],
)
def test_the_error_of_the_kernel_distance_is_how_far_it_varies(shift, images, real, options):
    """Over draws of the images and of the subsets, beside one reference; neither too small nor too large."""
    draws = np.random.default_rng(3)
    reference = draws.normal(size=(real, 8))
    found = [
        kernel_classifier_distance(draws.normal(size=(images, 8)) + shift, reference, seed=seed, **options)
        for seed in range(300)
    ]
    values, errors = np.array([each.value for each in found]), np.array([each.error for each in found])
    assert (errors > 0).all()
    assert 0.85 < np.sqrt((errors**2).mean()) / values.std() < 1.2
    assert 0.88 < (np.abs(values - values.mean()) < 1.96 * errors).mean() < 0.985


def test_too_few_images_have_no_kernel_error():
    one, other = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
    assert kernel_classifier_distance(one, other, protocol="blocks").error is None


def test_the_standard_error_is_of_the_variance_within_groups():
    influences, groups = np.array([1.0, 2, 3, 10, 12]), np.array([True, True, True, False, False])
    assert standard_error(influences, groups, 50) == pytest.approx(np.sqrt((2 + 2) / 3 / 50), rel=1e-12)
    assert standard_error(influences + 7 * groups, groups, 50) == pytest.approx(np.sqrt(4 / 150), rel=1e-12)
    assert standard_error(influences[2:4], groups[2:4], 50) is None
    assert standard_error(influences, np.zeros(5), 50) == pytest.approx(np.std(influences, ddof=1) / 50**0.5, rel=1e-12)


def distances_by_loops(x, y):
    return np.array([[np.sqrt(((a - b) ** 2).sum()) for b in y] for a in x])


def test_neighbour_metrics_equal_brute_force():
    fake, real = RNG.normal(size=(40, 3)) * 0.7, RNG.normal(size=(50, 3))
    between = distances_by_loops(fake, real)

    def radii(rows, k):
        return np.sort(distances_by_loops(rows, rows), axis=1)[:, k]  # column 0 is the row itself

    precision = (between <= radii(real, 3)).any(axis=1).mean()
    recall = (radii(fake, 3) >= between.T).any(axis=1).mean()
    assert precision_recall(fake, real, k=3) == (pytest.approx(precision, rel=1e-9), pytest.approx(recall, rel=1e-9))
    assert precision_recall(fake, real, k=1) != precision_recall(fake, real, k=3)
    inside = between < radii(real, 5)
    expected = pytest.approx(inside.sum() / (5 * 40), rel=1e-9), pytest.approx(inside.any(axis=0).mean(), rel=1e-9)
    assert density_coverage(fake, real, k=5) == expected
    own = radii(real, 1)
    nearest = between.argmin(axis=1)
    value, found, ratios = authenticity(fake, real)
    assert value == pytest.approx((between.min(axis=1) >= own[nearest]).mean(), rel=1e-9)
    np.testing.assert_array_equal(found, nearest)
    np.testing.assert_allclose(ratios, between.min(axis=1) / own[nearest], rtol=1e-9)
    rows, squared = nearest_rows(fake, real, 4)
    np.testing.assert_array_equal(rows, np.argsort(between, axis=1)[:, :4])
    np.testing.assert_allclose(squared, np.sort(between, axis=1)[:, :4] ** 2, rtol=1e-9)


def test_blocks_of_rows_change_nothing(monkeypatch):
    fake, real = RNG.normal(size=(40, 3)), RNG.normal(size=(50, 3))
    whole = precision_recall(fake, real), density_coverage(fake, real), authenticity(fake, real)[0]
    monkeypatch.setattr("tfgan_suite.scores.feature_metrics._BLOCK_NUMBERS", 7 * 50)
    assert (precision_recall(fake, real), density_coverage(fake, real), authenticity(fake, real)[0]) == whole


def test_neighbour_metrics_of_equal_and_of_distant_sets():
    one = RNG.normal(size=(100, 4))
    assert precision_recall(one, one) == (1, 1)
    assert density_coverage(one, one)[1] == 1
    assert authenticity(one, one)[0] == 0  # every image is a copy
    assert precision_recall(one, one + 100) == (0, 0)
    assert density_coverage(one, one + 100) == (0, 0)
    assert authenticity(one + 100, one)[0] == 1


def test_copies_of_images_that_are_there_twice_are_copies_too():
    rows = RNG.normal(size=(60, 64)) * 3 + 5
    twice = np.concatenate([rows, rows])
    value, _, ratios = authenticity(rows, twice)
    assert value == 0 and (ratios == 0).all()
    assert precision_recall(rows, twice, k=1) == (1, 1)


def test_logits_of_any_size_give_a_finite_score():
    assert classifier_score([[1.7e308, -1.7e308], [0, 0]])[0] == pytest.approx(np.exp(0.5 * np.log(4 / 3) + 0.5 * (
        0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25))), rel=1e-9)  # fmt: skip


def test_density_of_equal_distributions_is_one():
    """Its expectation is 1 if both are drawn from one law (Naeem et al., section 3.2)."""
    values = [density_coverage(*RNG.normal(size=(2, 200, 4)), k=5)[0] for _ in range(30)]
    assert np.mean(values) == pytest.approx(1, abs=0.05)


def test_class_histograms():
    assert class_coverage(np.array([0.5, 0.45, 0.03, 0.02] + [0.0] * 6)) == 0.3
    assert class_coverage(np.full(1000, 1e-3)) == 1  # an even share, of a thousand classes
    assert class_coverage(np.array([0.5, 0.45, 0.03, 0.02] + [0.0] * 6), share=0.1) == 0.4
    p, q = np.array([30, 10, 0]), np.array([20, 20, 10])
    smoothed = (q + 0.5) / (q + 0.5).sum()
    expected = 0.75 * np.log(0.75 / smoothed[0]) + 0.25 * np.log(0.25 / smoothed[1])
    assert class_histogram_divergence(p, q) == pytest.approx(expected, rel=1e-9)
    assert class_histogram_divergence(np.array([5, 5]), np.array([10, 0])) > 0.8  # finite, though a class is missing
    assert class_histogram_divergence(np.array([5, 5]), np.array([70, 70])) == 0


def test_extrapolation_is_exact_where_the_bias_is_proportional():
    def biased(n):
        return 3.5 + 120 / n

    assert extrapolated(biased(1000), biased(500)) == pytest.approx(3.5, rel=1e-9)


def test_values_agree_with_tfgans_where_its_are_well_conditioned():
    from tfgan_suite.scores import tfgan

    logits = RNG.normal(size=(200, 10)).astype(np.float32) * 2
    assert tfgan.inception_score(logits) == pytest.approx(classifier_score(logits)[0], rel=1e-5)
    one, other = (RNG.normal(size=(n, 16)).astype(np.float32) + shift for n, shift in ((300, 0), (400, 0.2)))
    assert tfgan.frechet_distance(one, other) == pytest.approx(frechet_classifier_distance(one, other), rel=1e-4)
    value, spread, _ = kernel_classifier_distance(one, other, protocol="blocks", subset_size=128)
    assert tfgan.kernel_distance(one, other, 128) == (pytest.approx(value, rel=1e-3), pytest.approx(spread, rel=1e-3))
