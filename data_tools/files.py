"""Writing that a kill at any instant cannot leave half done, and keeping other processes out meanwhile.

What is opened for writing is opened by its own name: never through a link, which may point at any file of the user,
and never into a file that has a second name elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from data_tools.errors import SuiteError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating-system error into one line that names the file and the reason."""
    try:
        yield
    except OSError as error:
        raise SuiteError(
            f"{path} cannot be written: {error.strerror or error}. Free space or choose another folder"
        ) from None


def replace(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, bring it to the disk, and put it in the place of `path`.

    Whoever reads `path` sees the old content or the new one, never a part; after a failure the old one stays.

    Raises:
        SuiteError: if it cannot be written (full disk, no permission).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            temporary.unlink(missing_ok=True)  # of a killed process with this number, or a link that somebody put there
            with open(temporary, "xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """`replace` for text, as UTF-8."""
    replace(path, lambda file: file.write(text.encode()))


def remove_temporaries(folder: Path) -> None:
    """Delete what a killed process left of `replace`, or of an export, in `folder`."""
    for leftover in folder.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def append_json_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON object as a line, in one write, so that no line is ever seen in part.

    Raises:
        SuiteError: if it cannot be written, or `path` is a link or anything else than a file of its own.
    """
    line = (json.dumps(record, allow_nan=False) + "\n").encode()
    with writing(path):
        descriptor = _own_file(path, os.O_WRONLY | os.O_APPEND)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError("the disk is full")
        finally:
            os.close(descriptor)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects with a `step` in a file of JSON lines; anything else, such as half a line, is skipped."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            records.append(json.loads(line))
    records = [record for record in records if isinstance(record, dict) and isinstance(record.get("step"), int)]
    return [record for record in records if 0 <= record["step"] < 2**63]


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of the file `path`, which is made, until the block or the process ends, however it ends.

    Args:
        waiting: called once if another process holds it, which is waited for.
    """
    descriptor = _lock_file(path)
    try:
        if not _taken(descriptor):
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held(path: Path, refusal: str) -> Iterator[None]:
    """`locked` for whoever does not wait.

    Raises:
        SuiteError: `refusal`, if another process holds it; or why the file cannot be made.
    """
    with writing(path):
        descriptor = _lock_file(path)
    try:
        with writing(path):
            taken = _taken(descriptor)
        if not taken:
            raise SuiteError(refusal)
        yield
    finally:
        os.close(descriptor)


def require_own(path: Path) -> None:
    """Refuse what another library will open by its name and write into, unless it is a file of its own or missing.

    Raises:
        SuiteError: for a link, a file with a second name, or anything else than a file.
    """
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise _not_its_own(path)


@contextlib.contextmanager
def appending(path: Path) -> Iterator[BinaryIO]:
    """A file to append to, such as the output of a process.

    Raises:
        SuiteError: if it cannot be written, or `path` is a link or anything else than a file of its own.
    """
    with writing(path):
        descriptor = _own_file(path, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(descriptor, "ab") as file:
        yield file


def _lock_file(path: Path) -> int:
    return _own_file(path, os.O_RDWR)


def _own_file(path: Path, flags: int) -> int:
    """A descriptor of the file `path`, which is made if it is missing, and may be written: see the module."""
    try:
        # without O_NONBLOCK a pipe of that name would be waited for, for ever
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _not_its_own(path) from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise _not_its_own(path)
    return descriptor


def _not_its_own(path: Path) -> SuiteError:
    return SuiteError(f"{path} is a link or no plain file, and is not written into: move it away, or put a copy there")


def _taken(descriptor: int) -> bool:
    """Whether the lock is this process' now; False if it is another's."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
