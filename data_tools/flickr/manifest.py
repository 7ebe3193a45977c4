"""What is known about every photograph, for programs (`manifest.jsonl`) and for people (`ATTRIBUTION.md`)."""

from __future__ import annotations

import collections
import datetime
import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from data_tools import files, splits
from data_tools.flickr.store import BY_ID, Store

_CHANGES = "cut and resized"


def records(store: Store) -> Iterator[dict[str, Any]]:
    """One dictionary per photograph, in the order of their ids, as they all were at one moment."""
    with store.transaction():  # another process may be at work
        preparations = store.rows("SELECT * FROM prepared ORDER BY size")
        photos = store.rows(f"SELECT * FROM photos {BY_ID}")
    prepared: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    for row in preparations:
        prepared[row["photo"]][str(row["size"])] = {name: row[name] for name in ("file", "fit", "sha256")}
    for row in photos:
        yield {
            "id": row["id"],
            "title": row["title"],
            "owner": row["owner"],
            "owner_name": row["owner_name"],
            "page": row["page"],
            "file": row["file"],
            "licence": row["licence"],
            "licence_name": row["licence_name"],
            "licence_url": row["licence_url"],
            "attribution": attribution(row),
            "tags": row["tags"],
            "query": row["query"],
            "class": row["class"],
            "split": splits.split_of_photograph(row["owner"], row["id"]),
            "date_taken": row["date_taken"],
            "date_upload": _date(row["date_upload"]),
            "date_found": _date(row["date_found"]),
            "date_downloaded": _date(row["date_downloaded"]),
            "bytes": row["bytes"],
            "width": row["width"],
            "height": row["height"],
            "sha256": row["sha256"],
            "phash": row["phash"],
            "state": "prepared" if row["state"] == "downloaded" and row["id"] in prepared else row["state"],
            "reason": row["reason"],
            "original": row["original"],
            "prepared": prepared.get(row["id"], {}),
        }


def attribution(row: sqlite3.Row) -> str:
    """The line that names title, owner, page, licence and what was changed."""
    title, owner = row["title"] or "untitled", row["owner_name"] or row["owner"]
    licence = f"{row['licence_name']} ({row['licence_url']})" if row["licence_url"] else row["licence_name"]
    return f'"{title}" by {owner}, {row["page"]}, {licence}; {_CHANGES}'


def write_manifest(store: Store) -> None:
    """Write `manifest.jsonl` and `ATTRIBUTION.md` anew, each in one step."""
    every = list(records(store))
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in every)
    files.replace(store.folder / "manifest.jsonl", lambda file: file.writelines(map(str.encode, lines)))
    used = [record for record in every if record["state"] in ("downloaded", "prepared")]
    licences = collections.Counter(record["licence_name"] for record in used)
    text = (
        "# Attribution\n\nPhotographs from Flickr, by the people named here, under the licences named here. "
        f"Copies of them in this collection are {_CHANGES}.\n\n"
    )
    text += "".join(f"- {record['id']}: {_plain_markdown(record['attribution'])}\n" for record in used)
    text += "\n| licence | photographs |\n| --- | --- |\n"
    text += "".join(f"| {_plain_markdown(name)} | {count:,} |\n" for name, count in sorted(licences.items()))
    files.replace_text(store.folder / "ATTRIBUTION.md", text)


def _plain_markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", text)


def _date(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    limit = 253_402_300_799  # the end of the year 9999
    return datetime.datetime.fromtimestamp(min(seconds, limit), datetime.UTC).isoformat()
