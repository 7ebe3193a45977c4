"""Standard output and error that may go away, with the terminal or with `head`, and take nothing with them."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

# a pipe without a reader, a terminal that was closed, a descriptor that was
_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)


class LastingStream:
    """A text stream that goes quiet, instead of raising, from the first time on that it cannot be written to.

    Attributes:
        lost: why something was lost though somebody waited for it, such as a full disk; None otherwise.
    """

    def __init__(self, stream: Any) -> None:
        self.lost: str | None = None
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except (OSError, ValueError) as error:  # a ValueError if the stream was closed
            self._go_quiet(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._go_quiet(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _go_quiet(self, error: OSError | ValueError) -> None:
        if isinstance(error, UnicodeError):
            raise error
        if isinstance(error, OSError) and error.errno not in _GONE:
            self.lost = error.strerror or str(error)
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere.fileno(), self._stream.fileno())  # what is still in its buffer goes there at the exit
        self._stream = nowhere


@contextlib.contextmanager
def lasting_streams() -> Iterator[LastingStream]:
    """Put a `LastingStream` in the place of `sys.stdout`, which is given, and of `sys.stderr`.

    Descriptors 0 to 2 that are closed are opened on nothing, so that no file that is opened later gets their number,
    and with it what libraries write there.
    """
    _open_standard_descriptors()
    before = sys.stdout, sys.stderr
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for a stream that was closed at the start
    streams = [LastingStream(stream if stream is not None else nowhere) for stream in before]
    sys.stdout, sys.stderr = streams
    try:
        yield streams[0]
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before


def _open_standard_descriptors() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
