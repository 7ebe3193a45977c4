"""Fetch the photographs that were found, each once, and set aside what is of no use."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable

from data_tools.errors import DataError
from data_tools.flickr.checks import Facts, Rules, Unusable, examine
from data_tools.flickr.fetching import Answer, Fault, Fetcher
from data_tools.flickr.store import Store
from data_tools.flickr.work import in_parallel, write_whole

_MAX_BYTES = 64 << 20
_REFUSED = 20  # photographs in a row that did not come, after which the network or the server is held to be at fault
_GONE = {"status 404", "status 410", "no longer available"}
_TOO_LONG = f"more than {_MAX_BYTES:,} bytes"
_BROKEN = "broken"  # kind of reason, see `checks.Unusable`: the file's own fault, or that of its way here
_SURE = 3  # times that the same broken file must come before it is held to be what the server has
_PENDING = f"FROM photos WHERE state IN ('found', 'failed') OR (state = 'set_aside' AND reason LIKE '{_BROKEN}:%')"

Found = Facts | Unusable


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
        DataError: if none comes any more: no answer, or a login page, a proxy or a block answers in the server's place.
    """
    ended: collections.Counter[str] = collections.Counter()
    for state in _adopt(store, rules):
        ended[state] += 1
        advance(1)
    rows = store.rows(  # those that failed before come last, so that they keep none of the others from coming
        f"SELECT id, file, sha256, state {_PENDING} ORDER BY state != 'found', state != 'failed', length(id), id "
        "LIMIT ?",
        -1 if limit is None else limit,
    )
    refused = 0
    fetch = lambda row: _fetch(store, fetcher, row, rules)  # noqa: E731
    for state, fault in in_parallel(fetch, rows, workers, fetcher.stopping.set):
        ended[state] += 1
        advance(1)
        refused = refused + 1 if fault else 0
        if refused >= _REFUSED:
            fetcher.stopping.set()
            raise DataError(
                f"{refused} photographs in a row could not be fetched, the last one for {fault!r}: "
                "check the network (a login page?) and run the command again to go on"
            )
    return ended


def pending(store: Store) -> int:
    """How many photographs are to be fetched."""
    return store.value(f"SELECT count(*) {_PENDING}")


def again(store: Store) -> int:
    """Mark what is wanted but was not kept, and what was set aside unseen, as to be fetched again; gives how many."""
    return store.write(
        "UPDATE photos SET state = 'found', reason = '' WHERE (state = 'downloaded' AND original = '') "
        "OR (state = 'set_aside' AND reason LIKE 'refused:%')"
    )


def _adopt(store: Store, rules: Rules):
    """Settle the files that a kill left in `incoming/`."""
    for path in sorted((store.folder / "incoming").glob("*")):
        state = store.value("SELECT state FROM photos WHERE id = ?", path.name)
        if path.name.startswith(".") or state is None:
            path.unlink()
        elif state in ("found", "failed"):
            body = path.read_bytes()
            yield _settle(store, path.name, body, _examined(body, rules))
        else:
            _put_away(store, path.name)


def _fetch(store: Store, fetcher: Fetcher, row: sqlite3.Row, rules: Rules) -> tuple[str, str]:
    """The photograph's new state, and the fault that may not be its own, if it did not come.

    Only what says something of the photograph itself sets it aside. Anything else a login page, a proxy or a block may
    answer for every photograph; those are tried again by the next download. A broken picture may have been cut on its
    way, so it is asked for again until the same bytes came `_SURE` times; the next download asks once more.
    """
    identity, broken = row["id"], collections.Counter[str]()
    if row["state"] == "set_aside":
        broken[row["sha256"]] = _SURE - 1

    def read(answer: Answer) -> tuple[bytes, Found]:
        body = _picture_bytes(answer)
        found, digest = _examined(body, rules), hashlib.sha256(body).hexdigest()
        if isinstance(found, Unusable) and str(found).startswith(f"{_BROKEN}:"):
            broken[digest] += 1
            if broken[digest] < _SURE:
                raise Fault("broken picture")
        return body, found

    try:
        body, found = fetcher.fetch(row["file"], read, max_bytes=_MAX_BYTES)
    except Fault as fault:
        what = str(fault)
        state = "set_aside" if what in _GONE or what == _TOO_LONG else "failed"
        reason = f"gone: {what}" if what in _GONE else f"refused: {what}"
        store.update("photos", "id", identity, state=state, reason=reason)
        return state, what if state == "failed" else ""
    write_whole(store.folder / "incoming" / identity, body)
    return _settle(store, identity, body, found), ""


def _picture_bytes(answer: Answer) -> bytes:
    if not (answer.media_type.startswith("image/") or answer.media_type in ("", "application/octet-stream")):
        raise Fault("wrong content type")
    if not answer.body:
        raise Fault("empty body")
    return answer.body


def _examined(body: bytes, rules: Rules) -> Found:
    try:
        return examine(body, rules)
    except Unusable as error:
        return error


def _settle(store: Store, identity: str, body: bytes, found: Found) -> str:
    """Write down what a file is, and put it where it belongs."""
    facts = found if isinstance(found, Facts) else None
    state, reason = ("set_aside", str(found)) if isinstance(found, Unusable) else ("downloaded", "")
    folder = f"originals/{int(identity) % 100:02d}" if facts else "set_aside"
    before = store.value("SELECT original FROM photos WHERE id = ?", identity)
    original = f"{folder}/{identity}.{found.extension}"
    store.update(
        *("photos", "id", identity),
        state=state,
        reason=reason,
        original=original,
        bytes=len(body),
        width=facts.width if facts else None,
        height=facts.height if facts else None,
        sha256=hashlib.sha256(body).hexdigest(),
        phash=facts.phash if facts else None,
        date_downloaded=int(time.time()),
    )
    _put_away(store, identity)
    if before not in ("", original):  # a broken file that came whole this time
        store.path(before).unlink(missing_ok=True)
    return state


def _put_away(store: Store, identity: str) -> None:
    """Move a file from `incoming/` to the place that the state names, which was written before."""
    original = store.value("SELECT original FROM photos WHERE id = ?", identity)
    incoming = store.folder / "incoming" / identity
    if not original:
        incoming.unlink()
        return
    target = store.path(original)
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.replace(incoming, target)
