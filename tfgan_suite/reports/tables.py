"""A comparison as Markdown, for people, and as CSV and JSON, for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from tfgan_suite.reports import quantities
from tfgan_suite.reports.comparison import BEST, LAST, Cell, Column, Comparison, Configuration
from tfgan_suite.reports.plain_text import csv_cell, markdown, plain, table_lines
from tfgan_suite.reports.run_records import RunRecord

ARROWS = {"higher": "\N{UPWARDS ARROW}", "lower": "\N{DOWNWARDS ARROW}", "": ""}
_NONE = "\N{EN DASH}"
_AT = {LAST: "last step", BEST: "best by the selection split"}


def markdown_table(comparison: Comparison) -> str:
    """The whole comparison as Markdown: what was trained, the scores, their protocols, and what was left out."""
    lines = ["# Comparison of runs", "", "## What was trained", ""]
    lines += table_lines(
        ["#", "configuration", "seeds", "steps", "images seen", "wall time", "hardware", "parameters G", "D", "notes"],
        [[markdown(cell) for cell in _facts(row)] for row in comparison.configurations],
    )
    for section in comparison.sections:
        lines += ["", f"## Scores, protocol {section.number}", ""]
        if section.why:
            lines += ["Not to be compared with scores of another protocol. What sets this one apart:", ""]
            lines += [*(f"- {markdown(reason)}" for reason in section.why), ""]
        heads = [_head(column) for column in section.columns]
        rows = [
            [
                str(row.number),
                markdown(row.label),
                _AT[at],
                *(_cell(comparison.cell(row, column, at), row) for column in section.columns),
            ]
            for row in section.configurations
            for at in (LAST, BEST)
        ]
        lines += table_lines(["#", "configuration", "at", *heads], rows)
        lines += ["", *_protocols(section.columns)]
    if comparison.sections:
        lines += [
            "",
            "Mean over the seeds, +- their sample standard deviation (two seeds or more), and in brackets the value of "
            "every seed in the order above. The best step is chosen by the selection split, never by these scores.",
        ]
    if comparison.left_out:
        rows = [list(map(markdown, pair)) for pair in comparison.left_out]
        lines += ["", "## Left out", "", *table_lines(["folder", "why"], rows)]
    return "\n".join(lines) + "\n"


def csv_table(comparison: Comparison) -> str:
    """A line per configuration, score and step: with mean, spread and every single value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "configuration", "variant", "dataset", "differs_by", "protocol", "metric", "remark", "better", "at",
            "steps", "mean", "sample_standard_deviation", "num_seeds", "seeds", "values", "images_seen", "seconds",
            "hardware", "generator_parameters", "discriminator_parameters", "finished",
        ]
    )  # fmt: skip
    for section in comparison.sections:
        for row in section.configurations:
            for column in section.columns:
                for at in (LAST, BEST):
                    cell = comparison.cell(row, column, at)
                    if cell is not None:
                        writer.writerow(map(_csv, _record(row, column, cell, at, section.number)))
    return out.getvalue()


def protocols_json(comparison: Comparison) -> str:
    """Every column with its whole protocol."""
    columns = [
        {
            "protocol": section.number,
            "metric": column.metric,
            "remark": column.remark,
            "how": column.protocol,
            "names": column.names,
            "versions": column.versions,
        }
        for section in comparison.sections
        for column in section.columns
    ]
    return json.dumps(columns, indent=2) + "\n"


def number(value: float) -> str:
    """Four significant digits, or all of a whole part that is longer."""
    return f"{value:,.0f}" if abs(value) >= 9999.5 else f"{value:#.4g}".rstrip(".")


def duration(seconds: float) -> str:
    """Wall time for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def images_seen(run: RunRecord) -> int | None:
    """Real images shown to the discriminator in all; None if that is not known."""
    logged = run.log[-1].get("images_seen") if run.log else None
    if logged is not None:
        return int(logged)
    return run.reached * run.images_per_step or None


def facts_of_seeds(row: Configuration, fact: str) -> list[Any]:
    """A fact of each run, as far as it is known."""
    of: Callable[[RunRecord], Any] = {"seconds": lambda run: run.seconds, "images_seen": images_seen}[fact]
    return [value for run in row.runs if (value := of(run)) is not None]


def hardware(row: Configuration) -> str:
    """Each kind of machine, once."""
    return "; ".join(dict.fromkeys(run.hardware for run in row.runs))


def parameters(row: Configuration, network: str) -> int | None:
    """Trainable parameters; None if no run of the row tells them."""
    return next((run.parameters[network] for run in row.runs if network in run.parameters), None)


def _facts(row: Configuration) -> list[str]:
    seconds, seen = facts_of_seeds(row, "seconds"), facts_of_seeds(row, "images_seen")
    counts = [parameters(row, network) for network in ("generator", "discriminator")]
    return [
        str(row.number),
        row.label,
        ", ".join(run.seed for run in row.runs),
        f"{row.first.reached:,}",
        f"{max(seen):,}" if seen else _NONE,
        ", ".join(map(duration, seconds)) or _NONE,
        hardware(row),
        *(_NONE if count is None else f"{count:,}" for count in counts),
        "; ".join(f"seed {run.seed}: {note}" for run in row.runs for note in run.notes),
    ]


def _head(column: Column) -> str:
    arrow = ARROWS[quantities.score_of(column.metric).better]
    remark = f" ({markdown(column.remark)})" if column.remark else ""
    return f"{markdown(column.metric)}{remark} {arrow}".strip()


def _cell(cell: Cell | None, row: Configuration) -> str:
    if cell is None:
        return _NONE
    text = number(cell.mean)
    if cell.spread is not None:
        text += f" +- {number(cell.spread)} ({', '.join(map(number, cell.values))})"
    if len(cell.seeds) < len(row.runs):
        text += f" only seed {markdown(', '.join(cell.seeds))}"
    return text


def _protocols(columns: list[Column]) -> list[str]:
    """One line per column with all of its protocol, folded away where Markdown can."""
    lines = ["<details><summary>Protocol of each score</summary>", ""]
    for column in columns:
        fields = {**column.names, **column.protocol}.items()
        how = "; ".join(f"{markdown(plain(name))} {markdown(plain(value))}" for name, value in fields)
        lines.append(f"- {_head(column)}: {how}")
    return [*lines, "", "</details>"]


def _record(row: Configuration, column: Column, cell: Cell, at: str, section: int) -> list[Any]:
    run, seconds = row.first, facts_of_seeds(row, "seconds")
    return [
        row.number,
        plain(run.settings.get("variant", "")),
        plain(run.settings.get("dataset", "")),
        " ".join(f"{name}={value}" for name, value in row.differences.items()),
        section,
        column.metric,
        column.remark,
        quantities.score_of(column.metric).better,
        at,
        _joined(dict.fromkeys(cell.steps)),
        cell.mean,
        cell.spread,
        len(cell.values),
        _joined(cell.seeds),
        _joined(cell.values),
        max(facts_of_seeds(row, "images_seen"), default=None),
        _joined(f"{value:.1f}" for value in seconds),
        hardware(row),
        parameters(row, "generator"),
        parameters(row, "discriminator"),
        run.finished,
    ]


def _joined(values: Any) -> str:
    return " ".join(map(str, values))


def _csv(value: Any) -> Any:
    return csv_cell(value) if isinstance(value, str) else value
