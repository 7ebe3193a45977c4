"""Ctrl-C, SIGTERM and SIGHUP: what each means depends on what the command is doing."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from data_tools.errors import Interrupted

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # SIGHUP: the terminal is gone, as when a lid is closed


class Stopped(KeyboardInterrupt):
    """Raised at the very instruction where a signal came; no `except Exception` on its way takes it for a fault."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class StopSignals:
    """While it is open, a signal ends what is being done at once, or, inside `remembering`, is kept for later.

    Attributes:
        received: the first signal that was remembered; 0 for none.
        meaning: the line for the user if a signal ends the command at once; whoever begins something else replaces it.
        note: the line to show when a signal is remembered; none if empty.

    Raises:
        Interrupted: on leaving, with `meaning`, if a signal ended it at once.
    """

    def __init__(self, meaning: str = "stopped before the first step: nothing was trained") -> None:
        self.received = 0
        self.meaning = meaning
        self.note = ""
        self._remembering = 0

    def __enter__(self) -> StopSignals:
        # one that `nohup` or a shell made the process ignore stays ignored
        kept = [number for number in _STOPPING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._handle) for number in kept}
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, Stopped):
            raise Interrupted(self.meaning, error.number) from None

    @contextlib.contextmanager
    def remembering(self, note: str = "") -> Iterator[StopSignals]:
        """Signals are remembered; but a second Ctrl-C ends it at once."""
        before, self.note = self.note, note
        self._remembering += 1
        try:
            yield self
        finally:
            self._remembering -= 1
            self.note = before

    @contextlib.contextmanager
    def deadly(self) -> Iterator[Callable[[], None]]:
        """Signals end the process without a word; gives a function to call again where others may set handlers."""

        def die() -> None:
            for number in self._before:
                signal.signal(number, signal.SIG_DFL)

        before = {number: signal.getsignal(number) for number in self._before}
        die()
        try:
            yield die
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self._remembering or (self.received and number == signal.SIGINT):
            raise Stopped(number)
        if not self.received:
            self.received = number
            if self.note:
                with contextlib.suppress(OSError):  # not by sys.stderr, which may be in the middle of a line
                    os.write(2, f"{signal.Signals(number).name}: {self.note}\n".encode())
