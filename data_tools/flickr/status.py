"""How far a collection is: counts on the screen, and in `status.json`."""

from __future__ import annotations

import json
from typing import Any

from data_tools import files
from data_tools.flickr.store import Store

_STATES = ("found", "downloaded", "failed", "set_aside")


def status(store: Store) -> dict[str, Any]:
    """Counts by query, by reason, by size prepared, and of everything that went wrong on the way."""
    queries = []
    for row in store.rows("SELECT * FROM queries ORDER BY rowid"):
        rows = store.rows("SELECT state, count(*) AS count FROM photos WHERE query = ? GROUP BY state", row["key"])
        counts = {counted["state"]: counted["count"] for counted in rows}
        queries.append(
            {
                "query": row["key"],
                "class": row["class"],
                "target": row["target"],
                "search": row["state"],
                "reason": row["reason"],
                **{state: counts.get(state, 0) for state in _STATES},
            }
        )
    reasons: dict[str, int] = {}
    for reason, count in store.rows("SELECT reason, count(*) FROM photos WHERE reason != '' GROUP BY reason"):
        kind, _, rest = reason.partition(":")
        kind = reason if kind in ("gone", "refused", "licence", "address") else kind
        if kind == "duplicate":
            kind = "duplicate: same file" if rest.startswith(" the same file") else "duplicate: nearly the same"
        reasons[kind] = reasons.get(kind, 0) + count
    return {
        "queries": queries,
        "photographs": {state: store.value("SELECT count(*) FROM photos WHERE state = ?", state) for state in _STATES},
        "prepared": {
            str(size): count for size, count in store.rows("SELECT size, count(*) FROM prepared GROUP BY size")
        },
        "reasons": dict(sorted(reasons.items())),
        "faults": {
            f"{stage}: {what}": count for stage, what, count in store.rows("SELECT * FROM events ORDER BY stage, what")
        },
    }


def write_status(store: Store, counts: dict[str, Any]) -> None:
    files.replace_text(store.folder / "status.json", json.dumps(counts, indent=2) + "\n")


def table(counts: dict[str, Any]) -> str:
    """The counts as text for a person."""
    lines = [
        f"{'class':24}{'search':>11}{'target':>9}" + "".join(f"{state.replace('_', ' '):>12}" for state in _STATES)
    ]
    for query in counts["queries"]:
        numbers = "".join(f"{query[state]:12,}" for state in _STATES)
        lines.append(f"{query['class'][:23]:24}{query['search']:>11}{query['target']:9,}{numbers}  {query['reason']}")
    total = "".join(f"{counts['photographs'][state]:12,}" for state in _STATES)
    lines.append(f"{'all':44}{total}")
    for size, count in counts["prepared"].items():
        lines.append(f"prepared at {size} x {size}: {count:,}")
    for title, key in (("reasons:", "reasons"), ("on the way:", "faults")):
        if counts[key]:
            lines += ["", title] + [f"  {count:9,}  {what}" for what, count in counts[key].items()]
    return "\n".join(line.rstrip() for line in lines)
