"""Writing that a kill at any instant cannot leave half done, and keeping other processes out meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
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
            with open(temporary, "wb") as file:
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
    """Append one JSON object as a line, in one write, so that no line is ever seen in part."""
    line = (json.dumps(record, allow_nan=False) + "\n").encode()
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError("the disk is full")
        finally:
            os.close(descriptor)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects with a `step` in a file of JSON lines; anything else, such as half a line, is skipped."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return [record for record in records if isinstance(record, dict) and isinstance(record.get("step"), int)]


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


def _lock_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


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
