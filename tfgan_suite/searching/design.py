"""Which points a study tries, and in which order: its design, and the sampler that goes on from there.

A study has three kinds of trial, which carry their kind in the user attribute `role`:

| role       | points                                                          | used for                        |
| ---------- | --------------------------------------------------------------- | ------------------------------- |
| `default`  | the default configuration, five times, each with another seed   | the noise of one training       |
| `explore`  | a Latin hypercube, categories in equal numbers, one common seed | the effects of the parameters   |
| `exploit`  | by the tree-structured Parzen estimator, from all before        | finding a good configuration    |

Points of the first two are functions of the study's seed alone, and stand in its queue from the beginning.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from data_tools.errors import UsageError
from tfgan_suite.searching.spaces import Choice, Parameter, Point, Range, Space, Value

if TYPE_CHECKING:
    import optuna

DEFAULT, EXPLORE, EXPLOIT = "default", "explore", "exploit"
DEFAULTS = 5  # times that the default configuration is trained
SAMPLERS = ("tpe", "random", "qmc", "grid", "gp")
_EXPLORED = 0.75  # of the trials, with a sampler that learns
_LEARNING = ("tpe", "gp")
_HALVING_FROM = 150  # trials


@dataclasses.dataclass(frozen=True)
class Planned:
    """A trial that is known from the beginning: its role, its number within it, its point and its training seed."""

    role: str
    row: int
    point: Point
    seed: int


def plan(space: Space, sampler: str, trials: int, seed: int) -> list[Planned]:
    """The trials that stand in the queue: defaults spread evenly among the exploring ones.

    Args:
        space: what is searched.
        sampler: one of `SAMPLERS`. `tpe` and `gp` explore for three quarters of the trials; the others for all.
        trials: in all, without the defaults.
        seed: of the design; all exploring trials train with it, too, so that they see the same images in the same order
            and are scored with the same latents.

    Raises:
        UsageError: if the trials are not enough for the sampler, or it needs a package that is missing.
    """
    if sampler == "grid":
        points = grid(space)
        if trials < len(points):
            raise UsageError(f"--sampler grid has {len(points)} points. Received: --trials {trials}")
    else:
        count = max(1, round(trials * _EXPLORED)) if sampler in _LEARNING else trials
        points = {"random": independent, "qmc": sobol}.get(sampler, hypercube)(space, count, seed)
    default = space.default_point()
    exploring = [Planned(EXPLORE, row, point, seed) for row, point in enumerate(points)]
    result: list[Planned] = []
    for i in range(DEFAULTS):  # spread, so that a study that is cut short has some of them
        result += exploring[i * len(exploring) // DEFAULTS : (i + 1) * len(exploring) // DEFAULTS]
        result.append(Planned(DEFAULT, i, default, seed + i))
    return result


def hypercube(space: Space, count: int, seed: int) -> list[Point]:
    """A Latin hypercube: of each range, each of `count` equal parts is met once; of choices, all equally often."""
    columns: dict[str, list[Value]] = {}
    for name, parameter in space.parameters.items():
        random = _random(seed, name)
        order = random.permutation(count)
        jitter = random.random(count) if isinstance(parameter, Range) else 0.5
        columns[name] = _column(parameter, (order + jitter) / count)
    return _rows(space, columns, count)


def independent(space: Space, count: int, seed: int) -> list[Point]:
    """Every value by itself, uniformly."""
    columns = {name: _column(one, _random(seed, name).random(count)) for name, one in space.parameters.items()}
    return _rows(space, columns, count)


def sobol(space: Space, count: int, seed: int) -> list[Point]:
    """Scrambled points of Sobol, which fill all parameters together evenly."""
    _need("scipy", "--sampler qmc")
    from scipy.stats import qmc

    points = qmc.Sobol(len(space.parameters), rng=np.random.default_rng(seed)).random_base2(int(count - 1).bit_length())
    columns = {name: _column(one, points[:count, i]) for i, (name, one) in enumerate(space.parameters.items())}
    return _rows(space, columns, count)


def grid(space: Space) -> list[Point]:
    """Every combination of choices.

    Raises:
        UsageError: for a space with a range, which has no grid.
    """
    ranges = [name for name, parameter in space.parameters.items() if isinstance(parameter, Range)]
    if ranges:
        raise UsageError(
            f"--sampler grid needs choices only, but {', '.join(ranges)} are ranges: choose another sampler"
        )
    values = [parameter.values for parameter in space.parameters.values() if isinstance(parameter, Choice)]
    points = [space.active(dict(zip(space.parameters, row, strict=True))) for row in itertools.product(*values)]
    return [dict(point) for point in dict.fromkeys(tuple(point.items()) for point in points)]


def _rows(space: Space, columns: dict[str, list[Any]], count: int) -> list[Point]:
    return [space.active({name: column[row] for name, column in columns.items()}) for row in range(count)]


def _column(parameter: Parameter, fractions: np.ndarray) -> list[Any]:
    return [parameter.at(float(fraction)) for fraction in fractions]


def _random(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def suggest(space: Space, trial: optuna.Trial) -> Point:
    """The point of a trial: what its queue entry says, or what the sampler suggests."""
    point: Point = {}
    for name, parameter in space.parameters.items():
        if parameter.when is not None and point.get(parameter.when[0]) not in parameter.when[1]:
            continue
        if isinstance(parameter, Choice):
            point[name] = trial.suggest_categorical(name, parameter.values)  # type: ignore[assignment]
        elif parameter.whole:
            point[name] = trial.suggest_int(name, int(parameter.low), int(parameter.high), log=parameter.log)
        else:
            point[name] = trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    return point


def distributions(space: Space, point: Point) -> dict[str, optuna.distributions.BaseDistribution]:
    """Those of the parameters of `point`, for a finished trial that is put into a study."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    result: dict[str, optuna.distributions.BaseDistribution] = {}
    for name in point:
        parameter = space.parameters[name]
        if isinstance(parameter, Choice):
            result[name] = CategoricalDistribution(parameter.values)
        elif parameter.whole:
            result[name] = IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
        else:
            result[name] = FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    return result


def sampler(name: str, seed: int, workers: int) -> optuna.samplers.BaseSampler:
    """What suggests the points that are not in the queue.

    The seed of each trial is that of the study and the trial's number, so that a study that was killed goes on as it
    would have.
    """
    import optuna

    if name == "gp":
        _need("torch", "--sampler gp")

    class ByNumber(optuna.samplers.BaseSampler):
        """Asks a new sampler for each trial."""

        def _of(self, trial: optuna.trial.FrozenTrial) -> optuna.samplers.BaseSampler:
            own = int(np.random.default_rng([seed, trial.number]).integers(2**31))
            if name == "gp":
                return optuna.samplers.GPSampler(seed=own, n_startup_trials=0)
            return optuna.samplers.TPESampler(
                seed=own, n_startup_trials=0, multivariate=True, group=True, constant_liar=workers > 1
            )

        def infer_relative_search_space(self, study, trial):
            return self._of(trial).infer_relative_search_space(study, trial)

        def sample_relative(self, study, trial, search_space):
            chosen = self._of(trial)
            chosen.infer_relative_search_space(study, trial)  # which a grouped one remembers
            return chosen.sample_relative(study, trial, search_space)

        def sample_independent(self, study, trial, param_name, param_distribution):
            return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    return ByNumber()


def halves(trials: int, seconds_too: bool) -> bool:
    """Whether poor trials are ended early by successive halving: with many trials and one objective."""
    return trials >= _HALVING_FROM and not seconds_too


def pruner(trials: int, seconds_too: bool) -> optuna.pruners.BasePruner:
    """Successive halving for many trials; otherwise nothing but divergence and collapse ends a trial."""
    import optuna

    if halves(trials, seconds_too):
        return optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3)
    return optuna.pruners.NopPruner()


def _need(package: str, flag: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"{flag} needs the package {package}: pip install {package}, or choose another --sampler")
