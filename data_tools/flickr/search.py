"""Find photographs: walk through each query's results from the newest upload to the oldest.

Flickr gives at most 4,000 results of a search, and its pages shift while they are read. Therefore a walk never goes by
page numbers: each request asks for what was uploaded at or before the oldest photograph seen so far, which splits a
search of any length by upload date, and repeats are known by their id.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from data_tools.errors import DataError
from data_tools.flickr.api import FlickrApi, Page, plain_text, whole_number
from data_tools.flickr.fetching import Fault
from data_tools.flickr.licences import Licence
from data_tools.flickr.queries import Query
from data_tools.flickr.store import PHOTO_ID, Store

_SIZES = ("sq", "t", "s", "q", "m", "n", "z", "c", "l", "o")
_BARREN = 40  # answers in a row that lead to no older photograph, after which a query is given up
_NOT_ALLOWED = "licence: not among those allowed"
_EMPTY_TRIES = 3  # how often an empty page is asked for again where there should be results


@dataclasses.dataclass
class Walk:
    """Where the search of one query stands: the rows of `queries` are this."""

    key: str
    class_name: str
    kind: str
    words: str
    target: int
    cursor: int
    page: int


def plan(store: Store, queries: list[Query], allowed: set[str]) -> None:
    """Enter the queries in the state; a known one is opened again where its target or the licences are others now.

    Args:
        allowed: short names of the licences that photographs may have; photographs found by these queries before are
            set aside, or taken back, accordingly.
    """
    names, now = ",".join(sorted(allowed)), int(time.time())
    with store.transaction():
        for query in queries:
            known = store.rows("SELECT * FROM queries WHERE key = ?", query.key)
            if not known:
                row = (query.key, query.class_name, query.kind, query.words, query.target, names, now)
                store.write("INSERT INTO queries VALUES (?, ?, ?, ?, ?, ?, ?, 1, 'open', '')", *row)
                continue
            store.update("queries", "key", query.key, target=query.target)
            if known[0]["licences"] != names:  # what the server kept back then may be wanted now
                store.update("queries", "key", query.key, licences=names, cursor=now, page=1, state="open", reason="")
                _decide_licences(store, query.key, allowed)
            elif known[0]["state"] != "done":
                store.update("queries", "key", query.key, state="open", reason="")


def _decide_licences(store: Store, key: str, allowed: set[str]) -> None:
    inside = f"licence IN ({', '.join('?' * len(allowed))})"
    store.write(
        "UPDATE photos SET state = CASE WHEN sha256 IS NULL THEN 'found' ELSE 'downloaded' END, reason = '' "
        f"WHERE query = ? AND reason = ? AND {inside}",
        *(key, _NOT_ALLOWED, *allowed),
    )
    store.write(
        f"UPDATE photos SET state = 'set_aside', reason = ? WHERE query = ? AND state != 'set_aside' AND NOT {inside}",
        *(_NOT_ALLOWED, key, *allowed),
    )


class Search:
    """Walks through the results of queries that were planned.

    Args:
        licences: all that the server knows.
        allowed: short names of those that photographs may have.
        may_fetch: whether a picture may be fetched from an address.
        shorter_side: pixels that the file to be fetched should have, if there is such a file.
        limit: photographs to find in all; None for as many as the queries want.
        advance: called with the number of photographs found since its last call.
    """

    def __init__(
        self,
        store: Store,
        api: FlickrApi,
        licences: list[Licence],
        allowed: set[str],
        *,
        may_fetch: Callable[[str], bool],
        shorter_side: int,
        limit: int | None,
        advance: Callable[[int], None],
    ) -> None:
        self._store = store
        self._api = api
        self._licences = {licence.number: licence for licence in licences}
        self._allowed = allowed
        self._numbers = sorted((licence.number for licence in licences if licence.short in allowed), key=int)
        self._may_fetch = may_fetch
        self._shorter_side = shorter_side
        self._left = 10**9 if limit is None else limit
        self._advance = advance

    def run(self, queries: list[Query]) -> list[str]:
        """Go on with each query until its target or its end; gives what the server refused, one line per query.

        Raises:
            DataError: if the server does not answer.
        """
        refused = []
        for query in queries:
            [row] = self._store.rows("SELECT * FROM queries WHERE key = ?", query.key)
            if row["state"] != "open" or self._left <= 0:
                continue
            walk = Walk(*(row[name] for name in ("key", "class", "kind", "words", "target", "cursor", "page")))
            try:
                self._walk(walk)
            except Fault as fault:
                if fault.unreachable or not fault.final:
                    raise DataError(f"the search stopped at {walk.key!r} ({fault}): run it again to go on") from None
                self._store.update("queries", "key", walk.key, state="refused", reason=str(fault))
                refused.append(f"{walk.key}: {fault}")
        return refused

    def _walk(self, walk: Walk) -> None:
        barren = 0
        last: set[str] = set()
        while (room := self._room(walk)) > 0:
            page, entries = self._page(walk)
            with self._store.transaction():
                new, whole = self._keep(entries, walk, room)
                if whole:
                    barren = 0 if any(_uploaded(entry) < walk.cursor for entry in entries) else barren + 1
                    identities = {plain_text(entry["id"]) for entry in entries}
                    more = _step(walk, entries, page, repeated=identities == last)
                    last = identities if walk.page > 1 else set()
                    ended = not more or barren > _BARREN
                    reason = _why_ended(page, entries, more) if ended else ""
                    state = "done" if ended else "open"
                    self._store.update(
                        *("queries", "key", walk.key), cursor=walk.cursor, page=walk.page, state=state, reason=reason
                    )
            self._left -= new
            self._advance(new)
            if whole and ended:
                return

    def _room(self, walk: Walk) -> int:
        """How many photographs are still wanted."""
        have = self._store.value("SELECT count(*) FROM photos WHERE query = ? AND state != 'set_aside'", walk.key)
        if have >= walk.target:
            self._store.update("queries", "key", walk.key, state="full", reason="as many as asked for")
        return min(walk.target - have, self._left)

    def _page(self, walk: Walk) -> tuple[Page, list[dict[str, Any]]]:
        """The next page, and its usable entries; asked for again while it is empty or of another time.

        A page of another time can hold a photograph of the second asked for; gone on from there, the walk would leave
        out the photographs that should have been beside it.
        """
        for _ in range(1 + _EMPTY_TRIES):
            page = self._api.search(
                walk.kind, walk.words, licences=self._numbers, max_upload_date=walk.cursor, page=walk.page
            )
            entries = self._inside(page, walk)
            foreign = any(_uploaded(entry) > walk.cursor for entry in page.entries)
            if (entries and not foreign) or not (page.entries or (page.total > 0 and walk.page == 1)):
                break
            self._store.count("search", "page of another time" if page.entries else "empty page")
        return page, entries

    def _inside(self, page: Page, walk: Walk) -> list[dict[str, Any]]:
        """The entries with an id and an upload date that was asked for."""
        inside = []
        for entry in page.entries:
            if not PHOTO_ID.fullmatch(plain_text(entry.get("id"))) or not _uploaded(entry):
                self._store.count("search", "entry without a usable id or date")
            elif _uploaded(entry) <= walk.cursor:
                inside.append(entry)
            else:
                self._store.count("search", "entry of another time")
        return inside

    def _keep(self, entries: list[dict[str, Any]], walk: Walk, room: int) -> tuple[int, bool]:
        """Enter the photographs that are not known yet: their number, and whether all entries were looked at."""
        new = 0
        for entry in entries:
            if new == room:
                return new, False
            photo = self._photo(entry)
            columns = {**photo, "query": walk.key, "class": walk.class_name, "date_found": int(time.time())}
            added = self._store.write(
                f"INSERT OR IGNORE INTO photos ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                *columns.values(),
            )
            new += added and photo["state"] == "found"
            if not added:
                self._store.count("search", "photograph found before")
        return new, True

    def _photo(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The columns of `photos` that a search result fills."""
        number, owner = plain_text(entry.get("license")), plain_text(entry.get("owner"), 100)
        identity = plain_text(entry["id"])
        licence = self._licences.get(number) or Licence(number, "", "", None)
        file = _file(entry, self._shorter_side)
        reason = ""
        if licence.short not in self._allowed:
            reason = _NOT_ALLOWED
        elif not file:
            reason = "address: none was given"
        elif not self._may_fetch(file):
            reason = "address: on another host"
        return {
            "id": identity,
            "title": plain_text(entry.get("title"), 300),
            "owner": owner,
            "owner_name": plain_text(entry.get("ownername"), 200),
            "page": f"https://www.flickr.com/photos/{quote(owner, safe='@')}/{identity}/",
            "file": file,
            "licence": licence.short or f"number {number}",
            "licence_name": licence.name,
            "licence_url": licence.url,
            "tags": plain_text(entry.get("tags"), 4000),
            "date_taken": plain_text(entry.get("datetaken"), 40),
            "date_upload": _uploaded(entry),
            "state": "set_aside" if reason else "found",
            "reason": reason,
        }


def _uploaded(entry: dict[str, Any]) -> int:
    return whole_number(entry.get("dateupload"))


def _why_ended(page: Page, entries: list[dict[str, Any]], more: bool) -> str:
    """Why a search ended before its results did; empty if it did not."""
    if more or (page.entries and not entries):
        return "its answers repeat themselves"
    return "its pages are empty where there should be more" if not entries and page.total > 0 else ""


def _step(walk: Walk, entries: list[dict[str, Any]], page: Page, repeated: bool) -> bool:
    """Move the walk behind these entries; False at the end of the results.

    `repeated` tells that the page before had the same entries, as all pages beyond Flickr's cap have.
    """
    if not entries:
        if walk.page == 1:
            return False
        walk.cursor, walk.page = walk.cursor - 1, 1  # the pages of this one second are read
        return True
    if walk.page == 1 and len(page.entries) >= page.total > 0:
        return False
    oldest = min(_uploaded(entry) for entry in entries)
    if oldest < walk.cursor:
        walk.cursor, walk.page = oldest, 1
    elif walk.page < page.pages and not repeated:  # a whole page of one second
        walk.page += 1
    else:
        walk.cursor, walk.page = oldest - 1, 1
    return True


def _file(entry: dict[str, Any], shorter_side: int) -> str:
    """Address of the smallest file whose shorter side has so many pixels; without such a file, of the largest."""
    files = []
    for size in _SIZES:
        url = entry.get(f"url_{size}")
        sides = whole_number(entry.get(f"width_{size}")), whole_number(entry.get(f"height_{size}"))
        if isinstance(url, str) and url.isprintable() and len(url) <= 500:
            files.append((min(sides), url))
    enough = [file for file in files if file[0] >= shorter_side]
    best = min(enough, key=lambda file: file[0]) if enough else max(files, key=lambda file: file[0], default=(0, ""))
    return best[1]


def ask_licences(api: FlickrApi) -> list[Licence]:
    """The server's licences.

    Raises:
        DataError: if the server cannot be asked.
    """
    try:
        return [licence for licence in api.licences() if licence.number.isdecimal()]
    except Fault as fault:
        raise DataError(f"the server cannot be searched ({fault}): check --endpoint and the network") from None


def wanted(store: Store, queries: list[Query], limit: int | None) -> int:
    """How many photographs these queries still lack, at most `limit`."""
    lacking = 0
    for query in queries:
        if store.value("SELECT state FROM queries WHERE key = ?", query.key) == "open":
            have = store.value("SELECT count(*) FROM photos WHERE query = ? AND state != 'set_aside'", query.key)
            lacking += max(0, query.target - have)
    return lacking if limit is None else min(lacking, limit)
