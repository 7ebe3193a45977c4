"""What can be chosen of a variant, read off the signatures that define it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def keyword_only(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only arguments of a function with their defaults.

    >>> keyword_only(lambda size, *, slope=0.2: None)
    {'slope': 0.2}
    """
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
