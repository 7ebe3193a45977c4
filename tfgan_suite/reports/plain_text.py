"""Text that came from a run's folder, made harmless for a table, a picture or a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from data_tools.visible_text import visible

_LONGEST = 200


def plain(value: Any, longest: int = _LONGEST) -> str:
    """One line of visible text: what is none is replaced, what is too long is cut.

    Args:
        value: a string, or anything that came out of JSON.
        longest: characters kept.
    """
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    shown = visible(text[: longest + 1])
    return shown if len(text) <= longest else shown[:longest] + "..."


def markdown(text: str) -> str:
    """Plain text for a cell of a Markdown table: shown as it is, whatever it is."""
    escaped = re.sub(r"([\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table_lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table, of cells that are Markdown already."""
    return [f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows]]


def csv_cell(text: str) -> str:
    """Plain text for a cell of a CSV file: a spreadsheet does not take it for a formula. Numbers stay as they are."""
    risky = text.startswith(("=", "+", "-", "@", "\t", "\r")) and not re.fullmatch(r"[-+.0-9e ]+", text)
    return f"'{text}" if risky else text


def file_name(text: str) -> str:
    """Plain text as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:80].strip("-") or "unnamed"
