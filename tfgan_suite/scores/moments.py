"""Mean and covariance of a stream of features, kept as a square root so that every Gaussian distance is real."""

from __future__ import annotations

import numpy as np

_BLOCK = 256  # rows that are folded in together
_RIDGE = 1e-12  # of a covariance's trace: directions below it do not vary


class Moments:
    """Mean and a root of the covariance of rows that come in parts of any size.

    Kept are the number n of rows, their mean, and a matrix R with at most d rows such that R^T R is the sum of
    (x - mean)(x - mean)^T: parts are joined by the update of Chan, Golub and LeVeque (1979) and brought back to a
    triangle by a QR decomposition. The covariance is never squared and rooted again, so rank and scale do not matter,
    and memory is d * d numbers however many rows come.

    Args:
        dimension: d, length of a row.
    """

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._mean = np.zeros(dimension)
        self._root: np.ndarray = np.zeros((0, dimension))
        self._waiting: list[np.ndarray] = []

    @property
    def dimension(self) -> int:
        return len(self._mean)

    @property
    def count(self) -> int:
        """Number of rows so far."""
        return self._count + sum(map(len, self._waiting))

    @property
    def mean(self) -> np.ndarray:
        """float64 [d]."""
        self._fold()
        return self._mean

    @property
    def root(self) -> np.ndarray:
        """A, float64 [at most d, d], with A^T A the unbiased covariance.

        Raises:
            ValueError: for fewer than two rows, which have no covariance.
        """
        self._fold()
        if self._count < 2:
            raise ValueError(f"a covariance needs 2 images or more. Received: {self._count}")
        return self._root / np.sqrt(self._count - 1)

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased, float64 [d, d]."""
        return self.root.T @ self.root

    def update(self, rows: np.ndarray) -> None:
        """Take in rows [n, d].

        Raises:
            ValueError: for another shape, or values that are not finite.
        """
        rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.dimension or not np.isfinite(rows).all():
            raise ValueError(f"features must be finite numbers [N, {self.dimension}]. Received: shape={rows.shape}")
        if not len(rows):
            return
        self._waiting.append(rows)
        if self.count - self._count >= max(_BLOCK, self.dimension):
            self._fold()

    def merge(self, other: Moments) -> Moments:
        """The moments of the rows of both; neither is changed."""
        if other.dimension != self.dimension:
            raise ValueError(f"features must have {self.dimension} columns. Received: {other.dimension}")
        self._fold()
        other._fold()
        merged = Moments(self.dimension)
        for part in (self, other):
            merged._join(part._count, part._mean, part._root)
        return merged

    @classmethod
    def of(cls, rows: np.ndarray) -> Moments:
        """The moments of rows [n, d]."""
        if np.ndim(rows) != 2:
            raise ValueError(f"features must be finite numbers [N, d]. Received: shape={np.shape(rows)}")
        moments = cls(np.shape(rows)[1])
        moments.update(rows)
        return moments

    @classmethod
    def from_root(cls, count: int, mean: np.ndarray, root: np.ndarray) -> Moments:
        """Moments as `count`, `mean` and `root` of another gave them."""
        moments = cls(len(mean))
        moments._join(count, np.asarray(mean, np.float64), np.asarray(root, np.float64) * np.sqrt(count - 1))
        return moments

    @classmethod
    def from_covariance(cls, count: int, mean: np.ndarray, covariance: np.ndarray) -> Moments:
        """Moments from a mean [d] and an unbiased covariance [d, d], as other tools store them (`mu`, `sigma`).

        Raises:
            ValueError: for shapes that do not fit, values that are not finite, or a matrix that is no covariance.
        """
        for name, values in (("mu", mean), ("sigma", covariance)):
            if np.asarray(values).dtype.kind not in "fiu":
                raise ValueError(f"{name} must be real numbers. Received: {np.asarray(values).dtype}")
        mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
        if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
            raise ValueError(f"mu must be [d] and sigma [d, d]. Received: {mean.shape} and {covariance.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ValueError("mu and sigma must be finite numbers. Received: NaN or infinity")
        largest = np.abs(covariance).max(initial=0.0)
        if np.abs(covariance - covariance.T).max(initial=0.0) > 1e-5 * largest:
            raise ValueError("sigma must be symmetric. Received: a matrix that is not")
        try:
            return cls.from_root(count, mean, np.linalg.cholesky(covariance).T)
        except np.linalg.LinAlgError:  # not of full rank
            values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        if values[0] < -1e-5 * max(values[-1], 0.0):
            raise ValueError(f"sigma must have no negative eigenvalue. Received: {values[0]:.3g}")
        return cls.from_root(count, mean, (vectors * np.sqrt(np.clip(values, 0, None))).T)

    def _fold(self) -> None:
        if self._waiting:
            rows = np.concatenate(self._waiting)
            self._waiting = []
            mean = rows.mean(axis=0)
            self._join(len(rows), mean, rows - mean)

    def _join(self, count: int, mean: np.ndarray, root: np.ndarray) -> None:
        total = self._count + count
        if count == 0:
            return
        between = np.sqrt(self._count * count / total) * (mean - self._mean)
        stacked = np.concatenate([self._root, root, between[None]] if self._count else [root])
        self._mean = self._mean + (mean - self._mean) * (count / total)
        self._root = np.asarray(np.linalg.qr(stacked, mode="r")) if len(stacked) > self.dimension else stacked
        self._count = total


def squared_frechet_distance(one: Moments, other: Moments) -> float:
    """Squared Frechet distance of the Gaussians with these moments.

    |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)). With roots C = A^T A the last trace is the sum of the singular
    values of A1 A2^T: always real, right at any rank and any scale.

    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017), eq. 6.

    Returns:
        0 or more.

    Raises:
        ValueError: for other dimensions, or fewer than two rows.
        ArithmeticError: if rounding made it clearly negative, which is a bug.
    """
    if one.dimension != other.dimension:
        raise ValueError(f"features must have as many columns as the reference: {one.dimension} and {other.dimension}")
    root_1, root_2 = one.root, other.root
    between = np.sum((one.mean - other.mean) ** 2)
    spreads = np.sum(root_1**2) + np.sum(root_2**2)
    cross = np.linalg.svd(root_1 @ root_2.T, compute_uv=False).sum()
    distance = between + spreads - 2 * cross
    if distance < -1e-9 * (between + spreads):
        raise ArithmeticError(f"the Frechet distance came out as {distance}, of terms that add up to {spreads}")
    return float(max(distance, 0.0))


def frechet_influences(one: Moments, other: Moments, rows: np.ndarray) -> np.ndarray:
    """How much each of some rows that `one` is made of moves `squared_frechet_distance`.

    The first variation of the distance when the law of `one` gets a little more of a row x is, up to a constant,
    2 (m1 - m2) . (x - m1) + |x - m1|^2 - (x - m1)^T T (x - m1), where T, the optimal map from one Gaussian to the
    other, is C1^(-1/2) (C1^(1/2) C2 C1^(1/2))^(1/2) C1^(-1/2). Their standard deviation over sqrt(n) is the standard
    error of the distance at n rows, `other` held fixed: the infinitesimal jackknife (Efron, 1982, chapter 6).

    Where the distance is of the size of its bias, as for two samples of one law, its variation is of second order, and
    that error is sqrt(2) times too large; below some 2 d rows, that of an extrapolation up to a fifth too small.

    Args:
        one, other: see `squared_frechet_distance`.
        rows: [k, d], among those of `one`.

    Returns:
        float64 [k].
    """
    root = one.root
    crossed = root @ other.root.T
    squares, directions = np.linalg.eigh(crossed @ crossed.T)
    centred = np.asarray(rows, np.float64) - one.mean
    # with C1 = A^T A and whitened rows z, x - m1 = A^T z, the last term is z^T (A C2 A^T)^(1/2) z
    gram = root @ root.T
    gram[np.diag_indices(len(gram))] += _RIDGE * np.trace(gram) + np.finfo(np.float64).tiny
    along = directions.T @ np.linalg.solve(gram, root @ centred.T)
    of_map = np.sqrt(np.clip(squares, 0, None)) @ along**2
    return 2 * centred @ (one.mean - other.mean) + (centred**2).sum(axis=1) - of_map
