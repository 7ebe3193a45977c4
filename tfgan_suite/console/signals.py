"""What asks a long command to stop: Ctrl-C, SIGTERM, and SIGHUP, which closing a terminal sends."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Callable, Iterator

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclasses.dataclass
class Received:
    """The first of the signals that came; 0 for none."""

    number: int = 0


@contextlib.contextmanager
def remembered(stop: Callable[[], None]) -> Iterator[Received]:
    """While the block runs, the signals call `stop` instead of ending the process."""
    received = Received()

    def remember(number: int, _frame: object) -> None:
        received.number = received.number or number
        stop()

    before = {number: signal.signal(number, remember) for number in STOPPING}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
