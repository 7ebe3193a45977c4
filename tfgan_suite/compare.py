"""Put runs side by side: one table, curves on common axes, and one page that needs nothing else.

    python -m tfgan_suite.compare results/runs --output comparison

writes `table.md`, `table.csv`, `protocols.json`, `curves/` and `report.html`. No TensorFlow is needed.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from data_tools import command, files


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Put runs side by side: one table over seeds, curves on common axes, and a page that needs nothing else.

    Examples:
      python -m tfgan_suite.compare results/runs --output comparison
      python -m tfgan_suite.compare results/runs/0001-sngan-shapes-seed0 results/runs/0002-dcgan-shapes-seed0 --output x
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders, or folders of them, at any depth."""
    output: Path
    """Where to write table.md, table.csv, protocols.json, curves/ and report.html."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    arguments = command.parse(Arguments, argv, prog="python -m tfgan_suite.compare")
    from tfgan_suite.reports import comparison_curves, page, run_records, tables
    from tfgan_suite.reports.comparison import compare

    comparison = compare(run_records.find(arguments.runs))
    output = arguments.output
    with files.writing(output):
        if (output / "protocols.json").is_file():  # an earlier comparison, whose curves would be taken for this one's
            for old in (output / "curves").glob("*.png"):
                old.unlink()
        (output / "curves").mkdir(parents=True, exist_ok=True)
    files.replace_text(output / "table.md", tables.markdown_table(comparison))
    files.replace_text(output / "table.csv", tables.csv_table(comparison))
    files.replace_text(output / "protocols.json", tables.protocols_json(comparison))
    comparison_curves.draw_comparison(comparison, output / "curves")
    files.replace_text(output / "report.html", page.page(comparison))
    for name, why in [*comparison.left_out, *((run.name, "; ".join(run.notes)) for _, run in comparison.runs)]:
        if why:
            command.report(f"note: {name}: {why}")
    print(f"{len(comparison.runs)} runs of {len(comparison.configurations)} configurations")
    for name in ("table.md", "table.csv", "report.html"):
        print(output / name)


if __name__ == "__main__":
    sys.exit(command.run(main))
