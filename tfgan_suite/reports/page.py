"""The comparison as one HTML page that needs nothing else: no network, no library, no second file.

The page is hand-written, in `page_files/`. What runs say reaches it as JSON alone, which its script shows as text, and
its policy forbids every script, style and address but its own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tfgan_suite import __version__
from tfgan_suite.reports import comparison_curves, quantities, tables
from tfgan_suite.reports.comparison import BEST, LAST, Cell, Comparison, Configuration, Section, score_curve
from tfgan_suite.reports.plain_text import plain
from tfgan_suite.reports.run_records import RunRecord
from tfgan_suite.scores import protocol

_FILES = Path(__file__).parent / "page_files"
_SIZE = 285_000  # bytes of a page without its pictures, which its curves are thinned to
_BYTES_PER_NUMBER = 8
_FEWEST_POINTS, _MOST_POINTS = 10, 300
_LARGEST_PICTURE, _LONGEST_SIDE = 4 * 2**20, 4096
_MOST_COLUMNS = 10  # of a grid with a column per class


def page(comparison: Comparison) -> str:
    """The page's HTML."""
    pictures: list[str] = []
    data = {
        "version": __version__,
        "configurations": [_configuration(row) for row in comparison.configurations],
        "runs": [_run(row, run, pictures) for row, run in comparison.runs],
        "sections": [_section(comparison, section) for section in comparison.sections],
        "groups": [
            {
                "key": key,
                "title": group.title,
                "question": group.question,
                "unit": group.unit,
                "good": group.good,
                "names": names,
            }
            for key, group in quantities.GROUPS.items()
            if (names := comparison.quantities(key))
        ],
        "fields": {name: about for name, (_, about) in protocol.FIELDS.items()},
        "leftOut": comparison.left_out,
    }
    style, script = (_FILES.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    template = _FILES.joinpath("page.html").read_text(encoding="utf-8")
    used = len(_json(data)) + len(style) + len(script) + len(template)
    _add_curves(data, comparison, _SIZE - used)
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; "
        f"form-action 'none'; require-trusted-types-for 'script'"
    )
    parts = {"policy": policy, "style": style, "script": script, "data": _json(data), "pictures": _json(pictures)}
    return re.sub(r"@@(\w+)@@", lambda found: parts[found[1]], template)  # once: what is put in is not looked at


def _json(value: Any) -> str:
    """JSON that no parser of HTML takes for its own, in ASCII."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _configuration(row: Configuration) -> dict[str, Any]:
    seconds, seen = tables.facts_of_seeds(row, "seconds"), tables.facts_of_seeds(row, "images_seen")
    return {
        "number": row.number,
        "method": row.method,
        "details": row.details,
        "colour": comparison_curves.colour_of(row.number),
        "seeds": [run.seed for run in row.runs],
        "steps": row.first.reached,
        "finished": row.first.finished,
        "seen": max(seen, default=None),
        "seconds": [round(value, 1) for value in seconds],
        "hardware": tables.hardware(row),
        "generator": tables.parameters(row, "generator"),
        "discriminator": tables.parameters(row, "discriminator"),
    }


def _run(row: Configuration, run: RunRecord, pictures: list[str]) -> dict[str, Any]:
    grid, notes = run.newest_grid(), list(run.notes)
    picture = None
    if grid is not None:
        try:
            address, (width, height) = _picture(grid)
            picture = {"index": len(pictures), "step": int(grid.stem[5:]), "width": width, "height": height}
            pictures.append(address)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises
            notes.append(f"{plain(grid.name)} is no picture that can be shown ({plain(str(error), 80)})")
    classes = run.class_names[:_MOST_COLUMNS] if run.settings.get("num_classes") else []
    return {
        "row": row.number - 1,
        "seed": run.seed,
        "name": run.name,
        "notes": notes,
        "grid": picture,
        "columns": classes,
        "imagesPerStep": run.images_per_step or None,
    }


def _picture(path: Path) -> tuple[str, tuple[int, int]]:
    """A PNG as an address that holds it, and its width and height."""
    if path.stat().st_size > _LARGEST_PICTURE:
        raise ValueError(f"larger than {_LARGEST_PICTURE // 2**20} MB")
    content = path.read_bytes()
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        if max(picture.size) > _LONGEST_SIDE:
            raise ValueError(f"more than {_LONGEST_SIDE} pixels wide or high")
        picture.verify()
        return f"data:image/png;base64,{base64.b64encode(content).decode()}", picture.size


def _section(comparison: Comparison, section: Section) -> dict[str, Any]:
    columns = []
    for column in section.columns:
        score = quantities.score_of(column.metric)
        how = {**column.names, **column.protocol}
        columns.append(
            {
                "metric": column.metric,
                "remark": column.remark,
                "better": score.better,
                "good": score.good,
                "protocol": [[plain(name, 60), plain(value, 400)] for name, value in how.items()],
                "versions": [plain(versions, 300) for versions in column.versions],
            }
        )
    rows = []
    for row in section.configurations:
        cells = [[_cell(comparison.cell(row, column, at)) for at in (LAST, BEST)] for column in section.columns]
        rows.append([row.number - 1, cells])
    return {"why": section.why, "columns": columns, "rows": rows}


def _cell(cell: Cell | None) -> list[Any] | None:
    """Mean, spread, values, seeds and steps."""
    if cell is None:
        return None
    spread = None if cell.spread is None else _short(cell.spread)
    return [_short(cell.mean), spread, [_short(value) for value in cell.values], cell.seeds, sorted(set(cell.steps))]


def _short(value: float, digits: int = 6) -> float | int:
    """A number with so many significant digits."""
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded


def _add_curves(data: dict[str, Any], comparison: Comparison, room: int) -> None:
    """Put the curves of each run into `data`, with as many points as there is room for, in bytes."""
    columns = [column for section in comparison.sections for column in section.columns]
    scored = [[(i, *score_curve(run, column.key)) for i, column in enumerate(columns)] for _, run in comparison.runs]
    names = [list(dict.fromkeys(name for line in run.log for name in line)) for _, run in comparison.runs]
    numbers = sum(len(of_run) + 2 * sum(len(steps) > 0 for _, steps, _ in of_score)
                  for of_run, of_score in zip(names, scored, strict=True))  # fmt: skip
    points = max(_FEWEST_POINTS, min(_MOST_POINTS, room // (_BYTES_PER_NUMBER * max(numbers, 1))))
    data["mostPoints"] = points
    for entry, (_, run), of_run, of_score in zip(data["runs"], comparison.runs, names, scored, strict=True):
        groups = quantities.grouped(of_run, run.loss)
        marked = [name for key, found in groups.items() if quantities.GROUPS[key].spikes for name in found]
        marks = {name: quantities.spikes(run.curve(name)[1]) for name in marked}
        kept = _thinned(len(run.log), points, sorted({i for found in marks.values() for i in found}))
        lines = [run.log[i] for i in kept]
        entry["log"] = {
            key: {name: [_short(line[name], 4) if name in line else None for line in lines] for name in found}
            for key, found in groups.items()
        }
        entry["steps"] = [int(line["step"]) for line in lines]
        entry["minutes"] = [_short(seconds / 60, 4) for seconds in run.seconds_at(entry["steps"])]
        entry["spikes"] = {name: [kept.index(i) for i in found if i in kept] for name, found in marks.items() if found}
        entry["scores"] = []
        for i, steps, values in of_score:
            at = _thinned(len(steps), points)
            if at:
                minutes = [_short(seconds / 60, 4) for seconds in run.seconds_at([steps[k] for k in at])]
                entry["scores"].append([i, [steps[k] for k in at], minutes, [_short(values[k], 5) for k in at]])


def _thinned(count: int, most: int, wanted: Sequence[int] = ()) -> list[int]:
    """At most so many of `count` indices, evenly spread, with the first, the last and as many wanted ones as fit."""
    if count <= most:
        return list(range(count))
    kept = set(wanted[: most // 2])
    even = most - len(kept)
    return sorted(kept | {round(i * (count - 1) / (even - 1)) for i in range(even)})
