"""How often a server is asked: lanes of requests that all collections and processes of a user share.

A server counts the requests of a key, not those of a folder. A lane is therefore a small file in the cache folder,
named after a hash of the kind of request, the server and the key: `<last request> <none before>`, in seconds since
1970. It outlives the process, so that stopping and starting again does not gain a request.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

from data_tools import cache, files

_LENGTH = 42  # bytes of the content
MAX_HOLD = 3600.0  # seconds; a server that asks for more ends the command instead


class Lane:
    """One lane; every method is safe to call from several threads and processes.

    Args:
        name: the kind of request.
        server: scheme, host and port.
        key: of the API; empty for requests without one.
    """

    def __init__(self, name: str, server: tuple[str, str, int], key: str = "") -> None:
        self._named = hashlib.sha256(repr((name, server, key)).encode()).hexdigest()[:24]

    def turn(self, interval: float) -> float:
        """Take the next turn: 0 if it is taken, else the seconds until asking again.

        Raises:
            DataError: if the cache folder cannot be written.
        """
        with self._opened() as descriptor:
            now = time.time()
            last, not_before = _read(descriptor)
            # a clock that was set back must not stop the lane for longer than one turn
            wait = max(min(last + interval - now, interval), not_before - now if not_before - now <= MAX_HOLD else 0.0)
            if wait <= 0:
                _write(descriptor, now, not_before)
        return max(wait, 0.0)

    def hold(self, seconds: float) -> None:
        """No turn for so many seconds, at most `MAX_HOLD`; after a restart, too."""
        with self._opened() as descriptor:
            last, not_before = _read(descriptor)
            _write(descriptor, last, max(not_before, time.time() + min(seconds, MAX_HOLD)))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        path: Path = cache.cache_folder() / "lanes" / self._named
        with cache.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.locked(path):
                descriptor = os.open(path, os.O_RDWR)
                try:
                    yield descriptor
                finally:
                    os.close(descriptor)


def _read(descriptor: int) -> tuple[float, float]:
    """Both times; 0 for what is damaged."""
    words = os.pread(descriptor, _LENGTH, 0).split()
    try:
        last, not_before = (float(word) for word in words)
    except ValueError:
        return 0.0, 0.0
    return (last, not_before) if math.isfinite(last) and math.isfinite(not_before) else (0.0, 0.0)


def _write(descriptor: int, last: float, not_before: float) -> None:
    """In one write of always the same length, which no kill leaves half done."""
    os.pwrite(descriptor, b"%020.6f %020.6f\n" % (last, not_before), 0)
