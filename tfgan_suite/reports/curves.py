"""Curves of one run, from its log and its scores."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_tools import files
from tfgan_suite.reports import quantities
from tfgan_suite.reports.plain_text import file_name, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

Curve = tuple[Sequence[float], Sequence[float]]
FEW = 30  # points, which are marked one by one
# Okabe and Ito (2008), which can be told apart by those who see few colours; yellow is too pale for a line
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f5539", "#6a4c93")


def draw(log: list[dict[str, Any]], folder: Path, loss: str | None) -> list[Path]:
    """Write one PNG per group of logged quantities, against steps and images seen; returns their paths.

    Args:
        log: lines of `log.jsonl`.
        folder: where to write.
        loss: the run's adversarial loss, which decides what the discriminator's numbers are.
    """
    lines = [quantities.with_source_losses(line) for line in log]
    paths = []
    for key, names in quantities.grouped([name for line in lines for name in line], loss).items():
        group = quantities.GROUPS[key]
        curves = {name: _curve(lines, name) for name in names}
        shown = _highest(curves, group.most)
        title = group.question if len(shown) == len(curves) else f"{group.question} {len(shown)} of {len(curves)}"
        paths.append(_draw(folder / f"{key}.png", title, group.unit, shown, _images_per_step(lines), group.spikes))
    return paths


def draw_metrics(lines: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Write one PNG per metric that was measured at two steps or more, a curve per reference; returns their paths.

    Args:
        lines: of `metrics.jsonl`.
        folder: where to write.
    """
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for line in lines:
        of_metric = curves.setdefault(line["metric"], {})
        steps, values = of_metric.setdefault(line.get("reference") or "no reference", ([], []))
        steps.append(line["step"])
        values.append(line["value"])
    per_step = _images_per_step(lines)
    return [
        _draw(folder / f"metric-{file_name(name)}.png", score_title(name), name, of_metric, per_step)
        for name, of_metric in curves.items()
        if max(len(set(steps)) for steps, _ in of_metric.values()) > 1
    ]


def score_title(metric: str) -> str:
    """A metric and what is good of it."""
    score = quantities.score_of(metric)
    better = f", {score.better} is better" if score.better else ""
    return f"{plain(metric, 60)}{better}: {score.good}" if score.good else plain(metric, 60)


def finish_axes(axes: Axes, x_label: str, y_label: str, values: Sequence[float]) -> None:
    """Labels and a grid; values that span three orders of magnitude go on a logarithmic axis."""
    if values and min(values) > 0 and max(values) > 1000 * min(values):
        axes.set_yscale("log")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label, parse_math=False)
    axes.grid(alpha=0.3)


def as_they_are(legend: Legend) -> None:
    """Keep a legend from taking a dollar sign for mathematics."""
    for text in [*legend.get_texts(), legend.get_title()]:
        text.set_parse_math(False)


def new_figure(size: tuple[float, float], **arguments: Any) -> Figure:
    """A figure of so many inches that needs no screen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    return Figure(figsize=size, **arguments)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, 100 pixels an inch."""
    files.replace(path, functools.partial(figure.savefig, format="png", dpi=100))
    return path


def _curve(lines: Sequence[dict[str, Any]], name: str) -> Curve:
    having = [line for line in lines if name in line]
    return [line["step"] for line in having], [line[name] for line in having]


def _highest(curves: dict[str, Curve], most: int) -> dict[str, Curve]:
    """The curves that end highest, in their own order; all if `most` is 0."""
    if not most or len(curves) <= most:
        return curves
    kept = sorted(curves, key=lambda name: curves[name][1][-1], reverse=True)[:most]
    return {name: curve for name, curve in curves.items() if name in kept}


def _images_per_step(lines: Sequence[dict[str, Any]]) -> float:
    """0 if the lines do not tell."""
    return next((line["images_seen"] / line["step"] for line in lines if line["step"] and line.get("images_seen")), 0)


def _draw(
    path: Path, title: str, label: str, curves: Mapping[str, Curve], images_per_step: float, spikes: bool = False
) -> Path:
    figure = new_figure((8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    figure.suptitle(title, fontsize=10, wrap=True, parse_math=False)
    colours: dict[str, str] = {}
    for name, (steps, values) in curves.items():
        base = name.removesuffix(quantities.TEST)
        colour = colours.setdefault(base, COLOURS[len(colours) % len(COLOURS)])
        style, marker = "-" if name == base else "--", "." if len(steps) < FEW else None
        axes.plot(steps, values, style, marker=marker, color=colour, linewidth=1.3, label=plain(name, 60))
        found = quantities.spikes(values) if spikes else []
        if found:
            at, high = [steps[i] for i in found], [values[i] for i in found]
            axes.plot(at, high, "v", color=colour, markersize=7, label=f"spikes of {plain(name, 60)}: {len(found)}")
    finish_axes(axes, "step", label, [value for _, curve in curves.values() for value in curve])
    if images_per_step:
        both: Any = (lambda step: step * images_per_step, lambda images: images / images_per_step)
        top = axes.secondary_xaxis("top", functions=both)
        top.set_xlabel("images seen")
    as_they_are(axes.legend(fontsize=8))
    return save(figure, path)
