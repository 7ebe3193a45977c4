"""Many runs side by side: runs that differ only by their seed as one row, scores of one protocol as one column."""

from __future__ import annotations

import collections
import dataclasses
import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_tools.errors import SuiteError
from tfgan_suite.reports import run_records
from tfgan_suite.reports.plain_text import plain
from tfgan_suite.reports.quantities import group_of, grouped
from tfgan_suite.reports.run_records import Line, RunRecord
from tfgan_suite.scores import protocol

# of a configuration: the seed; a place, where a fingerprint says what stood there; and how the run was watched, of
# which the protocol of each score tells all that matters
_NOT_THE_METHOD = {
    "seed", "data_dir", "classifier", "num_images", "log_every", "sample_every", "checkpoint_every",
    "checkpoint_minutes", "keep_checkpoints",
}  # fmt: skip
# of a protocol: what belongs to a metric, not to the whole evaluation
_OF_A_METRIC = {
    "parameters", "splits", "spread_is", "reference", "reference_fingerprint", "reference_shuffle_seed", "num_real",
    "dtype",
}  # fmt: skip
_NOT_RECORDED = "not recorded"
LAST, BEST = "last", "best"


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A row: runs that are equal but for their seed.

    Attributes:
        number: from 1 on.
        method: variant and dataset.
        runs: by their seed.
        differences: the fields that differ between rows of this variant and dataset, as text.
    """

    number: int
    method: str
    runs: list[RunRecord]
    differences: dict[str, str]

    @property
    def details(self) -> str:
        """What sets it apart from other rows of its variant and dataset."""
        parts = [f"{name}={value}" for name, value in self.differences.items()]
        if not self.first.finished:
            parts.append(f"(only {self.first.reached:,} steps)")
        return plain(" ".join(parts))

    @property
    def label(self) -> str:
        return f"{self.method} {self.details}".rstrip()

    @property
    def first(self) -> RunRecord:
        return self.runs[0]


@dataclasses.dataclass(frozen=True)
class Column:
    """A metric under one protocol.

    Attributes:
        key: names it among all columns.
        metric: its name.
        remark: what sets it apart from other columns of the metric in its section; empty if nothing needs to.
        protocol: how it was measured.
        names: of the network and the reference, where a fingerprint stands in their place.
        versions: each that was recorded of it.
    """

    key: str
    metric: str
    remark: str
    protocol: dict[str, Any]
    names: dict[str, Any]
    versions: list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Section:
    """A table: columns that share all of the protocol that belongs to no single metric.

    Attributes:
        number: from 1 on.
        why: one line per field of the protocol by which it stands apart from the other sections.
        columns: by metric.
        configurations: the rows that have a value in it.
    """

    number: int
    why: list[str]
    columns: list[Column]
    configurations: list[Configuration]


@dataclasses.dataclass(frozen=True)
class Cell:
    """Values of a column over the seeds of a row.

    Attributes:
        values: one for each run that has it, by seed.
        seeds: of these runs.
        steps: at which these were measured.
    """

    values: list[float]
    seeds: list[str]
    steps: list[int]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the seeds; None of fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All that a report is made of.

    Attributes:
        configurations: the rows.
        sections: the tables, those with most values first.
        left_out: folders, with the reason for each.
    """

    configurations: list[Configuration]
    sections: list[Section]
    left_out: list[tuple[str, str]]

    @property
    def runs(self) -> list[tuple[Configuration, RunRecord]]:
        return [(configuration, run) for configuration in self.configurations for run in configuration.runs]

    def quantities(self, group: str) -> list[str]:
        """The quantities of a group that any run has logged, in the order of their first appearance."""
        found: dict[str, None] = {}
        for _, run in self.runs:
            names = [name for line in run.log[:1] + run.log[-1:] for name in line]
            found.update(dict.fromkeys(grouped(names, run.loss).get(group, [])))
        return list(found)

    def curves(self, group: str, name: str) -> list[tuple[list[float], list[float]]]:
        """Steps and values of a quantity for each run, empty for those whose quantity of that name is of another
        group: what a discriminator gives to real images is a probability here and a score there."""
        return [run.curve(name) if group_of(name, run.loss) == group else ([], []) for _, run in self.runs]

    def cell(self, configuration: Configuration, column: Column, at: str) -> Cell | None:
        """What stands in a row and column.

        Args:
            at: `LAST` or `BEST`.
        """
        found = []
        for run in configuration.runs:
            lines = [line for line in run.scores_at(getattr(run, at)) if key_of(line) == column.key]
            if lines:  # of one that was measured again, the newest
                found.append((float(lines[-1]["value"]), run.seed, int(lines[-1]["step"])))
        return Cell(*map(list, zip(*found, strict=True))) if found else None


def compare(paths: Iterable[Path]) -> Comparison:
    """Read runs, and put side by side what can be compared.

    Raises:
        SuiteError: if none of them can be read.
    """
    runs, left_out = [], []
    for path in paths:
        try:
            runs.append(run_records.read(path))
        except (SuiteError, OSError) as error:
            left_out.append((plain(str(path)), plain(str(error), 300)))
    if not runs:
        raise SuiteError(f"none of the runs can be read; the first: {left_out[0][1]}")
    configurations = _configurations(runs, left_out)
    return Comparison(configurations, _sections(configurations), left_out)


def key_of(line: Line) -> str:
    """The same for two scores if, and only if, they are one metric under one protocol."""
    return _text([line["metric"], protocol.how(line)])


def score_curve(run: RunRecord, key: str) -> tuple[list[float], list[float]]:
    """Steps and values of a score under one protocol; of a step that was scored twice, the newer."""
    values = {line["step"]: float(line["value"]) for line in run.reported if key_of(line) == key}
    return sorted(values), [values[step] for step in sorted(values)]


def _configurations(runs: list[RunRecord], left_out: list[tuple[str, str]]) -> list[Configuration]:
    groups: dict[str, dict[str, RunRecord]] = {}
    for run in runs:
        fields = {name: value for name, value in run.settings.items() if name not in _NOT_THE_METHOD}
        # an unfinished run is no seed of a finished one
        key = _text([fields, run.record.get("dataset_fingerprint"), None if run.finished else run.last, run.finished])
        first = groups.setdefault(key, {}).setdefault(_text(run.settings.get("seed")), run)
        if first is not run:
            left_out.append((run.name, f"the same configuration and seed as {first.name}, so it is no further seed"))
    kept = [sorted(group.values(), key=_seed_order) for group in groups.values()]
    alike = collections.defaultdict(list)
    for group in kept:
        alike[_method(group[0])].append(group[0])
    result = []
    for number, group in enumerate(kept, 1):
        method = _method(group[0])
        result.append(Configuration(number, method, group, _differences(group[0], alike[method])))
    return result


def _method(run: RunRecord) -> str:
    return f"{plain(run.settings.get('variant', '?'), 40)} on {plain(run.settings.get('dataset', '?'), 40)}"


def _seed_order(run: RunRecord) -> tuple[int, str]:
    seed = run.settings.get("seed")
    return (seed if type(seed) is int else -1, run.name)


def _differences(run: RunRecord, others: list[RunRecord]) -> dict[str, str]:
    """The fields, options one by one, in which a run is not like all of its variant and dataset."""
    own, rest = _flat(run), [_flat(other) for other in others]
    names = dict.fromkeys(name for fields in [own, *rest] for name in fields)
    differing = [name for name in names if any(fields.get(name) != own.get(name) for fields in rest)]
    return {plain(name, 40): plain(_short(own.get(name, _NOT_RECORDED)), 40) for name in differing}


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _flat(run: RunRecord) -> dict[str, Any]:
    fields = {name: value for name, value in run.settings.items() if name not in _NOT_THE_METHOD}
    options = fields.pop("options", None)
    data = run.record.get("dataset_fingerprint")
    return {**fields, **(options if isinstance(options, dict) else {}), "data": data}


def _sections(configurations: list[Configuration]) -> list[Section]:
    columns: dict[str, Line] = {}
    versions: dict[str, dict[str, Any]] = {}
    users: dict[str, list[Configuration]] = collections.defaultdict(list)
    for configuration in configurations:
        for run in configuration.runs:
            for line in [*run.scores_at(run.last), *run.scores_at(run.best)]:
                key = key_of(line)
                columns.setdefault(key, line)
                versions.setdefault(key, {})[_text(line.get("versions"))] = line.get("versions")
                if configuration not in users[key]:
                    users[key].append(configuration)
    families: dict[str, list[str]] = collections.defaultdict(list)
    for key, line in columns.items():
        families[_text(_shared(line))].append(key)
    ordered = sorted(families.values(), key=lambda keys: -sum(len(users[key]) for key in keys))
    shared = [_shared(columns[keys[0]]) for keys in ordered]
    result = []
    for number, keys in enumerate(ordered, 1):
        rows = [row for row in configurations if any(row in users[key] for key in keys)]
        made = [_column(key, columns, keys, list(versions[key].values())) for key in keys]
        result.append(Section(number, _why(shared, number - 1), made, rows))
    return result


def _shared(line: Line) -> dict[str, Any]:
    return {name: value for name, value in protocol.how(line).items() if name not in _OF_A_METRIC}


def _why(shared: list[dict[str, Any]], own: int) -> list[str]:
    """How the protocol of one section differs from those of the others."""
    names = dict.fromkeys(name for fields in shared for name in fields)
    lines = []
    for name in names:
        values = [plain(fields.get(name, _NOT_RECORDED), 80) for fields in shared]
        if len(set(values)) > 1:
            others = sorted({value for i, value in enumerate(values) if i != own} - {values[own]})
            against = f"; elsewhere {', '.join(others)}" if others else ""
            lines.append(f"{plain(name, 60)}: {values[own]}{against}")
    return lines


def _column(key: str, columns: dict[str, Line], keys: list[str], versions: list[dict[str, Any]]) -> Column:
    line = columns[key]
    own = protocol.how(line)
    others = [protocol.how(columns[other]) for other in keys if columns[other]["metric"] == line["metric"]]
    differing = [name for name in own if any(other.get(name) != own[name] for other in others)]
    names = {name: line.get(name) for name in ("classifier", "reference") if name not in own}
    remark = ", ".join(f"{name.removesuffix('_fingerprint')} {plain(_named(name, line), 60)}" for name in differing)
    return Column(key, plain(line["metric"], 80), remark, own, names, versions)


def _named(field: str, line: Line) -> Any:
    """A field's value; for a fingerprint the name that it stands for, too."""
    value = line.get(field)
    name = line.get(field.removesuffix("_fingerprint"))
    return value if name is value else f"{name} {str(value)[:12]}"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
