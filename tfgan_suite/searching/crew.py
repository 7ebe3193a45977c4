"""What runs a study: threads that each take a trial, train it in a process of its own, and tell how it ended."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_tools import files
from data_tools.command import report
from data_tools.errors import Interrupted, SuiteError, UsageError
from tfgan_suite.runs import provenance
from tfgan_suite.runs.presets import PRESETS
from tfgan_suite.searching import design, studies_on_disk, trials
from tfgan_suite.searching.studies_on_disk import Wanted
from tfgan_suite.training.stop_signals import StopSignals

if TYPE_CHECKING:
    import optuna

_POLL = 2.0
_RUNGS = 9  # scores on the way, then: enough for two halvings by three


@dataclasses.dataclass(frozen=True)
class Hands:
    """Who works: how many trials at a time, each with how many threads, until when.

    Attributes:
        workers: trials at a time in this process.
        threads: of each trial; all cores if None.
        hours: after which no further trial is begun; None for no limit.
        heartbeat: seconds between signs of life in the database.
    """

    workers: int
    threads: int | None
    hours: float | None
    heartbeat: int


class Crew:
    """The threads of one process, their common end and first error."""

    def __init__(self, wanted: Wanted, hands: Hands, url: str, output: Path) -> None:
        self.wanted = wanted
        self.hands = hands
        self.url = url
        self.output = output
        self.stop = threading.Event()  # what is being trained stops, saved
        self.enough = threading.Event()  # nothing further is begun
        self.error: BaseException | None = None
        self.objective = trials.OBJECTIVES[wanted.objective]
        planned = design.plan(wanted.space, wanted.sampler, wanted.trials, wanted.seed)
        self._suggested = wanted.trials + design.DEFAULTS - len(planned)  # trials whose points the sampler chooses
        self._asking = threading.Lock()

    def join(self) -> None:
        """Make the study, or join it.

        Raises:
            UsageError: if it is another one, or its database cannot be opened.
        """
        self._study()

    def work(self) -> None:
        """Run the study until all its trials have an outcome, or the time is up.

        Raises:
            Interrupted: after Ctrl-C, SIGTERM or SIGHUP; what was being trained is saved.
            SuiteError: for what kept the study from going on.
        """
        deadline = None if self.hands.hours is None else time.monotonic() + 3600 * self.hands.hours
        threads = [threading.Thread(target=self._guarded, daemon=True) for _ in range(self.hands.workers)]
        with StopSignals() as signals, signals.remembering("stopping: what is being trained is saved first"):
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                if signals.received:
                    self.stop.set()
                if deadline is not None and time.monotonic() >= deadline:
                    self.enough.set()
                for thread in threads:
                    thread.join(_POLL / 4)
        studies_on_disk.write_trials(self._study(), self.output)
        if self.error is not None:
            raise self.error
        if signals.received:
            raise Interrupted("stopped; the same command goes on", signals.received)

    def _study(self) -> optuna.Study:
        hands = self.hands
        return studies_on_disk.open_study(
            self.wanted, self.url, self.output, workers=hands.workers, heartbeat=hands.heartbeat
        )

    def _guarded(self) -> None:
        try:
            self._loop(self._study())
        except BaseException as error:
            self.error = self.error or error
            self.stop.set()

    def _loop(self, study: optuna.Study) -> None:
        import optuna

        waiting = False
        while not (self.stop.is_set() or self.enough.is_set()):
            optuna.storages.fail_stale_trials(study)
            done = studies_on_disk.count(study)
            planned = self.wanted.trials + design.DEFAULTS
            if done.queued == 0 and done.finished + done.running >= planned:
                if done.running == 0:
                    return
                if not waiting:
                    report(f"waiting for {done.running} trials of others")
                waiting = True
                self.stop.wait(_POLL)
                continue
            with contextlib.ExitStack() as turn:
                # SQLite lets two that ask at the same instant have the same trial
                turn.enter_context(self._asking)
                turn.enter_context(files.locked(self.output / ".ask.lock"))
                objective = functools.partial(self._objective, turn=turn)
                study.optimize(objective, n_trials=1, catch=(trials.Stopped,))
            with self._asking:
                studies_on_disk.write_trials(study, self.output)

    def _objective(self, trial: optuna.Trial, turn: contextlib.ExitStack) -> float | tuple[float, ...]:
        import optuna

        attributes = trial.user_attrs
        key = attributes.get("key", studies_on_disk.exploit_key(trial.number))
        role, seed = attributes.get("role", design.EXPLOIT), attributes.get("seed", self.wanted.seed)
        for name, value in (("key", key), ("role", role), ("seed", seed)):
            trial.set_user_attr(name, value)
        if studies_on_disk.is_surplus(trial.study, trial.number, key, self._suggested):
            raise optuna.TrialPruned("others have it")
        point = design.suggest(self.wanted.space, trial)
        turn.close()
        settings = complete_settings({**self.wanted.space.settings(point), "seed": seed}, self._scores_on_the_way())
        try:
            ended = trials.run(
                self.output / "trials" / key,
                settings,
                self.objective,
                threads=self.hands.threads,
                stop=self.stop,
                watch=self._watch(trial, role),
            )
        except trials.Stopped:
            trial.study.enqueue_trial(point, user_attrs={"key": key, "role": role, "seed": seed})
            raise
        return self._tell(trial, key, ended)

    def _scores_on_the_way(self) -> int:
        return _RUNGS if self._halves() else 1

    def _halves(self) -> bool:
        return design.halves(self.wanted.trials, self.wanted.seconds_too)

    def _watch(self, trial: optuna.Trial, role: str) -> Any:
        """What ends a poor trial early: successive halving, from many trials on, and never one that effects need."""
        if not self._halves() or role != design.EXPLOIT:
            return lambda step, metric: False

        def watch(step: int, metric: float) -> bool:
            trial.report(self.objective.of(metric), step)
            return trial.should_prune()

        return watch

    def _tell(self, trial: optuna.Trial, key: str, ended: trials.Finished) -> float | tuple[float, ...]:
        import optuna

        for name, value in (
            ("metric", ended.metric),
            ("seconds", ended.seconds),
            ("note", ended.note),
            ("versions", provenance.versions()),
            ("threads", self.hands.threads),
            ("outcome", ended.outcome),
        ):
            trial.set_user_attr(name, value)
        shown = "" if ended.metric is None else f", {self.objective.names[0]} {ended.metric:.4g}"
        report(f"{key}: {ended.outcome}{shown}{f' ({ended.note})' if ended.note else ''}")
        if ended.outcome != trials.COMPLETE or ended.metric is None:
            raise optuna.TrialPruned(ended.outcome)
        value = self.objective.of(ended.metric)
        return (value, ended.seconds or 0.0) if self.wanted.seconds_too else value


def complete_settings(settings: dict[str, Any], scores_on_the_way: int) -> dict[str, Any]:
    """`settings` with all options of the variant, and with a score on the selection split at the end.

    With every option given, the file means the same on top of any preset.

    Raises:
        UsageError: for settings that are refused.
    """
    from tfgan_suite.runs import config
    from tfgan_suite.runs.config import Config
    from tfgan_suite.training.building import options_of

    checked = config.replace(Config(), settings, source="the search")
    if checked.steps is None:
        raise UsageError("a search needs the same number of steps for all trials: give --fixed steps=N")
    network, training = options_of(checked)
    every = max(1, checked.steps // scores_on_the_way)
    whole = dataclasses.replace(checked, options={**network, **training}, evaluate_every=every)
    return json.loads(json.dumps(whole.as_dict()))


def resolved(wanted: Wanted) -> Wanted:
    """`wanted` with a whole default point; what cannot be searched is refused before anything is trained.

    Raises:
        UsageError: for unknown names, a parameter without a default, or a point that `fit` refuses.
    """
    from models_zoo import load_variant
    from tfgan_suite.searching import spaces

    space = wanted.space
    variant = space.settings(space.complete({}))["variant"]
    network, training = load_variant(variant).options()
    options = {**network, **training}
    spaces.check_names(space, options)
    own = {name: value for name, value in options.items() if name in space.parameters}
    own |= {name: value for name, value in PRESETS[space.base].config.options.items() if name in space.parameters}
    wanted = dataclasses.replace(wanted, space=dataclasses.replace(space, default={**own, **space.default}))
    for planned in design.plan(wanted.space, wanted.sampler, wanted.trials, wanted.seed):
        try:
            complete_settings(wanted.space.settings(planned.point), 1)
        except (ValueError, SuiteError) as error:
            raise UsageError(f"{studies_on_disk.key_of(planned)} of the search is refused: {error}") from None
    return wanted
