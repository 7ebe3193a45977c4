"""Fetch the photographs that were found, each once, and set aside what is of no use."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from data_tools.flickr.checks import Facts, Rules, Unusable, examine
from data_tools.flickr.fetching import Answer, Fault, Fetcher
from data_tools.flickr.store import BY_ID, Store
from data_tools.flickr.work import in_parallel, write_whole
from data_tools.images import DataError

_MAX_BYTES = 64 << 20
_UNREACHABLE = 20  # photographs in a row without any answer, after which the network is held to be gone
_GONE = {"status 404", "status 410", "no longer available"}
# what stays after every repetition, although the server answers: there is no picture at this address
_NO_PICTURE = {
    "wrong content type",
    "empty body",
    "redirect to another host",
    "redirect to no address",
    "too many redirects",
}


def download(
    store: Store,
    fetcher: Fetcher,
    *,
    rules: Rules,
    limit: int | None,
    workers: int,
    advance: Callable[[int], None],
) -> collections.Counter[str]:
    """Fetch every photograph that is not here yet; gives the number that ended in each state.

    A file is written to `incoming/` as soon as its last byte is here, and taken from there after a kill, so that it
    is not fetched again.

    Raises:
        DataError: if the server does not answer at all.
    """
    ended: collections.Counter[str] = collections.Counter()
    for state in _adopt(store, rules):
        ended[state] += 1
        advance(1)
    pending = store.rows(
        f"SELECT id, file FROM photos WHERE state IN ('found', 'failed') {BY_ID} LIMIT ?",
        -1 if limit is None else limit,
    )
    silent = 0
    fetch = lambda row: _fetch(store, fetcher, row["id"], row["file"], rules)  # noqa: E731
    for state, silence in in_parallel(fetch, pending, workers, fetcher.stopping.set):
        ended[state] += 1
        advance(1)
        silent = silent + 1 if silence else 0
        if silent >= _UNREACHABLE:
            fetcher.stopping.set()
            raise DataError(
                f"no answer for {silent} photographs in a row, for the last one {silence!r}: "
                "check the network and run the command again to go on"
            )
    return ended


def again(store: Store) -> int:
    """Mark what is wanted but was not kept as to be fetched again; gives how many."""
    return store.write("UPDATE photos SET state = 'found' WHERE state = 'downloaded' AND original = ''")


def _adopt(store: Store, rules: Rules):
    """Settle the files that a kill left in `incoming/`."""
    for path in sorted((store.folder / "incoming").glob("*")):
        state = store.value("SELECT state FROM photos WHERE id = ?", path.name)
        if path.name.startswith(".") or state is None:
            path.unlink()
        elif state in ("found", "failed"):
            yield _settle(store, path.name, path.read_bytes(), rules)
        else:
            _put_away(store, path.name)


def _fetch(store: Store, fetcher: Fetcher, identity: str, url: str, rules: Rules) -> tuple[str, str]:
    """The photograph's new state, and what kept the server from answering, if that was it."""
    try:
        body = fetcher.fetch(url, _picture_bytes, max_bytes=_MAX_BYTES)
    except Fault as fault:
        reason = str(fault)
        aside = fault.final or reason in _NO_PICTURE
        reason = f"gone: {reason}" if reason in _GONE else f"refused: {reason}"
        state = "set_aside" if aside else "failed"
        store.update("photos", "id", identity, state=state, reason=reason)
        return state, str(fault) if fault.unreachable else ""
    write_whole(store.folder / "incoming" / identity, body)
    return _settle(store, identity, body, rules), ""


def _picture_bytes(answer: Answer) -> bytes:
    if not (answer.media_type.startswith("image/") or answer.media_type in ("", "application/octet-stream")):
        raise Fault("wrong content type")
    if not answer.body:
        raise Fault("empty body")
    return answer.body


def _settle(store: Store, identity: str, body: bytes, rules: Rules) -> str:
    """Look at a file, write down what it is, and put it where it belongs."""
    facts: Facts | None = None
    try:
        facts = examine(body, rules)
        state, reason, extension = "downloaded", "", facts.extension
    except Unusable as error:
        state, reason, extension = "set_aside", str(error), error.extension
    folder = f"originals/{int(identity) % 100:02d}" if facts else "set_aside"
    store.update(
        *("photos", "id", identity),
        state=state,
        reason=reason,
        original=f"{folder}/{identity}.{extension}",
        bytes=len(body),
        width=facts.width if facts else None,
        height=facts.height if facts else None,
        sha256=hashlib.sha256(body).hexdigest(),
        phash=facts.phash if facts else None,
        date_downloaded=int(time.time()),
    )
    _put_away(store, identity)
    return state


def _put_away(store: Store, identity: str) -> None:
    """Move a file from `incoming/` to the place that the state names, which was written before."""
    original = store.value("SELECT original FROM photos WHERE id = ?", identity)
    incoming = store.folder / "incoming" / identity
    if not original:
        incoming.unlink()
        return
    target = store.folder / Path(original)
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.replace(incoming, target)
