"""Work in threads without holding more of it in memory than is under way, and files that are whole or absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

from data_tools import files

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, stop: Callable[[], None] = lambda: None
) -> Iterator[Result]:
    """The results of `work`, in the order in which they become ready; its first exception ends all.

    `stop` is called before an exception, Ctrl-C included, is passed on, so that work under way can end soon.
    """
    running: set[Future[Result]] = set()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                running.add(pool.submit(work, item))
                if len(running) >= 2 * workers:
                    ready, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in ready)
            while running:
                ready, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ready)
        except BaseException:
            stop()
            pool.shutdown(cancel_futures=True)
            raise


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in its place in one step, its folder, too, so that it is never seen in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, lambda file: file.write(content))
