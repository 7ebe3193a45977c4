"""Download a file once: by HTTPS, resumable, kept in a cache folder, checked by hash whenever it is used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
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
    url: str, sha256: str | None, *, folder: Path | None = None, name: str | None = None, flag: str = "--data-dir",
    places: Sequence[str] = (),
) -> Path:  # fmt: skip
    """The local copy of `url`, downloaded if it is not there yet.

    Args:
        url: where it is, by HTTPS, which redirections cannot leave. Plain HTTP is taken from this machine itself only.
        sha256: expected digest, hexadecimal, of a copy that is there already, too; None if none is known, so that
            whoever reads the file must check it.
        folder: where to keep it; the cache folder if None.
        name: of the file; the last part of `url` if None.
        flag: by which the command takes a file that was downloaded by hand, for the error message.
        places: from where a browser gets it, for the error message.

    Raises:
        DataError: without a network, for a server's refusal, a web page in the place of the file, a full disk, or
            another digest than expected.
    """
    folder = folder or cache_folder()
    target = folder / (name or url.rsplit("/", 1)[1])
    if target.exists():
        return _require_published(target, sha256, flag)
    by_hand = f"Download it by hand{' from ' * bool(places)}{' or '.join(places)} and pass its place as {flag}, "
    by_hand += f"or put it at {target}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        # one process fetches, those that waited find it there
        with files.locked(part, lambda: note(f"another process is fetching {url}: waiting for it")):
            if target.exists():
                part.unlink(missing_ok=True)
                return _require_published(target, sha256, flag)
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


def _require_published(kept: Path, sha256: str | None, flag: str) -> Path:
    """`kept`, which came earlier, by whatever way, if it is what was published."""
    if sha256 is not None and (digest := file_sha256(kept)) != sha256:
        raise DataError(
            f"{kept} has SHA-256 {digest}, expected {sha256}: the file is damaged or another one.\n"
            f"Delete it to have it downloaded again, or pass a file of your own as {flag}"
        )
    return kept


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
    with open(part, "rb") as file:
        start = file.read(64)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):  # of HTML, and of XML, which refusals come in
        part.unlink()
        raise DataError(
            f"{url} gave a web page instead of the file: it is no longer there, or wants a login.\n{by_hand}"
        )
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
