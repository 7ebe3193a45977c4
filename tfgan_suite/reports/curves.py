"""Curves of a run, drawn from its log."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from data_tools import files

_PLOTS = {
    "losses.png": ("loss", ("d_loss", "g_loss")),
    "gradient_norms.png": ("gradient norm", ("d_gradient_norm", "g_gradient_norm")),
    "discriminator.png": ("mean sigmoid of the discriminator's logits", ("d_real", "d_fake")),
}


def draw(log: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Write one PNG per group of logged quantities; returns their paths.

    Args:
        log: lines of `log.jsonl`.
        folder: where to write.
    """
    paths = []
    for name, (label, keys) in _PLOTS.items():
        lines = [line for line in log if all(key in line for key in keys)]
        curves = {key: ([line["step"] for line in lines], [line[key] for line in lines]) for key in keys}
        paths.append(_curves(folder / name, label, curves))
    return paths


def draw_metrics(lines: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Write one PNG per metric that was measured at two steps or more, a curve per reference; returns their paths.

    Args:
        lines: of `metrics.jsonl`.
        folder: where to write.
    """
    curves: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    for line in lines:
        of_metric = curves.setdefault(line["metric"], {})
        steps, values = of_metric.setdefault(line.get("reference") or "no reference", ([], []))
        steps.append(line["step"])
        values.append(line["value"])
    return [
        _curves(folder / f"metric-{name}.png", name, of_metric)
        for name, of_metric in curves.items()
        if max(len(set(steps)) for steps, _ in of_metric.values()) > 1
    ]


def _curves(path: Path, label: str, curves: dict[str, tuple[list[int], list[float]]]) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, (steps, values) in curves.items():
        axes.plot(steps, values, marker="." if len(steps) < 30 else None, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend()
    files.replace(path, functools.partial(figure.savefig, format="png", dpi=100))
    return path
