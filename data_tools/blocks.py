"""A folder in the cache with one large file: its lock, and whether the file still has the bytes that were written.

`record` writes hashes of its blocks to `blocks.json`. `are_whole` reads a file of up to `_WHOLE` bytes all through, of
a larger one some blocks, drawn anew each time; in one process each file once. That finds what a disk or a copy did to
a file, not what somebody does who writes the hashes as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data_tools import files

NAME = "blocks.json"
_BYTES = 4 << 20  # of a block
_WHOLE = 64 << 20  # bytes up to which a file is read all through
_SAMPLED = 16  # blocks of a larger one, its first and its last among them
_seen: set[tuple[Any, ...]] = set()


@contextlib.contextmanager
def locked(place: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[OSError | None]:
    """Make the folder `place` and hold its lock, as `files.locked` does; gives None.

    Where it cannot be written, it is not locked, and the error is given for whoever must write after all.
    """
    with contextlib.ExitStack() as stack:
        refusal = None
        try:
            place.mkdir(parents=True, exist_ok=True)
            stack.enter_context(files.locked(place / "lock", waiting))
        except OSError as error:
            refusal = error
        yield refusal


def record(path: Path) -> None:
    """Write the hashes of a file to `blocks.json` beside it."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        digests = [hashlib.sha256(file.read(_BYTES)).hexdigest() for _ in range(0, size, _BYTES)]
    content = {"bytes": size, "block_bytes": _BYTES, "sha256": digests}
    files.replace_text(path.with_name(NAME), json.dumps(content) + "\n")


def are_whole(path: Path) -> bool:
    """Whether the file is there with the bytes that `record` saw, as far as is read; never without `blocks.json`."""
    try:
        found = json.loads((path.parent / NAME).read_text(encoding="utf-8"))
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            known = (str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns, repr(found))
            if known in _seen:
                return True
            size, block, digests = found["bytes"], found["block_bytes"], found["sha256"]
            if status.st_size != size or block != _BYTES or len(digests) != -(-size // block):
                return False
            for index in _chosen(len(digests), size):
                file.seek(index * block)
                if hashlib.sha256(file.read(block)).hexdigest() != digests[index]:
                    return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    _seen.add(known)
    return True


def _chosen(count: int, size: int) -> list[int]:
    if size <= _WHOLE:
        return list(range(count))
    inner = random.SystemRandom().sample(range(1, count - 1), _SAMPLED - 2)  # not the generator that a seed has set
    return [0, *sorted(inner), count - 1]
