"""The arithmetic of latents: walks between two of them, A - B + C, and truncation. Pure functions, float64 inside."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

_PARALLEL = 1e-6  # radians, below which an angle cannot be told from 0, or from half a turn
_NORMAL = NormalDist()


def linear(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Points [N, d] on the straight line from `start` [d] (share 0) to `end` [d] (share 1)."""
    start, end, shares = _doubles(start, end, shares)
    return _with_ends(start + shares[:, None] * (end - start), start, end, shares)


def spherical(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Points [N, d] from `start` [d] to `end` [d] whose direction turns, and whose length changes, at constant speed.

    With ends of one length it is the great arc of Shoemake, Animating Rotation with Quaternion Curves (1985):
    sin((1 - t) w) / sin(w) start + sin(t w) / sin(w) end, w being the angle between them. Normal latents have nearly
    one length, which the straight line leaves (White, Sampling Generative Networks, 2016).

    Where there is no angle, the walk is straight: a zero vector, or parallel ends. Opposite ends, which have no one
    arc, are joined by that through the axis to which they are most nearly perpendicular.
    """
    start, end, shares = _doubles(start, end, shares)
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if not all(lengths):
        return linear(start, end, shares)
    first, last = start / lengths[0], end / lengths[1]
    aside = last - (last @ first) * first
    angle = np.arctan2(np.linalg.norm(aside), last @ first)
    if angle < _PARALLEL:
        return linear(start, end, shares)
    if np.pi - angle < _PARALLEL:
        if len(first) == 1:
            return linear(start, end, shares)
        axis = np.eye(len(first))[np.argmin(np.abs(first))]
        aside = axis - (axis @ first) * first
    aside = aside / np.linalg.norm(aside)
    turned = np.cos(shares * angle)[:, None] * first + np.sin(shares * angle)[:, None] * aside
    points = (lengths[0] + shares * (lengths[1] - lengths[0]))[:, None] * turned
    return _with_ends(points, start, end, shares)


def arithmetic(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """mean(a) - mean(b) + mean(c), [d], of latents [N, d] each; N may differ.

    Source: Radford et al., Unsupervised Representation Learning with DCGANs (2016), section 6.3.2 and figure 7.
    """
    a, b, c = (part.mean(axis=0) for part in _doubles(a, b, c))
    return a - b + c


def truncated(latents: np.ndarray, threshold: float) -> np.ndarray:
    """Standard normal latents as latents of the normal law cut off at -threshold and threshold, of the same shape.

    That is the law of the truncation trick of Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis (2019), section 3.1, which draws numbers outside anew. Here each number keeps its place in the order,
    F_cut(z') = F(z), so that an image changes steadily with the threshold; an infinite one changes nothing.

    Raises:
        ValueError: for a threshold that is not positive.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be positive. Received: {threshold}")
    if np.isinf(threshold):
        return np.asarray(latents, np.float64)
    inside = _NORMAL.cdf(threshold) - _NORMAL.cdf(-threshold)

    def moved(z: float) -> float:  # both laws are symmetric; below zero a tail loses no digits
        return float(np.copysign(_NORMAL.inv_cdf(0.5 - (0.5 - _NORMAL.cdf(-abs(z))) * inside), z))

    flat = [moved(z) for z in np.asarray(latents, np.float64).ravel()]
    return np.clip(np.reshape(flat, np.shape(latents)), -threshold, threshold)


# --path -> function of two latents and shares
PATHS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "spherical": spherical,
    "linear": linear,
}


def _doubles(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(array, np.float64) for array in arrays)


def _with_ends(points: np.ndarray, start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """`points`, but the ends themselves where the share is 0 or 1: rounding would give other pixels."""
    points = np.where((shares == 0)[:, None], start, points)
    return np.where((shares == 1)[:, None], end, points)
