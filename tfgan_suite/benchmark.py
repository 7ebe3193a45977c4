"""Measure the suite beside plain code that does the same, on this machine.

python -m tfgan_suite.benchmark --data --output benchmark.json
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from data_tools import command, files
from data_tools.errors import UsageError
from tfgan_suite.benchmarks import Row
from tfgan_suite.console.quiet_tensorflow import load_tensorflow

# flag -> (module with `run(quick) -> list[tfgan_suite.benchmarks.Row]`, what it measures)
BENCHMARKS = {
    "data": (
        "tfgan_suite.benchmarks.data",
        "Reading packed images beside training; packing beside bare decoding; memory. About ten minutes on two cores.",
    ),
    "evaluation": (
        "tfgan_suite.benchmarks.evaluation",
        "The Frechet distance beside TF-GAN's and SciPy's; a pass beside the bare network; memory. About ten minutes.",
    ),
}


@dataclasses.dataclass(frozen=True)
class Common:
    quick: bool = False
    """Fewer images and repetitions: says that it runs, not how fast."""
    output: Path | None = None
    """JSON file for the results, with machine and versions."""
    debug: bool = False
    """Show tracebacks."""


def arguments_kind() -> type[Common]:
    """`Common` with a flag for every benchmark."""
    flags: list[Any] = [
        (name, Annotated[bool, tyro.conf.arg(help=about)], dataclasses.field(default=False))
        for name, (_, about) in BENCHMARKS.items()
    ]
    kind = dataclasses.make_dataclass("Arguments", flags, bases=(Common,), frozen=True)
    kind.__doc__ = """Measure the suite beside plain code that does the same. Everything that is compared is measured in
    turn, within one run; nothing else should be running.

    Example: python -m tfgan_suite.benchmark --data --output benchmark.json
    """
    return kind


def main(argv: list[str]) -> None:
    arguments = command.parse(arguments_kind(), argv, prog="python -m tfgan_suite.benchmark")
    chosen = [name for name in BENCHMARKS if getattr(arguments, name)]
    if not chosen:
        raise UsageError(f"choose what to measure: {', '.join(f'--{name}' for name in BENCHMARKS)}")
    load_tensorflow()
    from tfgan_suite.runs.provenance import machine, versions

    record: dict[str, Any] = {"machine": machine(), "versions": versions()}
    record["quick"] = arguments.quick
    for name in chosen:
        rows = importlib.import_module(BENCHMARKS[name][0]).run(arguments.quick)
        record[name] = [{**dataclasses.asdict(row), "met": row.met} for row in rows]
        for row in rows:
            print(f"{row.name:60}{row.value:12,.2f} {row.unit:9}{_verdict(row)}", flush=True)
        if arguments.output is not None:
            with files.writing(arguments.output):
                arguments.output.parent.mkdir(parents=True, exist_ok=True)
            files.replace_text(arguments.output, json.dumps(record, indent=2) + "\n")


def _verdict(row: Row) -> str:
    if row.met is None:
        return ""
    bound = f"at least {row.at_least}" if row.at_least is not None else f"at most {row.at_most}"
    return f"{bound}: {'yes' if row.met else 'NO'}"


if __name__ == "__main__":
    sys.exit(command.run(main))
