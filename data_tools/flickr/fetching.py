"""HTTP with patience: paced, retried, limited in size and time, and kept to the hosts that were named."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import re
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from data_tools.command import report
from data_tools.errors import DataError
from data_tools.flickr.lanes import MAX_HOLD, Lane
from data_tools.flickr.store import Store

_FLICKR_HOSTS = ("flickr.com", "staticflickr.com")  # and their subdomains, by HTTPS
_MAX_REDIRECTS = 4
_CHUNK = 1 << 16
_PATIENCE = 10  # time-outs for a whole answer, so that one that drips does not hold a worker for ever
_MAX_PAUSE = 300.0
_SAID = 10.0  # seconds; longer waits are told

Result = TypeVar("Result")


class Fault(Exception):
    """A request that brought nothing; the message is what is counted, and never holds an address or the key.

    Attributes:
        final: asking again is pointless.
        wait: seconds that the server asks to wait.
        unreachable: the server does not answer, or says that it cannot now.
    """

    def __init__(self, message: str, *, final: bool = False, wait: float | None = None, unreachable: bool = False):
        super().__init__(message)
        self.final = final
        self.wait = wait
        self.unreachable = unreachable


class Stopped(Exception):
    """The command is being ended; nothing more is asked for."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """Body and media type (without parameters, small letters) of a successful answer."""

    body: bytes
    media_type: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manners:
    """How to ask.

    Attributes:
        endpoint: address of the API; its host may serve pictures, too, beside Flickr's.
        rate: requests per hour, redirects and repeated requests included.
        retries: how often a failed request is repeated.
        retry_wait: seconds before the first repetition, doubled each time.
        timeout: seconds without a byte after which a request has failed.
    """

    endpoint: str
    rate: float
    retries: int
    retry_wait: float
    timeout: float


class Fetcher:
    """Asks for one address after the other.

    Args:
        store: where faults are counted.
        kind: of requests, `"api"` or `"images"`; each has its own pace, and so has each `key`.
    """

    def __init__(self, store: Store, kind: str, manners: Manners, key: str = "") -> None:
        self.stopping = threading.Event()
        self._store = store
        self._kind = kind
        self._manners = manners
        self._origin = _origin(manners.endpoint)
        self._lane = Lane(kind, self._origin, key)
        self._local = threading.local()
        self._turn = threading.Lock()

    def allowed(self, url: str) -> bool:
        """Whether the address is on the endpoint's host or one of Flickr's."""
        try:
            scheme, host, port = _origin(url)
        except ValueError:
            return False
        if (scheme, host, port) == self._origin:
            return True
        ours = any(host == known or host.endswith("." + known) for known in _FLICKR_HOSTS)
        return scheme == "https" and port == 443 and ours

    def fetch(
        self, url: str, read: Callable[[Answer], Result], *, max_bytes: int, parameters: dict[str, Any] | None = None
    ) -> Result:
        """`read` of the answer, asked for again after every fault that may pass, including those that `read` raises.

        Raises:
            Fault: the last one, when the repetitions are used up or more are pointless.
            DataError: if the server asks to wait longer than `MAX_HOLD`.
        """
        attempt = 0
        while True:
            try:
                return read(self._follow(url, parameters, max_bytes))
            except Fault as fault:
                self._store.count(self._kind, str(fault))
                if fault.wait is not None and fault.wait > MAX_HOLD:
                    self._lane.hold(MAX_HOLD)
                    wait = f"{fault.wait:,.0f} s"
                    raise DataError(f"the server asks to wait {wait}: run the command again then") from None
                if fault.wait is not None:
                    self._lane.hold(fault.wait)
                if fault.final or attempt == self._manners.retries:
                    raise
                if fault.wait is None:
                    self._sleep(min(self._manners.retry_wait * 2**attempt, _MAX_PAUSE))
            attempt += 1

    def _follow(self, url: str, parameters: dict[str, Any] | None, max_bytes: int) -> Answer:
        for _ in range(_MAX_REDIRECTS):
            if not self.allowed(url):
                raise Fault("redirect to another host")
            self._await_turn()
            try:
                answer = self._ask(url, parameters, max_bytes)
            except requests.Timeout:
                raise Fault("time-out", unreachable=True) from None
            except requests.ConnectionError as error:
                if isinstance(error.args[0] if error.args else None, urllib3.exceptions.ReadTimeoutError):
                    raise Fault("time-out", unreachable=True) from None
                raise Fault("no connection", unreachable=True) from None
            except urllib3.exceptions.ReadTimeoutError:
                raise Fault("time-out") from None
            except urllib3.exceptions.ProtocolError:
                raise Fault("truncated body") from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
                raise Fault("broken answer") from None
            if isinstance(answer, Answer):
                return answer
            try:
                url, parameters = urljoin(url, answer), None
                name = urlsplit(url).path.rpartition("/")[2]
            except ValueError:
                raise Fault("redirect to no address") from None
            if name.startswith("photo_unavailable"):  # the picture that Flickr shows in place of one that was removed
                raise Fault("no longer available", final=True)
        raise Fault("too many redirects")

    def _ask(self, url: str, parameters: dict[str, Any] | None, max_bytes: int) -> Answer | str:
        """The answer, or the address that a redirect leads to."""
        timeout = self._manners.timeout
        with self._session().get(
            url, params=parameters, timeout=timeout, stream=True, allow_redirects=False
        ) as response:
            status = response.status_code
            if response.is_redirect:
                return response.headers["Location"]
            if status in (429, 503):
                raise self._told_to_wait(status, response.headers.get("Retry-After"))
            if status >= 500 or status == 408:
                raise Fault(f"status {status}", unreachable=True)
            if status != 200:
                raise Fault(f"status {status}", final=True)
            body = _read(response.raw, max_bytes, time.monotonic() + _PATIENCE * timeout)
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Answer(body, media_type)

    def _told_to_wait(self, status: int, header: str | None) -> Fault:
        seconds = _seconds(header or "")
        if seconds is None and status == 429:
            self._lane.hold(self._manners.retry_wait)
        return Fault(f"status {status}{'' if seconds is None else ' with Retry-After'}", wait=seconds, unreachable=True)

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            session = _Session()
            session.headers["User-Agent"] = "tfgan_suite (photo collector)"
            session.headers["Accept-Encoding"] = "identity"  # a compressed answer could unpack to anything
            self._local.session = session
        return self._local.session

    def _await_turn(self) -> None:
        interval = 3600 / self._manners.rate
        with self._turn:
            while (wait := self._lane.turn(interval)) > 0:
                if wait > max(interval, _SAID):
                    report(f"waiting {wait:,.0f} s, as the server asked")
                self._sleep(wait)
        if self.stopping.is_set():
            raise Stopped

    def _sleep(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise Stopped


class _Session(requests.Session):
    """Leaves redirects alone: requests would read their whole body first, however long."""

    def get_redirect_target(self, resp):
        return None


def _read(raw: urllib3.HTTPResponse, max_bytes: int, deadline: float) -> bytes:
    length = raw.length_remaining
    parts, have = [], 0
    if length is not None and length > max_bytes:
        raise Fault(f"more than {max_bytes:,} bytes", final=True)
    while chunk := raw.read1(_CHUNK, decode_content=False):
        parts.append(chunk)
        have += len(chunk)
        if have > max_bytes:
            raise Fault(f"more than {max_bytes:,} bytes", final=True)
        if time.monotonic() > deadline:
            raise Fault("time-out")
    if length is not None and have != length:
        raise Fault("truncated body")
    return b"".join(parts)


def _seconds(retry_after: str) -> float | None:
    """What a header Retry-After asks for, in seconds or as a date; None if it says neither."""
    if re.fullmatch(r" *[0-9]{1,12} *", retry_after):
        return float(retry_after)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    return None


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port.

    Raises:
        ValueError: for an address that is not plain HTTP or HTTPS, or carries a user's name.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ValueError("not an address")
    return parts.scheme, parts.hostname.lower(), parts.port or (443 if parts.scheme == "https" else 80)
