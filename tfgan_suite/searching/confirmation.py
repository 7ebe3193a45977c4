"""Whether the best configuration is as good as it looked, and which of its modules it owes that to.

The best of many trials is chosen for its luck, too. So it is trained anew, beside the default configuration and beside
itself with one module at a time set back to the default's, with five other seeds that all have in common.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_tools import files
from data_tools.command import report
from data_tools.errors import Interrupted, SuiteError, UsageError
from tfgan_suite.reports import intervals
from tfgan_suite.reports.intervals import Interval
from tfgan_suite.searching import effects, trials
from tfgan_suite.searching.crew import complete_settings
from tfgan_suite.searching.spaces import Point, Space
from tfgan_suite.searching.studies_on_disk import Wanted
from tfgan_suite.training.stop_signals import StopSignals

BEST, DEFAULT = "best", "default"
SEEDS = 5
_FIRST_SEED = 1000  # above those of the trials


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One row of the confirmation: its name, and its point."""

    name: str
    point: Point


def configurations(space: Space, best: Point) -> list[Configuration]:
    """The best, the default, and the best with each module set back that it does not share with the default."""
    default = space.default_point()
    result = [Configuration(BEST, best), Configuration(DEFAULT, default)]
    for name in effects.modules_of(space):
        if name in best and name in default and best[name] != default[name]:
            back = space.active({**space.complete(default), **best, name: default[name]})
            result.append(Configuration(f"{name}={default[name]}", back))
    return result


def best_of(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The finished trial with the smallest objective.

    Raises:
        SuiteError: if there is none.
    """
    good = [record for record in records if record["outcome"] == trials.COMPLETE]
    if not good:
        raise SuiteError("no trial of this search has come to a good end: see its trials.jsonl")
    return min(good, key=lambda record: record["values"][0])


def run(
    wanted: Wanted, rows: Sequence[Configuration], output: Path, *, workers: int, threads: int | None, seeds: int
) -> None:
    """Train every row with every seed, and append a line for each to `confirmation.jsonl`; what is there is kept.

    Raises:
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP; the same call goes on.
        UsageError: if the lines that are there are of other points.
    """
    path = output / "confirmation.jsonl"
    done = {(line["name"], line["seed"]) for line in read(path, rows)}
    jobs = [
        (row, wanted.seed + _FIRST_SEED + i)
        for i in range(seeds)
        for row in rows
        if (row.name, wanted.seed + _FIRST_SEED + i) not in done
    ]
    stop = threading.Event()
    with (
        StopSignals() as signals,
        signals.remembering("stopping: what is being trained is saved first"),
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        waiting = {pool.submit(_one, wanted, row, seed, output, threads, stop) for row, seed in jobs}
        while waiting:
            ended, waiting = concurrent.futures.wait(waiting, 0.5, concurrent.futures.FIRST_COMPLETED)
            if signals.received:
                stop.set()
            for future in ended:
                _take(future, path, stop)
    if signals.received:
        raise Interrupted("stopped; the same command goes on", signals.received)


def _take(future: concurrent.futures.Future[dict[str, Any]], path: Path, stop: threading.Event) -> None:
    """Write down what a training gave, unless it was stopped; one that cannot be trained stops the others."""
    try:
        line = future.result()
    except trials.Stopped:
        return
    except SuiteError:
        stop.set()
        raise
    files.append_json_line(path, line)
    report(f"{line['name']}, seed {line['seed']}: {line['outcome']}, {line['metric']}")


def _one(
    wanted: Wanted, row: Configuration, seed: int, output: Path, threads: int | None, stop: threading.Event
) -> dict[str, Any]:
    if stop.is_set():
        raise trials.Stopped
    settings = complete_settings({**wanted.space.settings(row.point), "seed": seed}, 1)
    folder = output / "confirmation" / f"{row.name}-{seed}"
    objective = trials.OBJECTIVES[wanted.objective]
    ended = trials.run(folder, settings, objective, threads=threads, stop=stop)
    value = objective.of(ended.metric) if ended.outcome == trials.COMPLETE and ended.metric is not None else None
    return {"name": row.name, "seed": seed, "point": row.point, "value": value, **dataclasses.asdict(ended)}


def read(path: Path, rows: Sequence[Configuration] | None = None) -> list[dict[str, Any]]:
    """The lines of a confirmation; an empty list if there is none.

    Raises:
        UsageError: for lines of other points than `rows` have.
    """
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    points = {row.name: row.point for row in rows or ()}
    for line in lines:
        if rows is not None and points.get(line["name"]) != line["point"]:
            raise UsageError(f"{path} confirms another best configuration: move it away to begin anew")
    return lines


def verdicts(lines: Sequence[dict[str, Any]]) -> dict[str, Interval | None]:
    """Of each row but the best: its objective minus the best's, paired by seed; None with fewer than two pairs.

    Of a distance, this is the logarithm of a ratio: above 0, the best is better.
    """
    values = {(line["name"], line["seed"]): line["value"] for line in lines if line["value"] is not None}
    result: dict[str, Interval | None] = {}
    for name in dict.fromkeys(line["name"] for line in lines):
        if name == BEST:
            continue
        pairs = [value - values[BEST, seed] for (one, seed), value in values.items()
                 if one == name and (BEST, seed) in values]  # fmt: skip
        result[name] = intervals.of_mean(pairs) if len(pairs) > 1 else None
    return result
