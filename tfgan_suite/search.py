"""Search which settings and modules help.

    python -m tfgan_suite.search --space conditional --output results/searches/conditional
    python -m tfgan_suite.search report --output results/searches/conditional
    python -m tfgan_suite.search confirm --output results/searches/conditional

The same command on another machine, with the same --storage, joins in.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_tools import command, files
from data_tools.errors import UsageError
from tfgan_suite.console.quiet_tensorflow import load_tensorflow
from tfgan_suite.runs import config
from tfgan_suite.runs.config import Options
from tfgan_suite.runs.presets import PRESETS
from tfgan_suite.searching import confirmation, spaces, studies_on_disk
from tfgan_suite.searching.crew import Crew, Hands, resolved
from tfgan_suite.searching.design import SAMPLERS
from tfgan_suite.searching.spaces import SPACES, Space
from tfgan_suite.searching.studies_on_disk import Wanted
from tfgan_suite.searching.trials import OBJECTIVES

PROG = "python -m tfgan_suite.search"
_STUDY = "study.json"
if TYPE_CHECKING:
    SamplerName = str
    ObjectiveName = str
else:
    SamplerName = Literal[SAMPLERS]
    ObjectiveName = Literal[tuple(OBJECTIVES)]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Search which settings and modules help: trials in processes of their own, resumable, on any number of machines.

    Examples:
      python -m tfgan_suite.search --space conditional --output out --fixed width=0.125 steps=2000
      python -m tfgan_suite.search --space mine.json --output out --trials 40 --workers 2
      python -m tfgan_suite.search report --output out
      python -m tfgan_suite.search confirm --output out
    """

    output: Path
    """Folder for trials, database and results; the same command on it goes on."""
    space: str = "conditional"
    """conditional, abc, acgan, rates, or a JSON file: see tfgan_suite/searching/spaces.py."""
    base: str | None = None
    """Preset that the space stands on, instead of its own."""
    fixed: Options = dataclasses.field(default_factory=dict)
    """Settings that are the same for all trials, as name=value: steps=2000 width=0.125 dataset=folder."""
    trials: int = 80
    """Trials in all, beside five of the default configuration; three quarters explore, the rest seeks the best."""
    hours: float | None = None
    """Begin no trial after so many hours; the same command goes on later."""
    seed: int = 0
    """Seed of the points, and of the training of all of them."""
    sampler: SamplerName = "tpe"
    """How points are chosen: tpe explores a Latin hypercube, then learns; gp does with Gaussian processes (needs
    PyTorch); random, qmc (needs SciPy) and grid explore only."""
    objective: ObjectiveName = "frechet"
    """What is made small, or large, on the selection split."""
    seconds_too: bool = False
    """Seconds of training are a second objective."""
    workers: int = 1
    """Trials at a time in this process."""
    threads: int | None = None
    """Threads of each trial, on which its bits depend; all cores if not given."""
    storage: str | None = None
    """URL of a database that several machines share, as SQLAlchemy takes it; a SQLite file in --output without it."""
    name: str = "search"
    """Name of the study in its database."""
    heartbeat: int = 30
    """Seconds between signs of life of a worker; the trial of one that misses four is run again."""
    debug: bool = False
    """Show tracebacks."""


@dataclasses.dataclass(frozen=True)
class ReportArguments:
    """Say what a search found: report.md with ranking, effects, pictures, and best.json for fit --config.

    Example: python -m tfgan_suite.search report --output out
    """

    output: Path
    """Folder of the search."""
    debug: bool = False
    """Show tracebacks."""


@dataclasses.dataclass(frozen=True)
class ConfirmArguments:
    """Train the best, the default, and the best with one module at a time set back, with five other seeds each.

    Example: python -m tfgan_suite.search confirm --output out --workers 2 --threads 1
    """

    output: Path
    """Folder of the search."""
    seeds: int = confirmation.SEEDS
    """Seeds of each configuration."""
    workers: int = 1
    """Trainings at a time."""
    threads: int | None = None
    """Threads of each; all cores if not given."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    if importlib.util.find_spec("optuna") is None and not {"-h", "--help"} & set(argv):
        raise UsageError("a search needs the package optuna: pip install 'tfgan_suite[search]'")
    if argv[:1] == ["report"]:
        say(command.parse(ReportArguments, argv[1:], prog=f"{PROG} report").output)
    elif argv[:1] == ["confirm"]:
        confirm(command.parse(ConfirmArguments, argv[1:], prog=f"{PROG} confirm"))
    else:
        search(command.parse(Arguments, argv, prog=PROG))


def search(arguments: Arguments) -> None:
    """Run the trials that are not finished."""
    _at_least_one(arguments, "trials", "workers", "heartbeat", "threads")
    if arguments.hours is not None and not 0 < arguments.hours < float("inf"):
        raise UsageError(f"--hours must be more than 0. Received: {arguments.hours}")
    if not 0 <= arguments.seed < 2**31 - 2000:
        raise UsageError(f"--seed must be from 0 to {2**31 - 2001}. Received: {arguments.seed}")
    wanted = Wanted(
        arguments.name,
        space_of(arguments),
        arguments.trials,
        arguments.sampler,
        arguments.seed,
        arguments.objective,
        arguments.seconds_too,
    )
    load_tensorflow()
    wanted = resolved(wanted)
    with files.writing(arguments.output):
        arguments.output.mkdir(parents=True, exist_ok=True)
    url = arguments.storage or f"sqlite:///{(arguments.output / 'study.db').absolute()}"
    hands = Hands(arguments.workers, arguments.threads, arguments.hours, arguments.heartbeat)
    crew = Crew(wanted, hands, url, arguments.output)
    crew.join()
    files.replace_text(arguments.output / _STUDY, json.dumps(wanted.record(), indent=2) + "\n")
    crew.work()
    print(f"trials    {arguments.output / 'trials.jsonl'}")
    print(f"next      {PROG} report --output {arguments.output}")


def say(output: Path) -> None:
    """Write the report of a search."""
    wanted = read_study(output)
    load_tensorflow()
    from tfgan_suite.searching import findings

    for path in findings.write(wanted, output):
        print(path)


def confirm(arguments: ConfirmArguments) -> None:
    """Train what the best is compared with, and write the report anew."""
    _at_least_one(arguments, "seeds", "workers", "threads")
    wanted = read_study(arguments.output)
    load_tensorflow()
    best = confirmation.best_of(studies_on_disk.read_trials(arguments.output / "trials.jsonl"))
    confirmation.run(
        wanted,
        confirmation.configurations(wanted.space, best["point"]),
        arguments.output,
        workers=arguments.workers,
        threads=arguments.threads,
        seeds=arguments.seeds,
    )
    say(arguments.output)


def _at_least_one(arguments: object, *names: str) -> None:
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} must be at least 1. Received: {value}")


def space_of(arguments: Arguments) -> Space:
    """The space that was asked for, on the preset and with the fixed settings that were asked for."""
    if arguments.space in SPACES:
        space = SPACES[arguments.space]
    elif arguments.space.endswith(".json"):
        space = spaces.read(Path(arguments.space))
    else:
        raise UsageError(f"--space must be one of {', '.join(SPACES)}, or a .json file. Received: {arguments.space}")
    base = arguments.base or space.base
    if base not in PRESETS:
        raise UsageError(f"--base must be a preset, see fit --list-presets. Received: {base}")
    return dataclasses.replace(space, base=base, fixed={**space.fixed, **arguments.fixed})


def read_study(output: Path) -> Wanted:
    """What the search in a folder is.

    Raises:
        UsageError: if none is there.
    """
    path = output / _STUDY
    if not path.is_file():
        raise UsageError(f"--output must be the folder of a search, with {_STUDY}. Received: {output}")
    return studies_on_disk.from_record(config.load_json(path), path)


if __name__ == "__main__":
    sys.exit(command.run(main))
