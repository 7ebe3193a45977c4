"""Find photographs: walk through each query's results from the newest upload to the oldest.

Flickr gives at most 4,000 results of a search, and its pages shift while they are read. Therefore a walk never goes by
page numbers: each request asks for what was uploaded at or before the oldest photograph seen so far, which splits a
search of any length by upload date, and repeats are known by their id.

No single answer is believed that would leave photographs out. An answer must begin with the photograph at which the one
before it ended; one that does not, that is empty, of another time, or lacks what is asked of each photograph, is asked
for again. A query is `done` only when two answers in a row say that there is no more, or when all answers stay empty
while the same search from its beginning still shows photographs. What ends otherwise is `cut short`, and one that shows
nothing at all `empty`; the next search goes on with both.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from data_tools.errors import DataError
from data_tools.flickr.api import WRONG_SHAPE, FlickrApi, Page, plain_text, whole_number
from data_tools.flickr.fetching import Fault
from data_tools.flickr.licences import Licence
from data_tools.flickr.queries import Query
from data_tools.flickr.store import PHOTO_ID, Store

_SIZES = ("sq", "t", "s", "q", "m", "n", "z", "c", "l", "o")
_BARREN = 40  # answers in a row that lead to no older photograph, after which a query is given up
_NOT_ALLOWED = "licence: not among those allowed"
_TRIES = 4  # answers to one question, of which the best is taken if none is without a flaw
_EMPTY = "nothing found"
_MORE = "its pages are empty where there should be more"
_REPEATED = "its answers repeat themselves"


@dataclasses.dataclass
class Walk:
    """Where the search of one query stands: the rows of `queries` are this.

    Attributes:
        top: upload date at which the walk began.
        cursor: upload date at or before which the next answer is to be.
        page: of that answer.
        anchor: id of the photograph that the first page of that answer must hold; empty if none is known.
    """

    key: str
    class_name: str
    kind: str
    words: str
    target: int
    top: int
    cursor: int
    page: int
    anchor: str

    def move(self, cursor: int, page: int = 1, anchor: str = "") -> None:
        self.cursor, self.page, self.anchor = cursor, page, anchor


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
                row = (query.key, query.class_name, query.kind, query.words, query.target, names, now, now)
                store.write("INSERT INTO queries VALUES (?, ?, ?, ?, ?, ?, ?, 1, 'open', '', '', ?)", *row)
                continue
            store.update("queries", "key", query.key, target=query.target)
            anew = {"top": now, "cursor": now, "page": 1, "anchor": "", "state": "open", "reason": ""}
            if known[0]["licences"] != names:  # what the server kept back then may be wanted now
                store.update("queries", "key", query.key, licences=names, **anew)
                _decide_licences(store, query.key, allowed)
            elif known[0]["state"] == "empty":
                store.update("queries", "key", query.key, **anew)
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
        found: counts the new photographs of each query, by its key.
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
        found: collections.Counter[str],
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
        self._found = found

    def run(self, queries: list[Query]) -> None:
        """Go on with each query until its target or its end.

        Raises:
            DataError: if the server does not answer.
        """
        for query in queries:
            [row] = self._store.rows("SELECT * FROM queries WHERE key = ?", query.key)
            if row["state"] != "open" or self._left <= 0:
                continue
            names = ("key", "class", "kind", "words", "target", "top", "cursor", "page", "anchor")
            walk = Walk(*(row[name] for name in names))
            try:
                self._walk(walk)
            except Fault as fault:
                if str(fault) != WRONG_SHAPE and (fault.unreachable or not fault.final):
                    raise DataError(f"the search stopped at {walk.key!r} ({fault}): run it again to go on") from None
                state = "refused" if fault.final else "cut short"
                self._store.update("queries", "key", walk.key, state=state, reason=str(fault))

    def _walk(self, walk: Walk) -> None:
        barren, state = 0, "open"
        last: set[str] = set()
        while state == "open" and (room := self._room(walk)) > 0:
            page, entries = self._page(walk)
            state, reason = self._end(walk, page, entries)
            with self._store.transaction():
                new, whole = self._keep(entries, walk, room)
                if whole:
                    barren = 0 if any(_uploaded(entry) < walk.cursor for entry in entries) else barren + 1
                    if state == "open":
                        repeated = _identities(entries) == last
                        _step(walk, entries, page, repeated)
                        last = _identities(entries) if walk.page > 1 else set()
                        state, reason = ("cut short", _REPEATED) if barren > _BARREN else ("open", "")
                    where = {"cursor": walk.cursor, "page": walk.page, "anchor": walk.anchor}
                    self._store.update("queries", "key", walk.key, **where, state=state, reason=reason)
            self._found[walk.key] += new
            self._left -= new
            self._advance(new)
            if not whole:
                state = "open"

    def _room(self, walk: Walk) -> int:
        """How many photographs are still wanted."""
        have = self._store.value("SELECT count(*) FROM photos WHERE query = ? AND state != 'set_aside'", walk.key)
        if have >= walk.target:
            self._store.update("queries", "key", walk.key, state="full", reason="as many as asked for")
        return min(walk.target - have, self._left)

    def _page(self, walk: Walk) -> tuple[Page, list[dict[str, Any]]]:
        """The next page, and its usable entries; asked for again while it has a flaw, and then the best of them."""
        answers = []
        for _ in range(_TRIES):
            page = self._api.search(
                walk.kind, walk.words, licences=self._numbers, max_upload_date=walk.cursor, page=walk.page
            )
            entries = self._inside(page, walk)
            flaws = self._flaws(walk, page, entries)
            answers.append((flaws, page, entries))
            if not any(flaws):
                break
        _, page, entries = min(answers, key=lambda answer: answer[0])
        return page, entries

    def _flaws(self, walk: Walk, page: Page, entries: list[dict[str, Any]]) -> tuple[int, ...]:
        """What is wrong with an answer, the worst first; zeros if nothing is.

        An answer of another time can hold a photograph of the second asked for, and one that skips some holds only
        older ones: gone on from there, the walk would leave out the photographs between.
        """
        flaws = {
            "page without a usable entry" if page.entries else "empty page": not entries,
            "page of another time": any(_uploaded(entry) > walk.cursor for entry in page.entries),
            "page without the photograph it must begin with": bool(
                entries and walk.page == 1 and walk.anchor and walk.anchor not in _identities(entries)
            ),
            "entry without licence, owner or address": sum(not _is_complete(entry) for entry in entries),
            "entry without a usable id or date": sum(not _is_usable(entry) for entry in page.entries),
        }
        for what, count in flaws.items():
            if count:
                self._store.count("search", what, int(count))
        return tuple(map(int, flaws.values()))

    def _inside(self, page: Page, walk: Walk) -> list[dict[str, Any]]:
        """The entries with an id and an upload date that was asked for."""
        usable = [entry for entry in page.entries if _is_usable(entry)]
        inside = [entry for entry in usable if _uploaded(entry) <= walk.cursor]
        if len(usable) > len(inside):
            self._store.count("search", "entry of another time", len(usable) - len(inside))
        return inside

    def _end(self, walk: Walk, page: Page, entries: list[dict[str, Any]]) -> tuple[str, str]:
        """The state of a query after this answer, `open` if it goes on, and the reason; the server is asked again."""
        if entries and walk.page == 1 and len(page.entries) >= page.total > 0:
            again, same = self._page(walk)
            confirmed = _identities(same) == _identities(entries) and len(again.entries) >= again.total
            return ("done", "") if confirmed else ("open", "")
        if entries or walk.page > 1:
            return "open", ""
        if page.entries:
            return "cut short", _REPEATED
        if walk.cursor == walk.top:
            return ("cut short", _MORE) if page.total else ("empty", _EMPTY)
        _, shown = self._page(dataclasses.replace(walk, cursor=walk.top, anchor=""))
        if not shown:
            return "cut short", _MORE
        return "done", f"the server counts {page.total:,} more, and shows none" if page.total else ""

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


def _identities(entries: list[dict[str, Any]]) -> set[str]:
    return {plain_text(entry["id"]) for entry in entries}


def _is_usable(entry: dict[str, Any]) -> bool:
    return bool(PHOTO_ID.fullmatch(plain_text(entry.get("id")))) and _uploaded(entry) > 0


def _is_complete(entry: dict[str, Any]) -> bool:
    """Whether it has what a photograph cannot be kept without, which Flickr sends only when it is asked for."""
    return bool(plain_text(entry.get("license")) and plain_text(entry.get("owner")) and _file(entry, 1))


def _step(walk: Walk, entries: list[dict[str, Any]], page: Page, repeated: bool) -> None:
    """Move the walk behind these entries.

    `repeated` tells that the page before had the same entries, as all pages beyond Flickr's cap have.
    """
    if not entries:
        walk.move(walk.cursor - 1)  # the pages of this one second are read
        return
    oldest = min(_uploaded(entry) for entry in entries)
    if oldest < walk.cursor:  # by the first of that second in the server's order, which its next answer begins with
        walk.move(oldest, anchor=next(plain_text(entry["id"]) for entry in entries if _uploaded(entry) == oldest))
    elif walk.page < page.pages and not repeated:  # a whole page of one second
        walk.move(walk.cursor, walk.page + 1, walk.anchor)
    else:
        walk.move(oldest - 1)


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


def summary(store: Store, queries: list[Query], found: collections.Counter[str]) -> list[str]:
    """A line per query: how many photographs are new and in all, how many are set aside, and how the search stands."""
    lines = []
    for query in queries:
        [row] = store.rows("SELECT state, reason FROM queries WHERE key = ?", query.key)
        every = store.value("SELECT count(*) FROM photos WHERE query = ?", query.key)
        aside = store.value("SELECT count(*) FROM photos WHERE query = ? AND state = 'set_aside'", query.key)
        reason = f" ({row['reason']})" if row["reason"] else ""
        counts = f"{found[query.key]:,} new, {every - aside:,} in all, {aside:,} set aside"
        lines.append(f"{query.key}: {counts}; {row['state']}{reason}")
    return lines


def check_ends(store: Store, queries: list[Query]) -> None:
    """Raise a DataError unless every query came to where it was to, and one of them found something."""
    rows = [store.rows("SELECT key, state, reason FROM queries WHERE key = ?", query.key)[0] for query in queries]
    for state, what in (
        ("refused", "the server refused {count} of the queries, such as {such}"),
        ("cut short", "{count} of the queries did not come to their end, such as {such}: run it again to go on"),
    ):
        ended = [row for row in rows if row["state"] == state]
        if ended:
            such = f"{ended[0]['key']}: {ended[0]['reason']}"
            raise DataError(what.format(count=len(ended), such=such))
    if all(row["state"] == "empty" for row in rows):
        named = ", ".join(row["key"] for row in rows[:3]) + (", ..." if len(rows) > 3 else "")
        raise DataError(f"nothing was found for {named}: check the words, --licences and --endpoint")
