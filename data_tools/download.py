"""Download a file once: by HTTPS, resumable, checked by hash, kept in a cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.util import Retry

from data_tools import files
from data_tools.cache import CACHE_VARIABLE, cache_folder
from data_tools.errors import DataError
from data_tools.progress import counting, note

_CHUNK = 1 << 18
_BACKOFF = 0.5  # seconds before a failed request is repeated; doubled each time


def download(
    url: str, sha256: str | None, *, folder: Path | None = None, name: str | None = None, flag: str = "--data-dir"
) -> Path:
    """The local copy of `url`, downloaded if it is not there yet.

    Args:
        url: where it is, by HTTPS, which redirections cannot leave. Plain HTTP is taken from this machine itself only.
        sha256: expected digest, hexadecimal; None if none is known, so that whoever reads the file must check it.
        folder: where to keep it; the cache folder if None.
        name: of the file; the last part of `url` if None.
        flag: by which the command takes a file that was downloaded by hand, for the error message.

    Raises:
        DataError: without a network, for a server's refusal, a full disk, or another digest than expected.
    """
    folder = folder or cache_folder()
    target = folder / (name or url.rsplit("/", 1)[1])
    if target.exists():
        return target
    by_hand = f"Download it by hand and pass its place as {flag}, or put it at {target}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        # one process fetches, those that waited find it there
        with files.locked(part, lambda: note(f"another process is fetching {url}: waiting for it")):
            if target.exists():
                part.unlink(missing_ok=True)
            else:
                _fetch_checked(url, sha256, part, by_hand)
                os.replace(part, target)
    except _InsecureError as error:
        raise DataError(f"{url} leads to {error}, which is not HTTPS: it was not followed.\n{by_hand}") from None
    except requests.RequestException as error:
        reason = type(error).__name__
        raise DataError(f"{url} cannot be downloaded ({reason}).\n{by_hand}") from None
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error.strerror}): set {CACHE_VARIABLE}") from None
    return target


@contextlib.contextmanager
def reading(kept: Path | None) -> Iterator[None]:
    """Adds the way out to a DataError about what `download` had put at `kept`; None for files of the user's own."""
    try:
        yield
    except DataError as error:
        if kept is None:
            raise
        raise DataError(f"{error}\nIt was downloaded before: delete {kept} to have it downloaded again") from None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _InsecureError(requests.RequestException):
    """A redirection away from HTTPS; the message is where to."""


class _Session(requests.Session):
    """Follows redirections to HTTPS only, but for a server on this machine."""

    def get_redirect_target(self, response: requests.Response) -> str | None:
        target = super().get_redirect_target(response)
        if target is not None:
            place = urljoin(response.url, target)
            if not _is_safe(place) or (urlsplit(response.url).scheme == "https" and urlsplit(place).scheme != "https"):
                raise _InsecureError(place)
        return target


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost"))


def _fetch_checked(url: str, sha256: str | None, part: Path, by_hand: str) -> None:
    _fetch(url, part)
    digest = sha256 and file_sha256(part)
    if digest != sha256:
        part.unlink()
        raise DataError(
            f"{url} has SHA-256 {digest}, expected {sha256}: the file is damaged or another one.\n{by_hand}"
        )


def _fetch(url: str, part: Path) -> None:
    """Append to `part` what it still lacks; starts over if the server cannot continue."""
    if not _is_safe(url):
        raise _InsecureError(url)
    session = _Session()
    retry = Retry(total=3, backoff_factor=_BACKOFF, status_forcelist=(429, 500, 502, 503, 504))
    session.mount("https://", requests.adapters.HTTPAdapter(max_retries=retry))
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with session.get(url, headers=headers, stream=True, timeout=30) as response:
        if response.status_code == 416:  # the part is already whole, or too long; the hash decides
            return
        response.raise_for_status()
        if response.status_code != 206:
            have = 0
        total = have + int(response.headers.get("Content-Length", 0))
        counter = counting(f"downloading {part.stem}", total, done=have, is_bytes=True)
        with open(part, "ab" if have else "wb") as file, counter as advance:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                advance(len(chunk))
