"""Curves of many runs on common axes: by step, by images seen and by wall time."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfgan_suite.reports import curves, quantities
from tfgan_suite.reports.comparison import Comparison, score_curve
from tfgan_suite.reports.curves import Curve
from tfgan_suite.reports.plain_text import file_name, plain
from tfgan_suite.reports.run_records import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_MOST_IN_LEGEND = 12
_MOST_ROWS = 8
Where = Callable[[RunRecord, Sequence[float]], Sequence[float]]
# label -> from a run and its steps to where these stand, or to nothing if that is not known
X_AXES: dict[str, Where] = {
    "step": lambda run, steps: steps,
    "images seen": lambda run, steps: [step * run.images_per_step for step in steps] if run.images_per_step else [],
    "minutes": lambda run, steps: [seconds / 60 for seconds in run.seconds_at(steps)],
}


def draw_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write one PNG per group of quantities and per score, runs of one configuration in one colour.

    Args:
        folder: where to write; it exists.

    Returns:
        The paths.
    """
    paths = []
    for key, group in quantities.GROUPS.items():
        names = comparison.quantities(key)[:_MOST_ROWS]
        rows = [(name, comparison.curves(key, name)) for name in names]
        if rows:
            paths.append(_draw(folder / f"{key}.png", group.question, rows, comparison, group.spikes))
    taken: set[str] = set()
    for section in comparison.sections:
        for column in section.columns:
            of_runs = [score_curve(run, column.key) for _, run in comparison.runs]
            if max(len(steps) for steps, _ in of_runs) > 1:
                name = _free(f"metric-{file_name(column.metric)}-protocol-{section.number}", taken)
                label = f"{column.metric}\n{column.remark}" if column.remark else column.metric
                title = curves.score_title(column.metric)
                paths.append(_draw(folder / f"{name}.png", title, [(label, of_runs)], comparison))
    return paths


def colour_of(number: int) -> str:
    """Of a configuration, by its number from 1 on; the first eight are easy to tell apart."""
    if number <= len(curves.COLOURS):
        return curves.COLOURS[number - 1]
    red, green, blue = colorsys.hls_to_rgb(number * 0.618034 % 1, 0.45, 0.6)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _draw(
    path: Path, title: str, rows: Sequence[tuple[str, Sequence[Curve]]], comparison: Comparison, spikes: bool = False
) -> Path:
    figure = curves.new_figure((15, 1.9 + 2.7 * len(rows)))
    figure.suptitle(f"{title} (spikes are marked)" if spikes else title, fontsize=12, parse_math=False)
    grid = figure.subplots(len(rows), len(X_AXES), squeeze=False, sharey="row")
    handles: dict[int, Line2D] = {}
    for (name, of_runs), line in zip(rows, grid, strict=True):
        for axes, (label, where) in zip(line, X_AXES.items(), strict=True):
            handles |= _draw_runs(axes, comparison, of_runs, where, spikes)
            values = [value for _, of_run in of_runs for value in of_run]
            curves.finish_axes(axes, label, name if axes is line[0] else "", values)
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.06, right=0.99, top=1 - 0.5 / height, bottom=1.5 / height, wspace=0.06, hspace=0.35)
    shown = sorted(handles)[:_MOST_IN_LEGEND]
    names = [plain(f"{number} {comparison.configurations[number - 1].label}", 60) for number in shown]
    more = f"{len(handles) - len(shown)} more in report.html" if len(handles) > len(shown) else None
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 1 / height), "ncols": 3, "fontsize": 8}
    legend = figure.legend([handles[number] for number in shown], names, title=more, **below)
    curves.as_they_are(legend)
    return curves.save(figure, path)


def _draw_runs(
    axes: Axes, comparison: Comparison, of_runs: Sequence[Curve], where: Where, spikes: bool
) -> dict[int, Line2D]:
    """One line per configuration, its runs with a gap between them, as a line for each would take three times as long;
    returns the lines by their numbers."""
    lines: dict[int, tuple[list[float], list[float]]] = {}
    leaps: list[tuple[float, float, str]] = []
    for (row, run), (steps, values) in zip(comparison.runs, of_runs, strict=True):
        at = where(run, steps)
        if at:
            xs, ys = lines.setdefault(row.number, ([], []))
            xs += [*at, math.nan]
            ys += [*values, math.nan]
            leaps += [(at[i], values[i], colour_of(row.number)) for i in (quantities.spikes(values) if spikes else [])]
    if leaps:
        at, high, colours = zip(*leaps, strict=True)
        axes.scatter(at, high, c=colours, marker="v", s=30, zorder=3)
    longest = max((len(values) for _, values in of_runs), default=0)
    look: dict[str, Any] = {"linewidth": 1, "alpha": 0.8, "marker": "." if longest < curves.FEW else None}
    return {number: axes.plot(xs, ys, color=colour_of(number), **look)[0] for number, (xs, ys) in lines.items()}


def _free(name: str, taken: set[str]) -> str:
    """`name`, with a number if another has it."""
    numbered = (name if i == 1 else f"{name}-{i}" for i in range(1, len(taken) + 2))
    free = next(text for text in numbered if text not in taken)
    taken.add(free)
    return free
