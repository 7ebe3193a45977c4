"""What arguments must be; each check gives the value back, or says what came and what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Value = TypeVar("Value")


def require(condition: bool, name: str, value: Value, rule: str) -> Value:
    """Raises ValueError "`name` must be `rule`" unless `condition` holds."""
    if not condition:
        raise ValueError(f"{name} must be {rule}. Received: {name}={value!r}")
    return value


def one_of(name: str, value: Value, choices: Iterable[Value]) -> Value:
    """Raises ValueError unless `value` is among `choices`."""
    choices = tuple(choices)
    return require(value in choices, name, value, f"one of {', '.join(map(str, choices))}")


def positive(name: str, value: float) -> float:
    """Raises ValueError for 0 and below."""
    return require(value > 0, name, value, "positive")


def not_negative(name: str, value: float) -> float:
    """Raises ValueError for less than 0."""
    return require(value >= 0, name, value, "0 or more")


def at_least_one(name: str, value: int) -> int:
    """Raises ValueError for less than 1."""
    return require(value >= 1, name, value, "at least 1")


def fraction(name: str, value: float) -> float:
    """Raises ValueError for what is not in [0, 1)."""
    return require(0 <= value < 1, name, value, "in [0, 1)")


def cosine(name: str, value: float) -> float:
    """Raises ValueError for what is not in [-1, 1]."""
    return require(-1 <= value <= 1, name, value, "in [-1, 1]")
