"""Writing that a kill at any instant cannot leave half done."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from data_tools.files import replace, replace_text, writing

__all__ = ["append_json_line", "read_json_lines", "remove_temporaries", "replace", "replace_text", "writing"]


def append_json_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON object as a line, in one write, so that no line is ever seen in part."""
    line = (json.dumps(record, allow_nan=False) + "\n").encode()
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError("the disk is full")
        finally:
            os.close(descriptor)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects with a `step` in a file of JSON lines; anything else, such as half a line, is skipped."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return [record for record in records if isinstance(record, dict) and isinstance(record.get("step"), int)]


def remove_temporaries(folder: Path) -> None:
    """Delete what a killed process left of `replace`, or of an export, in `folder`."""
    for leftover in folder.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
