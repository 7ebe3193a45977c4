"""The two methods of Flickr's REST API that a collection needs, and the key that goes with them.

https://www.flickr.com/services/api/flickr.photos.search.html
https://www.flickr.com/services/api/flickr.photos.licenses.getInfo.html
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from data_tools.errors import DataError, UsageError
from data_tools.flickr.fetching import Answer, Fault, Fetcher
from data_tools.flickr.licences import Licence, short_name

KEY_VARIABLE = "FLICKR_API_KEY"
PER_PAGE = 500  # the most that Flickr gives at once
_MAX_BYTES = 32 << 20
_EXTRAS = (
    "license,owner_name,date_taken,date_upload,tags,o_dims,media,"
    "url_sq,url_t,url_s,url_q,url_m,url_n,url_z,url_c,url_l,url_o"
)
# Codes that asking again does not change: wrong arguments, unknown users, unknown methods. 100 is a wrong key.
_FINAL_CODES = {1, 2, 3, 4, 5, 11, 12, 17, 18, 100, 111, 112, 114, 115, 116}
_WRONG_KEY = 100
WRONG_SHAPE = "answer of the wrong shape"  # well-formed JSON, but not what the method answers

Result = TypeVar("Result")


def read_key(file: Path | None) -> str:
    """The key, from `file` or else from the environment; what is wrong with it is said without showing it.

    Raises:
        UsageError: if there is none, or it does not look like one.
    """
    source = f"--key-file {file}" if file else KEY_VARIABLE
    if file:
        try:
            key = file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise UsageError(f"--key-file {file} cannot be read ({error.strerror})") from None
    else:
        key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise UsageError(
            f"a key of Flickr's API is needed: set {KEY_VARIABLE}, or put it into a file for --key-file.\n"
            f"https://www.flickr.com/services/apps/create/ gives one"
        )
    if not re.fullmatch(r"[0-9A-Za-z_-]{8,128}", key):
        raise UsageError(f"{source} must be one word of 8 to 128 letters and digits. Received: {len(key)} characters")
    return key


def check_endpoint(url: str, option: str = "--endpoint") -> str:
    """The address as it is, if the key may be sent there.

    Raises:
        UsageError: for anything but HTTPS, or HTTP on this machine.
    """
    try:
        parts = urlsplit(url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        scheme = parts.scheme == "https" or (parts.scheme == "http" and local)
        good = bool(parts.hostname) and not parts.username and parts.port != 0 and scheme
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{option} must be an https:// address, as the key is sent there. Received: {url}")
    return url


@dataclasses.dataclass(frozen=True)
class Page:
    """One page of search results.

    Attributes:
        entries: what the server says of each photo; nothing about their content is certain.
        pages: how many pages the server claims; 0 if it does not say.
        total: how many results the server claims; 0 if it does not say.
    """

    entries: list[dict[str, Any]]
    pages: int
    total: int


class FlickrApi:
    """Calls the API through `fetcher`; the key is sent, and masked in everything that comes back."""

    def __init__(self, fetcher: Fetcher, endpoint: str, key: str) -> None:
        self._fetcher = fetcher
        self._endpoint = endpoint
        self._key = key

    def licences(self) -> list[Licence]:
        """All licences that the server knows."""
        return self._call("flickr.photos.licenses.getInfo", _licences)

    def search(self, kind: str, words: str, *, licences: list[str], max_upload_date: int, page: int) -> Page:
        """One page of photographs, the newest first, that were uploaded at or before a time.

        Args:
            kind: `"tags"` or `"text"`.
            words: what to search for.
            licences: numbers of the allowed ones.
            max_upload_date: seconds since 1970.
            page: from 1 on.

        Raises:
            Fault: if the server cannot or will not answer, or does not answer with a page.
        """
        what = {"tags": words, "tag_mode": "any"} if kind == "tags" else {"text": words}
        return self._call(
            "flickr.photos.search",
            _page,
            **what,
            license=",".join(licences),
            media="photos",
            content_types="0",
            safe_search="1",
            sort="date-posted-desc",
            max_upload_date=str(max_upload_date),
            extras=_EXTRAS,
            per_page=str(PER_PAGE),
            page=str(page),
        )

    def _call(self, method: str, shape: Callable[[dict[str, Any]], Result], **arguments: str) -> Result:
        """What `shape` makes of an answer; one that it refuses is asked for again like any other fault."""
        parameters = {"method": method, "api_key": self._key, "format": "json", "nojsoncallback": "1", **arguments}
        read = lambda answer: shape(self._parse(answer))  # noqa: E731
        return self._fetcher.fetch(self._endpoint, read, max_bytes=_MAX_BYTES, parameters=parameters)

    def _parse(self, answer: Answer) -> dict[str, Any]:
        if answer.media_type not in ("application/json", "text/json", "text/javascript"):
            raise Fault("wrong content type")
        try:
            content = self._masked(json.loads(answer.body))
        except (ValueError, RecursionError):
            raise Fault("no JSON") from None
        if not isinstance(content, dict):
            raise Fault("no JSON object")
        if content.get("stat") != "ok":
            code = whole_number(content.get("code"))
            if code == _WRONG_KEY:
                raise DataError("Flickr does not know this key (code 100): check it, or make a new one")
            raise Fault(f"stat: {plain_text(content.get('stat'))[:20]}, code {code}", final=code in _FINAL_CODES)
        return content

    def _masked(self, value: Any) -> Any:
        """Without the key, should a server send it back in whatever spelling of JSON: nothing kept may hold it."""
        if isinstance(value, dict):
            return {self._masked(name): self._masked(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._masked(inner) for inner in value]
        if isinstance(value, str | int | float) and self._key in str(value):
            return str(value).replace(self._key, "***")
        return value


def _licences(answer: dict[str, Any]) -> list[Licence]:
    licences = []
    for entry in _listed(answer, "licenses", "license")[1]:
        name, url = plain_text(entry.get("name")), plain_text(entry.get("url"))
        licences.append(Licence(plain_text(entry.get("id")), name, url, short_name(name, url)))
    if not licences:
        raise Fault(WRONG_SHAPE)
    return licences


def _page(answer: dict[str, Any]) -> Page:
    found, entries = _listed(answer, "photos", "photo")  # Flickr's own totals may be an empty text
    return Page(entries, whole_number(found.get("pages")), whole_number(found.get("total")))


def _listed(answer: dict[str, Any], outer: str, inner: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The object `outer` of an answer, and its list `inner` of objects.

    Raises:
        Fault: if it has none.
    """
    found = answer.get(outer)
    entries = found.get(inner) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise Fault(WRONG_SHAPE)
    return found, entries


def plain_text(value: Any, limit: int = 1000) -> str:
    """One line of printable text out of whatever a server sent."""
    if isinstance(value, dict):  # Flickr wraps some texts
        value = value.get("_content")
    if not isinstance(value, str | int | float):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)[: 4 * limit]).split())[:limit]


def whole_number(value: Any) -> int:
    """A number from 0 to 10^12 that may have come as text; 0 for anything else."""
    text = str(value) if isinstance(value, str | int) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else 0
