"""Does every variant learn? Train each `*-shapes` preset with several seeds; write `zoo.md` and a picture of each.

    python results/zoo.py                        # all of them, three seeds, two processes of one thread each
    python results/zoo.py --only wgan-gp-shapes  # the table keeps the rows of runs that are already there

Runs are kept in `results/runs/zoo/`; a finished one is not trained again.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tfgan_suite.runs.presets import PRESETS

HERE = Path(__file__).parent
RUNS = HERE / "runs" / "zoo"
NAMES = [name for name in PRESETS if name.endswith("-shapes")]
ROWS = 3  # of every seed's sample grid

# What is asked of a variant: Frechet distance at the end over that at step 0, score, classes, asked classes.
LARGEST_RATIO, SMALLEST_SCORE, FEWEST_CLASSES, SMALLEST_ASKED = 0.05, 5.0, 9, 0.85
CLASS_COUNTS_FROM = 0.02
# preset -> the ratio that it stays below instead, and why
EXCEPTIONS = {
    "began-shapes": (
        0.5,
        "its equilibrium compares distributions of reconstruction errors, not images, and is known to lose modes "
        "(Chang et al., Escaping from Collapsing Modes in a Constrained Space, 2018); each run draws shapes of one "
        "colour.",
    )
}


INTRODUCTION = """# Does every variant learn?

Written by `python results/zoo.py`. 2,000 steps of each `*-shapes` preset on the drawn `shapes`, each process on one
thread of an {machine} CPU, two at a time; {versions}.
5,000 samples of the averaged generator against the 10,000 test images, by the classifier of `shapes` that ships with
the package. Asked of each: Frechet distance below a twentieth of that at step 0, score above 5 (of 10), at least 9 of
10 classes above 2 %, and of conditional variants the asked class seen in at least 85 %.
`python -m tfgan_suite.fit --list-presets` says how long each takes.

"""


def run_of(name: str, seed: int) -> Path:
    return RUNS / f"{name}-seed{seed}"


def train(name: str, seed: int) -> None:
    run = run_of(name, seed)
    if (run / "export").exists():
        return
    command = [sys.executable, "-m", "tfgan_suite.fit"]
    if (run / "config.json").exists():
        command += ["--resume", str(run)]
    else:
        every = str(PRESETS[name].config.steps)
        command += ["--preset", name, "--seed", str(seed), "--evaluate-every", every, "--run-dir", str(run)]
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    print(f"{name}, seed {seed} ...", flush=True)
    result = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{name}, seed {seed}: {result.stderr[-2000:]}")
    print(f"{name}, seed {seed}: {scores_of(name, seed)}", flush=True)


def scores_of(name: str, seed: int) -> dict[str, float]:
    """What is asked for, from the run's `metrics.jsonl`."""
    run = run_of(name, seed)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["reference"] != "shapes:selection"]
    at = {(line["metric"], line["step"]): line["value"] for line in lines}
    last = lines[-1]["step"]
    final = at["frechet_classifier_distance", last]
    return {
        "ratio": final / at["frechet_classifier_distance", 0],
        "frechet": final,
        "score": at["classifier_score", last],
        "classes": sum(fraction > CLASS_COUNTS_FROM for fraction in lines[-1]["class_fractions"].values()),
        "asked": at.get(("asked_class_fraction", last), float("nan")),
    }


def holds(name: str, scores: dict[str, float]) -> bool:
    """Whether a run did all that is asked, or, of an exception, its own part of it."""
    if name in EXCEPTIONS:
        return scores["ratio"] < EXCEPTIONS[name][0]
    return (
        scores["ratio"] < LARGEST_RATIO
        and scores["score"] > SMALLEST_SCORE
        and scores["classes"] >= FEWEST_CLASSES
        and not scores["asked"] < SMALLEST_ASKED
    )


def table(finished: list[tuple[str, int]]) -> str:
    head = (
        "| preset | seed | Frechet distance / step 0 | Frechet distance | score | classes above 2 % | asked class seen "
        "| all held |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    rows = []
    for name, seed in finished:
        s = scores_of(name, seed)
        asked = "" if np.isnan(s["asked"]) else f"{s['asked']:.1%}"
        rows.append(
            f"| `{name}` | {seed} | {s['ratio']:.4f} | {s['frechet']:.1f} | {s['score']:.2f} | {s['classes']} "
            f"| {asked} | {'**no**' if name in EXCEPTIONS or not holds(name, s) else 'yes'} |\n"
        )
    return head + "".join(rows)


def picture(name: str, seeds: list[int]) -> None:
    """The first rows of each seed's last sample grid, side by side."""
    parts = []
    for seed in seeds:
        grid = Image.open(sorted((run_of(name, seed) / "samples").glob("*.png"))[-1], formats=("PNG",))
        side = PRESETS[name].config.image_size + 2
        parts += [np.asarray(grid.crop((0, 0, grid.width, 2 + ROWS * side))), np.full((2 + ROWS * side, 6, 3), 255)]
    path = HERE / "zoo" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(parts[:-1], axis=1).astype(np.uint8)).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    jobs = [(name, seed) for seed in arguments.seeds for name in arguments.only]
    with concurrent.futures.ThreadPoolExecutor(arguments.workers) as pool:
        for done in [pool.submit(train, *job) for job in jobs]:
            done.result()
    finished = [(name, seed) for name in NAMES for seed in arguments.seeds if (run_of(name, seed) / "export").exists()]
    for name in dict(finished):
        picture(name, [seed for other, seed in finished if other == name])
    config = json.loads((run_of(*finished[0]) / "config.json").read_text())
    versions = ", ".join(f"{package} {config['versions'][package]}" for package in ("tensorflow", "keras"))
    text = INTRODUCTION.format(machine=platform.machine(), versions=versions) + table(finished)
    for name, (ratio, why) in EXCEPTIONS.items():
        text += f"\n`{name}` is held to a ratio of {ratio} instead: {why}\n"
    for name in dict(finished):
        seeds = ", ".join(str(seed) for other, seed in finished if other == name)
        text += f"\n`{name}`, seeds {seeds}:\n\n![samples of {name}](zoo/{name}.png)\n"
    (HERE / "zoo.md").write_text(text)


if __name__ == "__main__":
    main()
