"""What a search found, as a page of Markdown and pictures: all of it from `trials.jsonl` and `confirmation.jsonl`."""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_tools import files
from data_tools.errors import UsageError
from tfgan_suite.reports.intervals import Interval
from tfgan_suite.reports.plain_text import table_lines
from tfgan_suite.searching import confirmation, design, effects, studies_on_disk, trials
from tfgan_suite.searching.crew import complete_settings
from tfgan_suite.searching.design import DEFAULT, EXPLORE
from tfgan_suite.searching.studies_on_disk import Wanted

if TYPE_CHECKING:
    import optuna

    from tfgan_suite.searching.effects import Effect, Fit

_RANKED = 10
_RESAMPLES = 20  # of the trials, for the spread of the importances
_FEWEST_FOR_IMPORTANCE = 10


def write(wanted: Wanted, output: Path) -> list[Path]:
    """Write `report.md`, its pictures and `best.json` into the folder of a search; returns their paths.

    Raises:
        SuiteError: if no trial has come to a good end.
    """
    records = studies_on_disk.read_trials(output / "trials.jsonl")
    best = confirmation.best_of(records)
    best_file = output / "best.json"
    settings = complete_settings({**wanted.space.settings(best["point"]), "seed": best["seed"]}, 1)
    files.replace_text(best_file, json.dumps(settings, indent=2) + "\n")
    confirmed = confirmation.read(output / "confirmation.jsonl")
    pictures = _draw(wanted, records, output)
    text = report(wanted, records, confirmed, [path.name for path in pictures])
    files.replace_text(output / "report.md", text)
    return [output / "report.md", best_file, *pictures]


def report(
    wanted: Wanted, records: Sequence[dict[str, Any]], confirmed: Sequence[dict[str, Any]], pictures: Sequence[str]
) -> str:
    """The page as Markdown."""
    best = confirmation.best_of(records)
    parts = [
        f"# Search: {wanted.space.about}\n\n{wanted.space.source}.\n\n{_protocol(wanted, records)}",
        f"## Trials\n\n{_outcomes(records)}\n\n{_ranking(wanted, records)}",
        f"## Noise\n\n{_noise(records)}",
        f"## Effects\n\n{_effects(wanted, records)}",
        _cells(wanted, records),
        f"## Other measures of importance\n\n{_importances(wanted, records)}",
        f"## Confirmation\n\n{_confirmation(wanted, confirmed)}",
        f"## Best\n\n{_best(best)}",
        "\n\n".join(f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in pictures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _protocol(wanted: Wanted, records: Sequence[dict[str, Any]]) -> str:
    objective = trials.OBJECTIVES[wanted.objective]
    fixed = ", ".join(f"`{name}={value}`" for name, value in wanted.space.fixed.items())
    revisions = sorted({str(record.get("versions", {}).get("git")) for record in records})
    threads = sorted({str(record.get("threads")) for record in records})
    return (
        f"Preset `{wanted.space.base}`{f' with {fixed}' if fixed else ''}; sampler {wanted.sampler}, "
        f"seed {wanted.seed}, all exploring trials trained with that seed. What is made small is "
        f"{'minus ' * objective.larger_is_better}{'the logarithm of ' * objective.log}{objective.names[0]} on the "
        f"selection split. Threads of a trial: {', '.join(threads)}. Revisions: {', '.join(revisions)}."
    )


def _outcomes(records: Sequence[dict[str, Any]]) -> str:
    counted = Counter((record["role"], record["outcome"]) for record in records)
    return _table(
        ["role", "outcome", "trials"],
        [[role, outcome, str(number)] for (role, outcome), number in sorted(counted.items())],
    )


def _ranking(wanted: Wanted, records: Sequence[dict[str, Any]]) -> str:
    good = sorted((r for r in records if r["outcome"] == trials.COMPLETE), key=lambda r: r["values"][0])
    modules = effects.modules_of(wanted.space)
    rows = [
        [str(place), record["key"], _number(record["metric"]), _number(record["seconds"])]
        + [str(record["point"].get(name, "")) for name in modules]
        for place, record in enumerate(good[:_RANKED], start=1)
    ]
    return _table(["", "trial", trials.OBJECTIVES[wanted.objective].names[0], "seconds", *modules], rows)


def _noise(records: Sequence[dict[str, Any]]) -> str:
    values = [r for r in records if r["role"] == DEFAULT and r["outcome"] == trials.COMPLETE]
    deviation = effects.defaults_noise([record["values"][0] for record in values])
    if deviation is None:
        return "The default configuration was not trained often enough to say how much one training varies."
    listed = ", ".join(_number(record["metric"]) for record in values)
    return (
        f"The default configuration with {len(values)} seeds: {listed}; standard deviation of the objective "
        f"{deviation:.3g}. Trials that differ by less than about {2 * math.sqrt(2) * deviation:.2g} do not differ."
    )


def _fit(wanted: Wanted, records: Sequence[dict[str, Any]]) -> Fit:
    exploring = _exploring(records)
    return effects.fit(wanted.space, [r["point"] for r in exploring], [r["values"][0] for r in exploring], wanted.seed)


def _exploring(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in records if r["role"] == EXPLORE and r["outcome"] == trials.COMPLETE]


def _effects(wanted: Wanted, records: Sequence[dict[str, Any]]) -> str:
    try:
        found = _fit(wanted, records)
    except UsageError as error:
        return str(error)
    log = trials.OBJECTIVES[wanted.objective].log
    rows = [[effect.parameter, effect.change, _change(effect, log), _verdict(effect)] for effect in found.effects]
    unit = "ratio" if log else "difference"
    return (
        f"Least squares on main effects over the {len(_exploring(records))} exploring trials that came to a good end "
        f"(it explains {found.explained:.0%} of the variance; what is left has a standard deviation of "
        f"{found.residual:.2g}). Intervals hold for all effects at once, at 95 %; below {1 if log else 0} the change "
        f"helps.\n\n" + _table(["parameter", "change", f"{unit}, 95 % interval", ""], rows)
    )  # fmt: skip


def _change(effect: Effect, log: bool) -> str:
    numbers = (effect.difference, effect.low, effect.high)
    value, low, high = (math.exp(number) for number in numbers) if log else numbers
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _verdict(effect: Effect) -> str:
    if not effect.resolved:
        return "not resolved"
    return "helps" if effect.high < 0 else "harms"


def _cells(wanted: Wanted, records: Sequence[dict[str, Any]]) -> str:
    pair = effects.interactions(wanted.space)
    if pair is None:
        return ""
    exploring = _exploring(records)
    found = effects.cells([r["point"] for r in exploring], [r["values"][0] for r in exploring], *pair)
    rows, columns = (_values(wanted, name) for name in pair)
    log = trials.OBJECTIVES[wanted.objective].log
    body = []
    for row in rows:
        line = [str(row)]
        for column in columns:
            values = found.get((row, column), [])
            mean = (math.exp(np.mean(values)) if log else float(np.mean(values))) if values else None
            line.append(f"{_number(mean)} ({len(values)})" if mean is not None else "(0)")
        body.append(line)
    kind = "Geometric mean" if log else "Mean"
    heading = f"## {pair[0]} and {pair[1]}\n\n{kind} over the exploring trials, with their number.\n\n"
    return heading + _table([f"{pair[0]} \\ {pair[1]}", *map(str, columns)], body)


def _values(wanted: Wanted, name: str) -> tuple[Any, ...]:
    return wanted.space.parameters[name].values  # type: ignore[union-attr]


def _importances(wanted: Wanted, records: Sequence[dict[str, Any]]) -> str:
    """fANOVA and PED-ANOVA, each over resamples: beside the effects, for those who know them."""
    from optuna import importance

    exploring = _exploring(records)
    if len(exploring) < _FEWEST_FOR_IMPORTANCE:
        return f"They need {_FEWEST_FOR_IMPORTANCE} exploring trials or more. Received: {len(exploring)}."
    measures: dict[str, Any] = {"PED-ANOVA": lambda seed: importance.PedAnovaImportanceEvaluator()}
    try:
        import sklearn  # noqa: F401

        measures["fANOVA"] = lambda seed: importance.FanovaImportanceEvaluator(seed=seed)
    except ImportError:
        pass
    random = np.random.default_rng(wanted.seed)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in measures}
    for i in range(_RESAMPLES):
        chosen = random.choice(len(exploring), size=len(exploring))
        study = in_memory(wanted, [exploring[k] for k in chosen])
        for name, evaluator in measures.items():
            for parameter, value in importance.get_param_importances(study, evaluator=evaluator(i)).items():
                found[name].setdefault(parameter, []).append(value)
    rows = []
    for parameter in wanted.space.parameters:
        rows.append([parameter] + [_spread(found[name].get(parameter)) for name in measures])
    note = (
        f"Mean and standard deviation over {_RESAMPLES} resamples of the exploring trials. fANOVA leaves out "
        f"parameters that are not in every trial; PED-ANOVA was seen to name parameters without effect among the first."
    )
    return note + "\n\n" + _table(["parameter", *measures], rows)


def _spread(values: list[float] | None) -> str:
    return "" if not values else f"{np.mean(values):.2f} +- {np.std(values):.2f}"


def _confirmation(wanted: Wanted, lines: Sequence[dict[str, Any]]) -> str:
    if not lines:
        return "Not run yet: `python -m tfgan_suite.search confirm --output DIR`."
    verdicts = confirmation.verdicts(lines)
    log = trials.OBJECTIVES[wanted.objective].log
    rows = []
    for name in dict.fromkeys(line["name"] for line in lines):
        own = [line for line in lines if line["name"] == name]
        values = ", ".join(_number(line["metric"]) if line["value"] is not None else line["outcome"] for line in own)
        interval = verdicts.get(name)
        rows.append([name, values, *_against_best(interval, log)])
    return (
        "Each row was trained anew with the same seeds; the best of many trials is chosen for its luck, too. The "
        "interval is Student's t over the pairs, 95 % each.\n\n"
        + _table(["configuration", "every seed", f"{'ratio' if log else 'difference'} to the best", ""], rows)
    )


def _against_best(interval: Interval | None, log: bool) -> list[str]:
    if interval is None or interval.low is None or interval.high is None:
        return ["", ""]
    shown = interval.exponential() if log else interval
    verdict = "not resolved"
    if interval.resolved:
        verdict = "the best is better" if interval.low > 0 else "better than the best"
    return [f"{shown.mean:.2f} ({shown.low:.2f} to {shown.high:.2f})", verdict]


def _best(best: dict[str, Any]) -> str:
    threads = best.get("threads")
    before = "" if threads is None else "".join(f"{name}={threads} " for name in trials.THREADS)
    return (
        f"Trial `{best['key']}`. Its settings stand in `best.json`; this trains it again, to the same score on the "
        f"same kind of machine:\n\n```\n{before}python -m tfgan_suite.fit --config best.json\n```"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in (head, *rows)]
    return "\n".join(table_lines(escaped[0], escaped[1:]))


def in_memory(wanted: Wanted, records: Sequence[dict[str, Any]]) -> optuna.Study:
    """The trials that came to a good end as a study of Optuna, for its measures and pictures."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    for record in records:
        if record["outcome"] == trials.COMPLETE:
            study.add_trial(
                optuna.trial.create_trial(
                    value=record["values"][0],
                    params=record["point"],
                    distributions=design.distributions(wanted.space, record["point"]),
                )
            )
    return study


def _draw(wanted: Wanted, records: Sequence[dict[str, Any]], output: Path) -> list[Path]:
    """Parallel coordinates with the best in blue (Dogan, figure 8), slices, and the history."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import optuna
    from optuna.visualization import matplotlib as pictures

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    study = in_memory(wanted, records)
    label = f"{'log ' * trials.OBJECTIVES[wanted.objective].log}{trials.OBJECTIVES[wanted.objective].names[0]}"
    everywhere = [name for name, one in wanted.space.parameters.items() if one.when is None]
    count = len(everywhere)
    drawn = {
        "parallel_coordinates.png": (
            lambda: pictures.plot_parallel_coordinate(study, params=everywhere, target_name=label), (2 + 1.6 * count, 6)
        ),
        "slices.png": (
            lambda: pictures.plot_slice(study, params=everywhere, target_name=label), (2.2 * count, 4)
        ),
        "history.png": (lambda: pictures.plot_optimization_history(study, target_name=label), (8, 5)),
    }  # fmt: skip
    paths = []
    for name, (draw, size) in drawn.items():
        draw()
        figure = plt.gcf()
        figure.set_size_inches(*size)
        figure.savefig(output / name, dpi=100, bbox_inches="tight")
        plt.close("all")
        paths.append(output / name)
    return paths
