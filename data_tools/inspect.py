"""Show what is in a dataset: counts, sizes, broken and duplicate images, label sanity, a contact sheet.

python -m data_tools.inspect folder --data-dir photos --output report
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from data_tools import DATASETS, command
from data_tools.errors import UsageError
from data_tools.visible_text import visible

if TYPE_CHECKING:
    Dataset = str
else:
    Dataset = Literal[tuple(DATASETS)]
_CLASSES_SHOWN = 30


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Show what is in a dataset: counts per class and split, sizes, broken and duplicate images, images that stand in
    two splits, whether the labels make sense, mean and spread, and a contact sheet.

    Examples:
      python -m data_tools.inspect shapes
      python -m data_tools.inspect folder --data-dir photos --output report
    """

    dataset: Annotated[Dataset, tyro.conf.Positional]
    """What to look at."""
    data_dir: Path | None = None
    """Where it is, as for training."""
    image_size: int = 32
    """Pixels per side at which images are compared and shown: a multiple of 4, from 16 on."""
    channels: int = 3
    """3, or 1 for grey."""
    output: Path | None = None
    """Folder for report.json and contact-sheet.png; made if it is not there."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    arguments = command.parse(Arguments, argv, prog="python -m data_tools.inspect")
    if arguments.image_size < 16 or arguments.image_size % 4:
        raise UsageError(f"--image-size must be a multiple of 4, from 16 on. Received: {arguments.image_size}")
    if arguments.channels not in (1, 3):
        raise UsageError(f"--channels must be 1 or 3. Received: {arguments.channels}")
    from data_tools import contact_sheet, dataset_report, files

    report, splits = dataset_report.inspect(
        arguments.dataset,
        image_size=arguments.image_size,
        channels=arguments.channels,
        data_dir=arguments.data_dir,
    )
    show(report)
    if arguments.output is not None:
        with files.writing(arguments.output):
            arguments.output.mkdir(parents=True, exist_ok=True)
        files.replace_text(arguments.output / "report.json", json.dumps(report, indent=2) + "\n")
        sheet = contact_sheet.draw({name: (split.samples, split.class_names) for name, split in splits.items()})
        files.replace(arguments.output / "contact-sheet.png", lambda file: sheet.save(file, "PNG"))
        print(f"report         {arguments.output / 'report.json'}")
        print(f"contact sheet  {arguments.output / 'contact-sheet.png'}")


def show(report: dict[str, Any]) -> None:
    """Print the report as a table of classes and lines about each split."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    splits = report["splits"]
    names = list(dict.fromkeys(name for split in splits.values() for name in split["per_class"]))
    table = Table("class", *splits)
    for name in names[:_CLASSES_SHOWN]:
        table.add_row(Text(visible(name)), *(f"{split['per_class'].get(name, 0):,}" for split in splits.values()))
    if len(names) > _CLASSES_SHOWN:
        table.add_row(f"and {len(names) - _CLASSES_SHOWN} more", *("" for _ in splits))
    table.add_row(f"all {len(names)}", *(f"{split['images']:,}" for split in splits.values()), style="bold")
    console.print(table)
    for name, split in splits.items():
        for line in _lines(split):
            console.print(Text(visible(f"{name:10}{line}")))
    for pair, shared in report["in_both_splits"].items():
        console.print(Text(f"in both {pair}: {shared['count']:,}"))
    for sentence in report["warnings"]:
        console.print(Text(visible(f"warning: {sentence}")))


def _lines(split: dict[str, Any]) -> list[str]:
    def spread(values: dict[str, float]) -> str:
        return f"{values['least']:,} to {values['most']:,}, median {values['median']:,.0f}"

    lines = []
    if "files" in split:
        about = split["files"]
        lines.append("files     " + ", ".join(f"{count:,} {kind}" for kind, count in about["formats"].items()))
        lines.append("colours   " + ", ".join(f"{count:,} {mode}" for mode, count in about["modes"].items()))
        lines.append(f"width     {spread(about['width'])}")
        lines.append(f"height    {spread(about['height'])}")
    lines.append("mean      " + ", ".join(f"{value:.1f}" for value in split["mean"]))
    lines.append("spread    " + ", ".join(f"{value:.1f}" for value in split["standard_deviation"]))
    lines.append(f"broken    {split['broken']['count']:,}")
    lines += [f"          {broken['reason']}" for broken in split["broken"]["files"]]
    lines.append(f"duplicate {split['duplicates']['count']:,}")
    lines += [f"          {second} is {first}" for first, second in split["duplicates"]["pairs"]]
    return lines


if __name__ == "__main__":
    sys.exit(command.run(main))
