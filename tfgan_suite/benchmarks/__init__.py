"""What the benchmarks share: a row of the result, and measuring side by side.

A benchmark is a module with `run(quick) -> list[Row]`, listed in `BENCHMARKS` of `tfgan_suite/benchmark.py`.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured number, and what it should be.

    Attributes:
        name: what was measured.
        value: the number.
        unit: its unit; "x" for a ratio.
        at_least, at_most: the bounds that it has to keep, if there are any.
        repeats: over how many measurements it is the median.
    """

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    repeats: int = 1

    @property
    def met(self) -> bool | None:
        """Whether the bounds are kept; None if there are none."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )


def interleaved(functions: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """What each function returns, `repeats` times in turn, so that a slow minute of the machine meets all of them."""
    results: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            results[name].append(function())
    return results


def ratio(results: Mapping[str, list[float]], one: str, other: str) -> float:
    """The median over the rounds of `interleaved` of one function's result divided by the other's."""
    return statistics.median(a / b for a, b in zip(results[one], results[other], strict=True))
