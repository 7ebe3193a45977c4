"""What is known about every photograph, for programs (`manifest.jsonl`) and for people (`ATTRIBUTION.md`)."""

from __future__ import annotations

import collections
import contextlib
import datetime
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from data_tools.flickr.store import BY_ID, Store

_CHANGES = "cut and resized"


def records(store: Store) -> Iterator[dict[str, Any]]:
    """One dictionary per photograph, in the order of their ids."""
    prepared: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    for row in store.rows("SELECT * FROM prepared ORDER BY size"):
        prepared[row["photo"]][str(row["size"])] = {name: row[name] for name in ("file", "fit", "sha256")}
    for row in store.rows(f"SELECT * FROM photos {BY_ID}"):
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
    with _replacing(store.folder / "manifest.jsonl") as manifest, _replacing(store.folder / "ATTRIBUTION.md") as text:
        used: collections.Counter[str] = collections.Counter()
        text.write(
            "# Attribution\n\nPhotographs from Flickr, by the people named here, under the licences named here. "
            f"Copies of them in this collection are {_CHANGES}.\n\n"
        )
        for record in records(store):
            manifest.write(json.dumps(record, ensure_ascii=False) + "\n")
            if record["state"] in ("downloaded", "prepared"):
                used[record["licence_name"]] += 1
                text.write(f"- {record['id']}: {_plain_markdown(record['attribution'])}\n")
        text.write("\n| licence | photographs |\n| --- | --- |\n")
        text.writelines(f"| {_plain_markdown(name)} | {count:,} |\n" for name, count in sorted(used.items()))


def _plain_markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", text)


def _date(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    limit = 253_402_300_799  # the end of the year 9999
    return datetime.datetime.fromtimestamp(min(seconds, limit), datetime.UTC).isoformat()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A text file beside `path` that takes its place when it is whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        yield file
    temporary.replace(path)
