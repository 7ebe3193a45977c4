"""Metrics as pure float64 functions of arrays. `METRICS` lists them.

With any network but TF-GAN's Inception they carry TF-GAN's general names.
"""

from __future__ import annotations

import numpy as np


def classifier_score(logits: np.ndarray, splits: int = 1) -> tuple[float, float]:
    """exp of the mean Kullback-Leibler divergence of p(y | x) from p(y), over equal consecutive parts of the images.

    Source: Salimans et al., Improved Techniques for Training GANs (2016), section 4.

    Args:
        logits: [N, classes], in the order in which they are to be split.
        splits: number of parts; part i is `[i * N // splits : (i + 1) * N // splits]`.

    Returns:
        Mean and population standard deviation over the parts; each value is in [1, classes].

    Raises:
        ValueError: for fewer images than parts, or values that are not finite.
    """
    logits = _finite(logits, "logits")
    n = len(logits)
    if not 1 <= splits <= n:
        raise ValueError(f"splits must be from 1 to the number of images. Received: splits={splits}, images={n}")
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    scores = []
    for i in range(splits):
        part = log_p[i * n // splits : (i + 1) * n // splits]
        # log of the mean probability, by the log-sum-exp over images, so that it is finite wherever part is
        top = part.max(axis=0)
        log_marginal = top + np.log(np.exp(part - top).mean(axis=0))
        scores.append(np.exp((np.exp(part) * (part - log_marginal)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def frechet_classifier_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """Squared Frechet distance between Gaussians fitted to two sets of features.

    |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)), with unbiased covariances. The last trace is the sum of the
    singular values of A1 A2^T, where A is the centred data over sqrt(N - 1) (so C = A^T A), brought to a triangle by a
    QR decomposition: always real, right at any rank and any scale.

    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017), eq. 6.

    Args:
        features, reference: [N, d] and [M, d], at least two rows each.

    Returns:
        The squared distance, 0 or more.

    Raises:
        ValueError: for fewer than two rows, different d, or values that are not finite.
    """
    features, reference = _finite(features, "features"), _finite(reference, "reference")
    if features.shape[1] != reference.shape[1] or min(len(features), len(reference)) < 2:
        raise ValueError(
            f"features and reference need two rows or more and the same number of columns. "
            f"Received: {features.shape} and {reference.shape}"
        )
    (mean_1, root_1), (mean_2, root_2) = _moments(features), _moments(reference)
    cross = np.linalg.svd(root_1 @ root_2.T, compute_uv=False).sum()
    distance = np.sum((mean_1 - mean_2) ** 2) + np.sum(root_1**2) + np.sum(root_2**2) - 2 * cross
    return float(max(distance, 0.0))


def class_fractions(logits: np.ndarray) -> np.ndarray:
    """Fraction of the images that are put in each class, [classes], summing to 1."""
    logits = _finite(logits, "logits")
    return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]) / len(logits)


def asked_class_fraction(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of the images [N] that are put in the class that was asked for, in [0, 1]."""
    logits = _finite(logits, "logits")
    if np.shape(labels) != (len(logits),):
        raise ValueError(f"labels must be one for each of {len(logits)} images. Received: shape={np.shape(labels)}")
    return float((logits.argmax(axis=1) == labels).mean())


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [d], and a root A of the covariance: C = A^T A, A [min(N, d), d]."""
    mean = features.mean(axis=0)
    root = np.linalg.qr((features - mean) / np.sqrt(len(features) - 1), mode="r")
    return mean, np.asarray(root)


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite numbers [N, d], N at least 1. Received: shape={values.shape}")
    return values


METRICS = {
    "classifier_score": classifier_score,
    "frechet_classifier_distance": frechet_classifier_distance,
    "class_fractions": class_fractions,
    "asked_class_fraction": asked_class_fraction,
}
