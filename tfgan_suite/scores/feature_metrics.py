"""Metrics of logits and features as pure float64 functions; those of pictures are in `picture_metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_ROUNDING = 1e-12  # of a squared distance, over the squared lengths that it is the difference of
_BLOCK_NUMBERS = 1 << 21  # distances in a block of pairs: 16 MB, which stay in the memory that is there already


class ScoreSums:
    """The classifier score of a stream of logits, from sums of p and of p log p in each split.

    exp of the mean Kullback-Leibler divergence of p(y | x) from p(y), over equal consecutive parts of the images.

    Source: Salimans et al., Improved Techniques for Training GANs (2016), section 4.

    Args:
        assignment: int [N], the split of each image in the order in which they come.
        splits: number of splits.
        classes: number of columns.
    """

    def __init__(self, assignment: np.ndarray, splits: int, classes: int) -> None:
        self._assignment = assignment
        self.counts = np.zeros(splits, dtype=np.int64)
        self.probabilities = np.zeros((splits, classes))
        self.negative_entropies = np.zeros(splits)

    def update(self, first: int, logits: np.ndarray) -> None:
        """Take in the logits [n, classes] of the images from number `first` on."""
        log_p = log_softmax(logits)
        p = np.exp(log_p)
        entropies = np.where(p > 0, p * log_p, 0).sum(axis=1)
        splits = self._assignment[first : first + len(logits)]
        np.add.at(self.counts, splits, 1)
        np.add.at(self.probabilities, splits, p)
        np.add.at(self.negative_entropies, splits, entropies)

    def value(self) -> tuple[float, float]:
        """Mean and population standard deviation over the splits; each one's score is in [1, classes]."""
        marginal = self.probabilities / self.counts[:, None]
        logs = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
        divergences = self.negative_entropies / self.counts - (marginal * logs).sum(axis=1)
        scores = np.exp(np.maximum(divergences, 0.0))  # a mean of divergences; rounding can bring it under 0
        return float(scores.mean()), float(scores.std())


def split_assignment(num_images: int, splits: int, order: np.ndarray | None = None) -> np.ndarray:
    """The split of each image: position j belongs to split i if it is in `[i * N // splits, (i + 1) * N // splits)`.

    Args:
        order: a permutation of the images, whose entry j is the image at position j; None for the order they are in.

    Returns:
        int [num_images].

    Raises:
        ValueError: for fewer images than splits.
    """
    if not 1 <= splits <= num_images:
        raise ValueError(
            f"splits must be from 1 to the number of images. Received: splits={splits}, images={num_images}"
        )
    bounds = np.arange(1, splits) * num_images // splits
    by_position = np.searchsorted(bounds, np.arange(num_images), side="right")
    if order is None:
        return by_position
    by_image = np.empty_like(by_position)
    by_image[order] = by_position
    return by_image


def extrapolated(full: float, half: float) -> float:
    """The distance at infinitely many images, if the bias is proportional to 1 / N: 2 f(N) - f(N/2).

    Source: Chong and Forsyth, Effectively Unbiased FID and Inception Score and where to find them (2020), section 3.
    It may be below 0, which says that it is smaller than its error.
    """
    return 2 * full - half


def standard_error(influences: np.ndarray, groups: np.ndarray, count: int) -> float | None:
    """The standard error of a number of `count` images, from how much each of some of them moves it.

    Args:
        influences: [k], up to a constant of each group.
        groups: [k], which group of images each is from.

    Returns:
        The root of the variance within the groups over `count`; None for one image to a group, which have none.
    """
    parts = [influences[groups == group] for group in np.unique(groups)]
    free = len(influences) - len(parts)
    if free < 1:
        return None
    squares = sum(((part - part.mean()) ** 2).sum() for part in parts)
    return float(np.sqrt(squares / free / count))


class KernelProtocol(NamedTuple):
    """How the kernel distance's images are drawn.

    `size` is the images in a subset, or in a block at most; `spread_is` what the spread is; `seed` that of the draws,
    where the rule names one.
    """

    size: int
    spread_is: str
    seed: int | None = None


_OVER_SUBSETS = "population standard deviation over 100 subsets"
KERNEL_PROTOCOLS = {
    "subsets": KernelProtocol(1000, _OVER_SUBSETS),
    "torch-fidelity": KernelProtocol(1000, _OVER_SUBSETS, seed=2020),
    "blocks": KernelProtocol(1024, "standard error over blocks"),
}


class KernelDistance(NamedTuple):
    """`value`, which may be a little below 0; `spread`, of the protocol's kind; `error`, the standard error.

    The error is over draws of `features` and, for subsets, of the subsets; the reference is held fixed.
    """

    value: float
    spread: float | None
    error: float | None


def kernel_classifier_distance(
    features: np.ndarray,
    reference: np.ndarray,
    *,
    protocol: str = "subsets",
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """Unbiased squared maximum mean discrepancy with the kernel (x . y / d + 1)^3.

    Source: Binkowski et al., Demystifying MMD GANs (2018), section 4; all published protocols:

    - `"subsets"`: the mean over `subsets` pairs of random subsets of `subset_size` images each, drawn without
      replacement within a subset; the spread is the population standard deviation over the subsets (subsets overlap,
      so it is not the error of the mean).
    - `"torch-fidelity"`: the same with that tool's draws, by NumPy's older `RandomState`: with the seed 2020, 100
      subsets of 1,000, and both sets in their stored order, they are the images that its published digits are of. It
      computes in float32, here it is float64: they differ by some 1e-6.
    - `"blocks"`, TF-GAN's: the images in their order, cut into equal blocks of at most `subset_size`, each used once;
      the spread is the standard error of the mean over the blocks, None for a single block.

    Args:
        features, reference: [N, d] and [M, d].

    Raises:
        ValueError: for fewer images than a subset, or blocks of fewer than two images.
    """
    features, reference = finite(features, "features"), finite(reference, "reference")
    if features.shape[1] != reference.shape[1]:
        raise ValueError(f"features must have as many columns: {features.shape[1]} and {reference.shape[1]}")
    fewest = min(len(features), len(reference))
    if protocol not in KERNEL_PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(KERNEL_PROTOCOLS)}. Received: {protocol!r}")
    if protocol == "blocks":
        blocks = -(-max(len(features), len(reference)) // subset_size)
        if fewest < 2 * blocks:
            raise ValueError(f"{fewest} images cannot be cut into {blocks} blocks of 2 or more")
        pairs = zip(_blocks(features, blocks), _blocks(reference, blocks), strict=True)
        found = [_unbiased_mmd(one, other, share=1.0) for one, other in pairs]
        values = [mmd.value for mmd in found]
        spread = float(np.std(values, ddof=1) / np.sqrt(blocks)) if blocks > 1 else None
        return KernelDistance(float(np.mean(values)), spread, _blocks_error(found))
    if not 2 <= subset_size <= fewest or subsets < 1:
        raise ValueError(
            f"{subsets} subsets of {subset_size} images cannot be drawn from {fewest}: 2 or more in each are needed"
        )
    rng = np.random.RandomState(seed) if protocol == "torch-fidelity" else np.random.default_rng(seed)
    found, share = [], subset_size / len(reference)
    for _ in range(subsets):
        rows = [rng.choice(len(whole), subset_size, replace=False) for whole in (features, reference)]
        found.append(_unbiased_mmd(features[rows[0]], reference[rows[1]], share))
    values = [mmd.value for mmd in found]
    spread = float(np.std(values))
    return KernelDistance(float(np.mean(values)), spread, _subsets_error(found, len(features)))


def precision_recall(features: np.ndarray, reference: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Precision and recall, each in [0, 1].

    Precision is the fraction of `features` within the distance of some reference row to its k-th neighbour among the
    reference; recall is the same with the two exchanged.

    Source: Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models (2019), eq. 1-3.
    """
    features, reference = finite(features, "features"), finite(reference, "reference")
    values = []
    for inside, balls in ((features, reference), (reference, features)):
        radii = neighbour_distances(balls, k)
        hits = [(block <= radii).any(axis=1) for _, block in _squared_distances(inside, balls)]
        values.append(float(np.concatenate(hits).mean()))
    return values[0], values[1]


def density_coverage(features: np.ndarray, reference: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Density, 0 or more with 1 for equal distributions, and coverage in [0, 1].

    Density counts in how many balls of reference rows, with the distance to the k-th neighbour as radius, a row of
    `features` lies, over k; coverage is the fraction of reference rows whose ball holds one of `features`.

    Source: Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models (2020), eq. 3-4.
    """
    features, reference = finite(features, "features"), finite(reference, "reference")
    radii = neighbour_distances(reference, k)
    inside, covered = 0, np.zeros(len(reference), dtype=bool)
    for _, block in _squared_distances(features, reference):
        hits = block < radii
        inside += int(hits.sum())
        covered |= hits.any(axis=0)
    return inside / (k * len(features)), float(covered.mean())


def authenticity(features: np.ndarray, training: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The fraction of images that are no copy of a training image, in [0, 1].

    A row is a copy if it is not farther from its nearest training row than that one is from its own nearest neighbour
    among the training rows; so are all exact copies, of training images that are there twice too.

    Source: Alaa et al., How Faithful is your Synthetic Data? (2022), section 4.3.

    Returns:
        The fraction; the nearest training row of each row, int [N]; and its distance over the training row's own, [N],
        below 1 for a copy.
    """
    features, training = finite(features, "features"), finite(training, "training")
    if len(training) < 2:
        raise ValueError(f"training must have 2 images or more. Received: {len(training)}")
    nearest, squared = nearest_rows(features, training, 1)
    chosen, position = np.unique(nearest[:, 0], return_inverse=True)
    # the nearest of a training row is itself, the second its neighbour
    allowed = nearest_rows(training[chosen], training, 2)[1][:, 1][position]
    tiny = np.finfo(np.float64).tiny
    ratios = np.sqrt(squared[:, 0] / np.maximum(allowed, tiny))
    return float((squared[:, 0] > allowed).mean()), nearest[:, 0], ratios


def nearest_rows(features: np.ndarray, reference: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each row, the `k` nearest reference rows, nearest first, int [N, k], and their squared distances [N, k]."""
    chosen, distances = [], []
    for _, block in _squared_distances(features, reference):
        indices = np.argpartition(block, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(block, indices, axis=1)
        order = np.argsort(found, axis=1, kind="stable")
        chosen.append(np.take_along_axis(indices, order, axis=1))
        distances.append(np.take_along_axis(found, order, axis=1))
    return np.concatenate(chosen), np.concatenate(distances)


def neighbour_distances(rows: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each row to its k-th nearest other row, [N].

    Raises:
        ValueError: for fewer than k + 1 rows.
    """
    if not 1 <= k < len(rows):
        raise ValueError(f"{k} neighbours need {k + 1} images or more. Received: {len(rows)}")
    parts = []
    for first, block in _squared_distances(rows, rows):
        block[np.arange(len(block)), first + np.arange(len(block))] = np.inf
        parts.append(np.partition(block, k - 1, axis=1)[:, k - 1])
    return np.concatenate(parts)


def class_coverage(fractions: np.ndarray, share: float = 0.2) -> float:
    """Fraction of the classes that hold more than `share` of their even part of the images, in [0, 1].

    With ten classes and the default, those seen in more than 2 % of the images.
    """
    return float((np.asarray(fractions) > share / len(fractions)).mean())


def class_histogram_divergence(counts: np.ndarray, reference_counts: np.ndarray) -> float:
    """Kullback-Leibler divergence, in nats, of the class histogram of the images from that of the reference.

    Half an image is added to every class of the reference (Jeffreys' prior), so that a class that it lacks gives a
    finite number.
    """
    p = np.asarray(counts, np.float64) / np.sum(counts)
    smoothed = np.asarray(reference_counts, np.float64) + 0.5
    q = smoothed / smoothed.sum()
    some = p > 0
    return float(max((p[some] * np.log(p[some] / q[some])).sum(), 0.0))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log p(y | x), float64 [N, classes]."""
    logits = finite(logits, "logits")
    shifted = np.maximum(logits / 2 - logits.max(axis=1, keepdims=True) / 2, -1e300) * 2  # halves cannot overflow
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """`values` as float64 [N, d]; raises ValueError for anything else, none at all, NaN or infinity."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite numbers [N, d], N at least 1. Received: shape={values.shape}")
    return values


def _blocks(rows: np.ndarray, blocks: int) -> list[np.ndarray]:
    """Consecutive blocks, the larger ones last, as TF-GAN cuts them."""
    size, larger = divmod(len(rows), blocks)
    sizes = [size] * (blocks - larger) + [size + 1] * larger
    return np.split(rows, np.cumsum(sizes)[:-1])


class _Mmd(NamedTuple):
    """Unbiased squared MMD of so many `images`, and what Hoeffding's decomposition needs for its variance over draws of
    them: `first`, the variance of the mean of h(x, x') over x', and `second`, that of h itself, where
    h(x, x') = k(x, x') - mean k(x, y) - mean k(x', y) over the fixed reference. NaN for fewer than 4 images."""

    value: float
    images: int
    first: float
    second: float


def _unbiased_mmd(one: np.ndarray, other: np.ndarray, share: float) -> _Mmd:
    """`share` is how much of the reference `other` is: 1 if it is all that `one` is compared with."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def mean_off_diagonal(products: np.ndarray) -> float:
        return (products.sum() - np.trace(products)) / (len(products) * (len(products) - 1))

    own, between = kernel(one, one), kernel(one, other)
    value = mean_off_diagonal(own) + mean_off_diagonal(kernel(other, other)) - 2 * between.mean()
    first, second = _hoeffding(own, between, share) if min(between.shape) >= 4 else (np.nan, np.nan)
    return _Mmd(value, len(one), first, second)


def _hoeffding(own: np.ndarray, between: np.ndarray, share: float) -> tuple[float, float]:
    """The two variances of `_Mmd`, without bias.

    Means over x' are taken over each half of the images: their errors are independent, so that the covariance of the
    two is the variance of what they estimate. So it is with means over a part of the reference; over all of it they
    have no error.
    """
    n, m = between.shape
    off = own.copy()
    np.fill_diagonal(off, 0)
    in_first = np.arange(n) < n // 2
    halves = [
        off[:, : n // 2].sum(axis=1) / (n // 2 - in_first),
        off[:, n // 2 :].sum(axis=1) / (n - n // 2 - ~in_first),
    ]
    mean = between.mean(axis=1)
    parts = [between[:, : m // 2].mean(axis=1), between[:, m // 2 :].mean(axis=1)]
    apart = np.cov(halves[0] - parts[0], halves[1] - parts[1])[0, 1]
    whole = np.cov(halves[0] - mean, halves[1] - mean)[0, 1]
    h = off - mean[:, None] - mean
    np.fill_diagonal(h, 0)
    pairs = n * (n - 1)
    second = (h**2).sum() / pairs - (h.sum() / pairs) ** 2
    return float((1 - share) * apart + share * whole), float(second)


def _subsets_error(found: list[_Mmd], images: int) -> float | None:
    """Of the mean over subsets of so many images: that of the distance of all of them, and that of the draws."""
    draws = float(np.var([mmd.value for mmd in found], ddof=1)) / len(found) if len(found) > 1 else 0.0
    return _root(_variance(found, images) + draws)


def _blocks_error(found: list[_Mmd]) -> float | None:
    return _root(sum(_variance(found, mmd.images) for mmd in found) / len(found) ** 2)


def _variance(found: list[_Mmd], images: int) -> float:
    """Of one MMD over draws of so many images, by what was found of several.

    Source: Hoeffding, A Class of Statistics with Asymptotically Normal Distribution (1948), eq. 5.13, degree 2.
    """
    first, second = np.mean([mmd.first for mmd in found]), np.mean([mmd.second for mmd in found])
    first = np.maximum(first, 0.0)  # an estimate without bias of a variance may be below 0
    return float((4 * (images - 2) * first + 2 * second) / (images * (images - 1)))


def _root(variance: float) -> float | None:
    return None if np.isnan(variance) else float(np.sqrt(variance))


def _squared_distances(rows: np.ndarray, reference: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of rows: the number of the first one, and squared distances [n, M] to all of `reference`."""
    # Around a common centre the products are as small as they can be, and so is what cancels.
    centre = reference.mean(axis=0)
    rows, reference = rows - centre, reference - centre
    norms = (reference**2).sum(axis=1)
    step = max(1, _BLOCK_NUMBERS // len(reference))
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        squared = (-2 * part) @ reference.T
        both = norms + (part**2).sum(axis=1)[:, None]
        squared += both
        squared[squared < _ROUNDING * both] = 0  # equal rows are at no distance, not at that of the rounding
        yield first, squared
