"""The cache folder, and what the arrays of images that are kept in it as `.npy` files have in common."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_tools.errors import DataError, SuiteError
from data_tools.progress import note

CACHE_VARIABLE = "TFGAN_SUITE_CACHE"
PART_BYTES = 4 << 20  # decoded, written and brought to the disk at once; two such parts are in memory


def cache_folder() -> Path:
    """`$TFGAN_SUITE_CACHE`, or `~/.cache/tfgan_suite`; made, for its owner alone, if there is none.

    A line on stderr says, once a process, where others may write to it: see `warn_of_others`.
    """
    folder = Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "tfgan_suite").expanduser()
    with contextlib.suppress(OSError):  # whoever writes there says why that fails
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    warn_of_others(folder, CACHE_VARIABLE)
    return folder


@functools.cache
def warn_of_others(folder: Path, variable: str) -> None:
    """Say, once a process, if others may write to `folder`, so that what is found there may be theirs.

    These are its group or everyone, by its mode, and its owner, if that is neither this user nor root. Root, as which
    containers run, may use the folders of all users. Nothing is refused: groups share caches on purpose.

    Args:
        variable: of the environment, that chooses another folder.
    """
    try:
        about = folder.stat()
    except OSError:
        return
    others = [name for name, bit in (("its group", stat.S_IWGRP), ("everyone", stat.S_IWOTH)) if about.st_mode & bit]
    if about.st_uid not in (os.getuid(), 0) and os.getuid() != 0:
        others.append(f"its owner, user {about.st_uid},")
    if others:
        note(
            f"note: {' and '.join(others)} may write to the cache folder {folder}, and change what is read from there: "
            f"chmod go-w it, or set {variable} to a folder of your own"
        )


def rows_per_part(image_size: int, channels: int) -> int:
    """How many images are written at once: `PART_BYTES` of them, but at least one and at most 512."""
    return max(1, min(512, PART_BYTES // (image_size * image_size * channels)))


def npy_header(shape: tuple[int, ...]) -> bytes:
    """The first bytes of a `.npy` file of uint8 values; the values follow."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@contextlib.contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turn what goes wrong in writing `place` in the cache folder into a DataError that says the way out."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} vanished while it was read: run it again") from None
    except OSError as error:
        raise DataError(
            f"{place} cannot be written ({error.strerror}): free space, or set {CACHE_VARIABLE} to another folder"
        ) from None
    except SuiteError as error:
        raise DataError(f"{error}: set {CACHE_VARIABLE}") from None


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
