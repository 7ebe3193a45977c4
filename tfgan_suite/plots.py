"""Curves of a run, drawn from its log."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from tfgan_suite import files

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
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    steps = [line["step"] for line in log]
    paths = []
    for name, (label, keys) in _PLOTS.items():
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for key in keys:
            axes.plot(steps, [line[key] for line in log], label=key)
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend()
        files.replace(folder / name, functools.partial(figure.savefig, format="png", dpi=100))
        paths.append(folder / name)
    return paths
