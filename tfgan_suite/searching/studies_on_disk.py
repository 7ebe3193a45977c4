"""A study in a database that several processes share, and its finished trials as lines of a file.

The database (SQLite in the output folder, or any that SQLAlchemy knows) is where processes meet; `trials.jsonl` is what
remains. A study whose database is lost is filled again from that file.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_tools import files
from data_tools.errors import SuiteError, UsageError
from tfgan_suite.searching import design, spaces, trials
from tfgan_suite.searching.design import EXPLOIT, Planned
from tfgan_suite.searching.spaces import Space

if TYPE_CHECKING:
    import optuna

_RETRIES = 3  # of a trial whose worker died
_LARGEST = 1e300
_SILENT = 4  # signs of life that may be missing


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a study is: two processes that share one agree on all of it.

    Attributes:
        name: of the study in its database.
        space: what is searched.
        trials: in all, without those of the default configuration.
        sampler: one of `design.SAMPLERS`.
        seed: of everything random.
        objective: key of `trials.OBJECTIVES`.
        seconds_too: whether seconds of training are a second objective.
    """

    name: str
    space: Space
    trials: int
    sampler: str
    seed: int
    objective: str
    seconds_too: bool

    def record(self) -> dict[str, Any]:
        """As JSON."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "space": spaces.as_record(self.space)}


def from_record(record: dict[str, Any], path: Path) -> Wanted:
    """What `Wanted.record` wrote into `path`.

    Raises:
        UsageError: if it is not that.
    """
    try:
        space = spaces.from_record(record["space"], str(path))
        return Wanted(**{**record, "space": space})
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is no record of a search ({error})") from None


def open_study(wanted: Wanted, url: str, output: Path, *, workers: int, heartbeat: int) -> optuna.Study:
    """The study in the database at `url`: made with its queue if it is not there, joined if it is.

    Raises:
        UsageError: for another study of that name, or a database that cannot be opened.
    """
    import optuna
    import sqlalchemy

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    try:
        storage = optuna.storages.RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None,
            heartbeat_interval=heartbeat,
            grace_period=_SILENT * heartbeat,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES),
        )
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"--storage {url} cannot be opened ({reason})") from None
    directions = [optuna.study.StudyDirection.MINIMIZE] * (2 if wanted.seconds_too else 1)
    sampler = design.sampler(wanted.sampler, wanted.seed, workers)
    study = optuna.create_study(
        study_name=wanted.name,
        storage=storage,
        sampler=sampler,
        pruner=design.pruner(wanted.trials, wanted.seconds_too),
        directions=directions,
        load_if_exists=True,
    )
    with files.locked(output / ".study.lock"):
        _agree(study, wanted)
        _restore(study, wanted, output)
        _enqueue(study, wanted)
    return study


def _agree(study: optuna.Study, wanted: Wanted) -> None:
    """Write down what the study is, or compare."""
    known, asked = study.user_attrs.get("wanted"), json.loads(json.dumps(wanted.record()))
    if known is None:
        study.set_user_attr("wanted", asked)
        return
    different = [name for name in asked if _portable(known.get(name)) != _portable(asked[name])]
    growing = different == ["trials"] and wanted.sampler == "tpe" and asked["trials"] > known["trials"]
    if different and not growing:
        raise UsageError(
            f"the study {wanted.name!r} in this database has another {', '.join(different)}: give another --output, "
            f"--storage or --name, or what it was begun with"
        )


def _portable(entry: Any) -> Any:
    """A space without the places of files, which may differ between machines."""
    if not isinstance(entry, dict):
        return entry
    fixed = {name: value for name, value in entry.get("fixed", {}).items() if name not in ("data_dir", "classifier")}
    return {**entry, "fixed": fixed}


def _restore(study: optuna.Study, wanted: Wanted, output: Path) -> None:
    """Put the finished trials of `trials.jsonl` into the study, where it has lost them."""
    import optuna

    known = {trial.user_attrs.get("key") for trial in study.get_trials(deepcopy=False)}
    for record in read_trials(output / "trials.jsonl"):
        if record["key"] in known:
            continue
        good = record["outcome"] == trials.COMPLETE
        state = optuna.trial.TrialState.COMPLETE if good else optuna.trial.TrialState.PRUNED
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=record["values"] if good else None,
                params=record["point"],
                distributions=design.distributions(wanted.space, record["point"]),
                user_attrs={name: value for name, value in record.items() if name not in ("point", "values")},
            )
        )


def _enqueue(study: optuna.Study, wanted: Wanted) -> None:
    """Put what is planned into the queue, where it is not yet: a kill in the middle leaves a part."""
    known = {trial.user_attrs.get("key") for trial in study.get_trials(deepcopy=False)}
    for planned in design.plan(wanted.space, wanted.sampler, wanted.trials, wanted.seed):
        if key_of(planned) not in known:
            about = {"role": planned.role, "row": planned.row, "seed": planned.seed, "key": key_of(planned)}
            study.enqueue_trial(planned.point, user_attrs=about)


def key_of(planned: Planned) -> str:
    """The name of a trial, and of its folder, whoever runs it and however often."""
    return f"{planned.role}-{planned.row:03d}"


@dataclasses.dataclass(frozen=True)
class Count:
    """How far a study is: trials that have an outcome, that are being run, and that wait in the queue."""

    finished: int
    running: int
    queued: int


def count(study: optuna.Study) -> Count:
    """How far the study is; a trial that is run again counts once."""
    from optuna.trial import TrialState

    finished, running, queued = set(), 0, 0
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.RUNNING:
            running += 1
        elif trial.state == TrialState.WAITING:
            queued += 1
        elif "outcome" in trial.user_attrs:
            finished.add(trial.user_attrs["key"])
    return Count(len(finished), running, queued)


def write_trials(study: optuna.Study, output: Path) -> None:
    """Write `trials.jsonl`: one line for each trial that has an outcome, in the order of their names."""
    records = {}
    for trial in study.get_trials(deepcopy=False):
        if "outcome" in trial.user_attrs and trial.user_attrs["key"] not in records:
            values = [value if math.isfinite(value) else None for value in trial.values] if trial.values else None
            records[trial.user_attrs["key"]] = {**trial.user_attrs, "values": values, "point": trial.params}
    with files.locked(output / ".study.lock"):
        lines = [json.dumps(records[key], sort_keys=True) + "\n" for key in sorted(records)]
        files.replace_text(output / "trials.jsonl", "".join(lines))


def read_trials(path: Path) -> list[dict[str, Any]]:
    """The finished trials in a file that `write_trials` wrote; an empty list if there is none.

    Raises:
        SuiteError: for a line that is no trial.
    """
    if not path.exists():
        return []
    files.require_own(path)
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            record = json.loads(line)
            if not {"key", "role", "outcome", "point", "values"} <= record.keys():
                raise ValueError("a trial has key, role, outcome, point and values")
            _require_kinds(record)
        except (ValueError, AttributeError, RecursionError) as error:
            raise SuiteError(f"line {number} of {path} is no trial ({error}): remove it") from None
        records.append(record)
    return records


def _require_kinds(record: dict[str, Any]) -> None:
    """Raises ValueError unless the fields of a trial are of their kinds; the file may come from elsewhere."""
    if not all(isinstance(record[name], str) for name in ("key", "role", "outcome")):
        raise ValueError("key, role and outcome are texts")
    if not isinstance(record["point"], dict) or not all(
        isinstance(one, spaces.Value) for one in record["point"].values()
    ):
        raise ValueError("a point has a number, a text, true or false for each parameter")
    values = record["values"]
    if values is None and record["outcome"] != trials.COMPLETE:
        return
    if not isinstance(values, list) or not values or not all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST)
        for value in values
    ):  # fmt: skip
        raise ValueError("values are finite numbers, or null")


def exploit_key(number: int) -> str:
    """The name of a trial whose point the sampler suggested, from its number in the study."""
    return f"{EXPLOIT}-{number:03d}"


def is_surplus(study: optuna.Study, number: int, key: str, allowed: int) -> bool:
    """Whether others are at the trial `key` already, or as many as `allowed` that the sampler suggested stand before.

    Two processes that ask at the same instant may both get the last trial; the later one then gives up.
    """
    from optuna.trial import TrialState

    before = [t for t in study.get_trials(deepcopy=False) if t.number < number and t.state != TrialState.FAIL]
    keys = {t.user_attrs.get("key", exploit_key(t.number)) for t in before if t.state != TrialState.WAITING}
    suggested = {one for one in keys if one.startswith(EXPLOIT)} - {key}
    return key in keys or (key.startswith(EXPLOIT) and len(suggested) >= allowed)
