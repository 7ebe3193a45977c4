"""Progress of reading and downloading, on stderr: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data_tools.visible_text import visible

_SECONDS_BETWEEN_LINES = 10.0


def note(message: str) -> None:
    """A line on stderr about something that takes its time."""
    print(visible(message, kept="\n"), file=sys.stderr, flush=True)


@contextlib.contextmanager
def counting(what: str, total: int, *, done: int = 0, is_bytes: bool = False) -> Iterator[Callable[[int], None]]:
    """Gives a function to be called with the number of items, or bytes, that were done since its last call."""
    what = visible(what)
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn() if is_bytes else MofNCompleteColumn(),
        )
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(what, total=total or None, completed=done)
            yield lambda count: progress.advance(task, count)
        return
    began = last = time.monotonic()
    first = done

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES and done > first:
            left = (total - done) * (now - began) / (done - first)
            print(f"{what}: {done:,} of {total:,}, {left:,.0f} s left", file=sys.stderr, flush=True)
            last = now

    yield advance
