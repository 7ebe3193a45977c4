"""Unpack an archive from elsewhere: files and folders only, inside the target, within stated limits."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from data_tools.errors import SuiteError

MAX_MEMBERS = 1000
MAX_BYTES = 2 << 30
_GZIP = b"\x1f\x8b"
_LARGEST_READ = 16 << 20  # a longer one is a header that claims to be huge


class BadArchive(SuiteError):
    """The archive is damaged, or holds what it must not."""


class _LimitedGzip(gzip.GzipFile):
    """Decompresses no more than `MAX_BYTES`, and no more than `_LARGEST_READ` at once."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_READ or self.tell() > MAX_BYTES:
            raise BadArchive(f"{self.name} unpacks to more than {MAX_BYTES >> 20} MiB")
        return super().read(size)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a `.tar.gz`, or a `.tar` that a browser has unpacked already, into the empty `folder`.

    Whatever it says of owners, modes and times is ignored.

    Raises:
        BadArchive: for a damaged archive, links, devices, names that lead out of `folder`, or more than `MAX_MEMBERS`
            entries or `MAX_BYTES` bytes.
    """
    try:
        with _content(archive) as content, tarfile.open(fileobj=content, mode="r:") as tar:
            total = 0
            for count, member in enumerate(tar, start=1):
                total += member.size
                if count > MAX_MEMBERS or total > MAX_BYTES:
                    raise BadArchive(
                        f"{archive} unpacks to more than {MAX_MEMBERS} files or {MAX_BYTES >> 20} MiB: not unpacked"
                    )
                _write(tar, member, folder, archive)
            while content.read(_LARGEST_READ):  # to the end, where the checksum is
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, FileExistsError, NotADirectoryError) as error:
        raise BadArchive(f"{archive} is damaged or no .tar.gz or .tar archive ({error})") from None


def _content(archive: Path) -> BinaryIO | _LimitedGzip:
    """What is packed, by how the file begins, whatever it is called."""
    with open(archive, "rb") as file:
        if file.read(len(_GZIP)) == _GZIP:
            return _LimitedGzip(archive, "rb")
    return open(archive, "rb")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name or "\0" in member.name:
        raise BadArchive(f"{archive} holds a name that leads elsewhere ({member.name[:100]!r}): not unpacked")
    target = folder / name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    source = tar.extractfile(member) if member.isfile() and not member.issparse() else None
    if source is None:
        raise BadArchive(f"{archive} holds a link or another special file ({member.name[:100]!r}): not unpacked")
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, open(target, "xb") as file:
        shutil.copyfileobj(source, file)
