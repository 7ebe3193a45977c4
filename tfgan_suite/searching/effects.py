"""What a study says about each parameter: the effect on the objective, with an interval that holds for all at once.

The objective of the exploring trials is fitted by least squares on main effects: of a choice, the difference to its
default; of a range, the difference from its low end to its high end. The intervals come from the fits over resamples of
the trials (Rubin, The Bayesian Bootstrap, 1981: every trial gets a random weight, so that each resample determines all
effects), and are simultaneous: in 95 % of studies all of them hold. One for each effect alone would name some effect
without one in half of all studies of a dozen parameters.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_tools.errors import UsageError
from tfgan_suite.searching.spaces import Choice, Point, Range, Space, Value

CONFIDENCE = 0.95
_RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class Effect:
    """The effect of one parameter on what is made small.

    Attributes:
        parameter: its name.
        change: what is compared with what.
        difference: of the objective; of a logarithm, the logarithm of a ratio. Below 0 is better.
        low: lower end of the interval.
        high: upper end.
    """

    parameter: str
    change: str
    difference: float
    low: float
    high: float

    @property
    def resolved(self) -> bool:
        """Whether the interval says which of the two is better."""
        return self.low > 0 or self.high < 0


@dataclasses.dataclass(frozen=True)
class _Column:
    parameter: str
    change: str
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Fit:
    """All effects, the strongest parameter first, and what the fit leaves unexplained.

    Attributes:
        effects: of all parameters.
        importance: of each parameter, the standard deviation over the trials of its part of the fit.
        residual: standard deviation of what is left, with the degrees of freedom that are left.
        explained: fraction of the variance that the fit explains.
    """

    effects: list[Effect]
    importance: dict[str, float]
    residual: float
    explained: float


def fit(space: Space, points: Sequence[Point], values: Sequence[float], seed: int = 0) -> Fit:
    """Least squares on main effects, with simultaneous intervals.

    Args:
        space: what was searched.
        points: of the trials, without parameters that have no effect in them.
        values: of the objective, finite.
        seed: of the resamples.

    Raises:
        UsageError: for fewer trials than the effects need.
    """
    target = np.asarray(values, np.float64)
    columns = _columns(space, points)
    design = np.column_stack([np.ones(len(points)), *(column.values for column in columns)])
    free = len(points) - design.shape[1]
    if free < 2 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise UsageError(
            f"{design.shape[1] - 1} effects need {design.shape[1] + 2} exploring trials or more, in which each choice "
            f"is met. Received: {len(points)}"
        )
    found = _weighted(design, target, np.ones(len(points)))
    residuals = target - design @ found
    random = np.random.default_rng(seed)
    resampled = np.stack([_weighted(design, target, random.exponential(size=len(points))) for _ in range(_RESAMPLES)])[
        :, 1:
    ]
    deviations = _deviations(design, residuals, free)[1:]
    spread = resampled.std(axis=0)
    farthest = np.max(np.abs(resampled - found[1:]) / spread, axis=1)
    reach = _student(float(np.quantile(farthest, CONFIDENCE)), free) * np.maximum(deviations, spread)
    effects = [
        Effect(column.parameter, column.change, float(value), float(value - half), float(value + half))
        for column, value, half in zip(columns, found[1:], reach, strict=True)
    ]
    importance: dict[str, float] = {}
    for name in space.parameters:
        part = sum(
            (column.values * value for column, value in zip(columns, found[1:], strict=True)
             if column.parameter == name),
            np.zeros(len(points)),
        )  # fmt: skip
        importance[name] = float(np.std(part))
    effects.sort(key=lambda effect: (-importance[effect.parameter], effect.parameter))
    variance = float(np.var(target))
    return Fit(
        effects,
        dict(sorted(importance.items(), key=lambda item: -item[1])),
        math.sqrt(float(residuals @ residuals) / free),
        1 - float(np.var(residuals)) / variance if variance else 0.0,
    )


def _weighted(design: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    root = np.sqrt(weights)
    return np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]


def _deviations(design: np.ndarray, residuals: np.ndarray, free: int) -> np.ndarray:
    """Standard errors of least squares, with the degrees of freedom that are left."""
    inverse = np.linalg.inv(design.T @ design)
    return np.sqrt(np.diag(inverse) * (residuals @ residuals) / free)


def _student(quantile: float, free: int) -> float:
    """The quantile of Student's t that a normal one stands for (the first term of the Cornish-Fisher expansion).

    The spread of the effects is itself estimated, from the few trials that the effects leave.
    """
    return quantile + (quantile**3 + quantile) / (4 * free)


def _columns(space: Space, points: Sequence[Point]) -> list[_Column]:
    default = space.default_point()
    result = []
    for name, parameter in space.parameters.items():
        present = np.array([name in point for point in points])
        if not present.any():
            continue
        if isinstance(parameter, Range):
            fractions = np.array([_fraction(parameter, point[name]) if name in point else 0.0 for point in points])
            if np.ptp(fractions[present]) == 0:
                continue
            fractions[present] -= fractions[present].mean()  # where it is absent, it changes nothing
            result.append(_Column(name, f"{parameter.low:g} -> {parameter.high:g}", fractions))
            continue
        base = default.get(name, parameter.values[0])
        for value in parameter.values:
            if value != base:
                chosen = np.array([float(point.get(name) == value and name in point) for point in points])
                result.append(_Column(name, f"{base} -> {value}", chosen))
    return result


def _fraction(parameter: Range, value: Value) -> float:
    """Where a value lies in its range, in [0, 1]."""
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    if parameter.log:
        return (math.log(at) - math.log(low)) / (math.log(high) - math.log(low))
    return (at - low) / (high - low)


def cells(
    points: Sequence[Point], values: Sequence[float], rows: str, columns: str
) -> dict[tuple[Any, Any], list[float]]:
    """The values of all trials by what two parameters were in them."""
    result: dict[tuple[Any, Any], list[float]] = {}
    for point, value in zip(points, values, strict=True):
        if rows in point and columns in point:
            result.setdefault((point[rows], point[columns]), []).append(value)
    return result


def interactions(space: Space) -> tuple[str, str] | None:
    """The two choices whose interaction is shown: the first two modules that are choices of more than two."""
    wide = [name for name, one in space.parameters.items() if isinstance(one, Choice) and len(one.values) > 2]
    named = [name for name in (space.modules or tuple(space.parameters)) if name in wide]
    return (named[0], named[1]) if len(named) > 1 else None


def defaults_noise(values: Sequence[float]) -> float | None:
    """Standard deviation of the default configuration over its seeds; None for fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def modules_of(space: Space) -> list[str]:
    """The parameters that are set back one at a time: those that the space names, or all choices."""
    return list(space.modules) or [name for name, one in space.parameters.items() if isinstance(one, Choice)]
