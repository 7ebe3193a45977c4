"""Progress of a training run: a live bar on a terminal, plain lines elsewhere; both on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

_SECONDS_BETWEEN_LINES = 10.0


class TrainingProgress:
    """Shows steps, losses, images per second and time left. Use as a context manager."""

    def __init__(self, start: int, total: int, images_per_step: int) -> None:
        self._total = total
        self._images_per_step = images_per_step
        self._step = start
        self._losses = ""
        self._rate: float | None = None
        self._last = self._last_line = time.monotonic()
        self._live: Progress | None = None
        if sys.stderr.isatty():
            steps = MofNCompleteColumn(table_column=Column(min_width=len(f"{total}/{total}")))
            columns = (TextColumn("training"), BarColumn(), steps, TextColumn("{task.fields[text]}"))
            self._live = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
            self._task = self._live.add_task("", total=total, completed=start, text="")

    def __enter__(self) -> TrainingProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def advance(self, step: int, losses: Mapping[str, float] | None = None) -> None:
        """Report that `step` steps are done; `losses` are shown until newer ones come."""
        now = time.monotonic()
        rate = (step - self._step) / max(now - self._last, 1e-9)
        self._rate = rate if self._rate is None else 0.8 * self._rate + 0.2 * rate
        self._step, self._last = step, now
        if losses is not None:
            self._losses = f"d_loss {losses['d_loss']:.3f}  g_loss {losses['g_loss']:.3f}"
        text = f"{self._losses}  {self._rate * self._images_per_step:,.0f} images/s"
        if self._live:
            self._live.update(self._task, completed=step, text=text)
        elif now - self._last_line >= _SECONDS_BETWEEN_LINES or step == self._total:
            left = (self._total - step) / self._rate
            self.say(f"step {step:,} of {self._total:,}  {text}  {left:,.0f} s left")
            self._last_line = now

    def pause(self) -> None:
        """Forget the clock, so that the time of something else than training does not count."""
        self._last = time.monotonic()

    def say(self, message: str) -> None:
        """A line that stays, above the bar if there is one."""
        if self._live:
            self._live.console.print(message, highlight=False, markup=False)
        else:
            print(message, file=sys.stderr, flush=True)
