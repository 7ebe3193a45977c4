"""Find photographs: walk through each query's results from the newest upload to the oldest.

Flickr gives at most 4,000 results of a search, and its pages shift while they are read. Therefore a walk never goes by
page numbers: each request asks for what was uploaded at or before the oldest photograph seen so far, which splits a
search of any length by upload date, and repeats are known by their id.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from data_tools.flickr.api import FlickrApi, Page, plain_text, whole_number
from data_tools.flickr.fetching import Fault
from data_tools.flickr.licences import Licence
from data_tools.flickr.queries import Query
from data_tools.flickr.store import Store
from data_tools.images import DataError

_SIZES = ("sq", "t", "s", "q", "m", "n", "z", "c", "l", "o")
_BARREN = 40  # answers in a row that lead to no older photograph, after which a query is given up
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


def plan(store: Store, queries: list[Query], licences: list[Licence]) -> None:
    """Enter the queries in the state; a known one is opened again where its target or the licences have grown."""
    allowed = ",".join(sorted(licence.short or "" for licence in licences))
    with store.transaction():
        for query in queries:
            known = store.rows("SELECT * FROM queries WHERE key = ?", query.key)
            if not known:
                row = (query.key, query.class_name, query.kind, query.words, query.target, allowed, int(time.time()))
                store.write("INSERT INTO queries VALUES (?, ?, ?, ?, ?, ?, ?, 1, 'open', '')", *row)
                continue
            store.update("queries", "key", query.key, target=query.target)
            if known[0]["licences"] != allowed:  # what was passed over then may be wanted now
                store.update(
                    *("queries", "key", query.key), licences=allowed, cursor=int(time.time()), page=1, state="open"
                )
            elif known[0]["state"] == "full":
                store.update("queries", "key", query.key, state="open")


def search(
    store: Store,
    api: FlickrApi,
    licences: list[Licence],
    *,
    allowed: Callable[[str], bool],
    shorter_side: int,
    limit: int | None,
    advance: Callable[[int], None],
) -> list[str]:
    """Go on with every open query.

    Args:
        licences: the allowed ones.
        allowed: whether a picture may be fetched from an address.
        shorter_side: pixels that the file to be fetched should have, if there is such a file.
        limit: photographs to find in this run; None for all.
        advance: called with the number of photographs found since its last call.

    Returns:
        What the server refused, one line per query.
    """
    by_number = {licence.number: licence for licence in licences}
    refused = []
    for row in store.rows("SELECT * FROM queries WHERE state = 'open' ORDER BY rowid"):
        walk = Walk(*(row[name] for name in ("key", "class", "kind", "words", "target", "cursor", "page")))
        try:
            found = _walk(store, api, walk, by_number, allowed, shorter_side, limit, advance)
        except Fault as fault:
            if fault.unreachable or not fault.final:
                raise DataError(f"the search stopped at {walk.key!r} ({fault}): run it again to go on") from None
            store.update("queries", "key", walk.key, state="refused", reason=str(fault))
            refused.append(f"{walk.key}: {fault}")
            continue
        if limit is not None:
            limit -= found
            if limit <= 0:
                break
    return refused


def _walk(store, api, walk: Walk, licences, allowed, shorter_side, limit, advance) -> int:
    """Go on with one query until its target, its end or the limit; gives the number of new photographs."""
    numbers = sorted(licences, key=int)
    found = barren = empty = 0
    last: set[str] = set()
    while True:
        have = store.value("SELECT count(*) FROM photos WHERE query = ? AND state != 'set_aside'", walk.key)
        room = min(walk.target - have, 10**9 if limit is None else limit - found)
        if walk.target <= have:
            store.update("queries", "key", walk.key, state="full", reason="as many as asked for")
            return found
        if room <= 0:
            return found
        page = api.search(walk.kind, walk.words, licences=numbers, max_upload_date=walk.cursor, page=walk.page)
        entries = _inside(store, page, walk)
        if page.entries and not entries or not page.entries and page.total > 0 and walk.page == 1:
            store.count("search", "empty page" if not page.entries else "page of another time")
            empty += 1
            if empty <= _EMPTY_TRIES:
                continue
        with store.transaction():
            new, whole = _keep(store, entries, walk, licences, allowed, shorter_side, room)
            found += new
            if whole:
                older = any(whole_number(entry["dateupload"]) < walk.cursor for entry in entries)
                barren = 0 if older else barren + 1
                identities = {plain_text(entry["id"]) for entry in entries}
                ended = not _step(walk, entries, page, repeated=identities == last)
                last = identities if walk.page > 1 else set()
                state = "done" if ended or barren > _BARREN else "open"
                reason = ""
                if state == "done" and (barren > _BARREN or (page.entries and not entries)):
                    reason = "its answers repeat themselves"
                elif ended and not entries and page.total > 0:
                    reason = "its pages are empty where there should be more"
                store.update(
                    *("queries", "key", walk.key), cursor=walk.cursor, page=walk.page, state=state, reason=reason
                )
        advance(new)
        empty = 0
        if whole and state == "done":
            return found


def _inside(store: Store, page: Page, walk: Walk) -> list[dict[str, Any]]:
    """The entries with an id and an upload date that was asked for."""
    inside = []
    for entry in page.entries:
        uploaded = whole_number(entry.get("dateupload"))
        if not re.fullmatch(r"[1-9][0-9]{0,18}", plain_text(entry.get("id"))) or not uploaded:
            store.count("search", "entry without a usable id or date")
        elif uploaded <= walk.cursor:
            inside.append(entry)
        else:
            store.count("search", "entry of another time")
    return inside


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
    oldest = min(whole_number(entry["dateupload"]) for entry in entries)
    if oldest < walk.cursor:
        walk.cursor, walk.page = oldest, 1
    elif walk.page < page.pages and not repeated:  # a whole page of one second
        walk.page += 1
    else:
        walk.cursor, walk.page = oldest - 1, 1
    return True


def _keep(store, entries, walk: Walk, licences, allowed, shorter_side, room: int) -> tuple[int, bool]:
    """Enter the photographs that are not known yet: their number, and whether all entries were looked at."""
    new = 0
    for entry in entries:
        if new == room:
            return new, False
        photo = _photo(entry, licences, allowed, shorter_side)
        columns = {**photo, "query": walk.key, "class": walk.class_name, "date_found": int(time.time())}
        added = store.write(
            f"INSERT OR IGNORE INTO photos ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            *columns.values(),
        )
        new += added and photo["state"] == "found"
        if not added:
            store.count("search", "photograph found before")
    return new, True


def _photo(entry: dict[str, Any], licences: dict[str, Licence], allowed, shorter_side: int) -> dict[str, Any]:
    number, owner = plain_text(entry.get("license")), plain_text(entry.get("owner"), 100)
    identity = plain_text(entry["id"])
    licence = licences.get(number)
    file = _file(entry, shorter_side)
    reason = ""
    if licence is None:
        reason = "licence: not among those allowed"
    elif not file:
        reason = "address: none was given"
    elif not allowed(file):
        reason = "address: on another host"
    return {
        "id": identity,
        "title": plain_text(entry.get("title"), 300),
        "owner": owner,
        "owner_name": plain_text(entry.get("ownername"), 200),
        "page": f"https://www.flickr.com/photos/{quote(owner, safe='@')}/{identity}/",
        "file": file,
        "licence": licence.short if licence else f"number {number}",
        "licence_name": licence.name if licence else "",
        "licence_url": licence.url if licence else "",
        "tags": plain_text(entry.get("tags"), 4000),
        "date_taken": plain_text(entry.get("datetaken"), 40),
        "date_upload": whole_number(entry.get("dateupload")),
        "state": "set_aside" if reason else "found",
        "reason": reason,
    }


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


def wanted(store: Store, limit: int | None) -> int:
    """How many photographs the open queries still lack, at most `limit`."""
    lacking = 0
    for row in store.rows("SELECT key, target FROM queries WHERE state = 'open'"):
        have = store.value("SELECT count(*) FROM photos WHERE query = ? AND state != 'set_aside'", row["key"])
        lacking += max(0, row["target"] - have)
    return lacking if limit is None else min(lacking, limit)
