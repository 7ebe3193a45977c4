"""Folders of runs as training leaves them, written at once: for tests of what reads them."""

import json
import math

import numpy as np
from PIL import Image

from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import RunFolder

MACHINE = {"processor": "x86_64", "cores": 2, "gpus": []}
HOW = {
    "spread": None, "spread_is": None, "at_half": None, "extrapolated": None, "parameters": {}, "num_generated": 500,
    "num_real": None, "splits": 1, "order": "as generated", "shuffle_seed": None, "classifier": "shapes",
    "classifier_fingerprint": "c0ffee", "resize": "none", "values": "x / 127.5 - 1", "quantisation": "uint8",
    "weights": "ema", "latent_seed": 1000003, "labels": None, "source_fingerprint": None, "image_size": 32,
    "reference": None, "reference_fingerprint": None, "reference_shuffle_seed": None,
    "dtype": "float64 from float32 features", "class_fractions": None, "seconds": 1.5,
    "versions": {"tfgan_suite": "0.1.0"},
}  # fmt: skip
TEST = {"reference": "shapes:test", "reference_fingerprint": "7e57", "num_real": 10000}
SELECTION = {"reference": "shapes:selection", "reference_fingerprint": "5e1", "num_real": 5000}


def score(metric, value, step, **fields):
    """A line of `metrics.jsonl` with its whole protocol."""
    return {**HOW, "metric": metric, "value": value, "step": step, "images_seen": step * 64, "source": "run", **fields}


def scores(step, classifier_score, distance, selection=None, **fields):
    """What a run writes of one step: the score, the distance to the test split, and that to the selection split."""
    lines = [score("classifier_score", classifier_score, step, **fields)]
    lines.append(score("frechet_classifier_distance", distance, step, **{**TEST, **fields}))
    if selection is not None:
        lines.append(score("frechet_classifier_distance", selection, step, **{**SELECTION, **fields}))
    return lines


def log_lines(steps, every=10, seconds_per_step=0.1, **more):
    """Lines of `log.jsonl`; `more` are functions of the step by name."""
    named = {"d_loss": lambda step: 1 + 1 / step, "g_loss": lambda step: math.sin(step / 30),
             "d_gradient_norm": lambda step: 50.0 if step == 10 * every else 2.0, "g_gradient_norm": lambda step: 1.0,
             "d_real": lambda step: 0.6, "d_fake": lambda step: 0.4, **more}  # fmt: skip
    return [
        {"step": step, "images_seen": step * 64, "seconds": step * seconds_per_step}
        | {name: function(step) for name, function in named.items()}
        for step in range(every, steps + 1, every)
    ]


def write_lines(path, lines):
    """JSON lines; a string stands as it is."""
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def write_run(
    path, *, log=None, metrics=(), evaluation=None, picture=True, class_names=("circle",), settings=None, **fields
):
    """A run folder; `fields` are those of its configuration, and `settings` stand in their place, if given."""
    fields = {"variant": "dcgan", "steps": 200, "loss": "non_saturating", **fields}
    run = RunFolder(path)
    run.make_folders()
    record = {"config": settings or Config(**fields).as_dict(), "dataset_fingerprint": "da7a", "machine": MACHINE,
              "class_names": list(class_names), "versions": HOW["versions"]}  # fmt: skip
    run.config_file.write_text(json.dumps(record))
    write_lines(run.log, log_lines(fields["steps"]) if log is None else log)
    write_lines(run.metrics, metrics)
    if evaluation is not None:
        write_lines(path / "evaluation.jsonl", evaluation)
    arrays = {
        "generator/dense/kernel": np.zeros((3, 4), np.float32),
        "generator_optimizer/generator_adam/dense_kernel_momentum": np.zeros((3, 4), np.float32),
        "generator_optimizer/generator_adam/dense_kernel_velocity": np.zeros((3, 4), np.float32),
        "discriminator_optimizer/discriminator_adam/dense_kernel_velocity": np.zeros((5,), np.float32),
    }
    checkpoints.save(run.checkpoints, fields["steps"], arrays, keep=3)
    if picture:
        pixels = np.random.default_rng(fields.get("seed", 0)).integers(0, 256, (34, 68, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(run.sample_grid(fields["steps"]))
    return path


def write_several(place):
    """Two configurations of two seeds under one protocol, one run under another, and one that is not finished."""
    for seed in (0, 1):
        metrics = [*scores(100, 5 + seed, 40 + seed, 30), *scores(200, 6 + seed, 50 + seed, 35)]
        write_run(place / f"dcgan-{seed}", seed=seed, metrics=metrics)
        log = log_lines(200, gradient_penalty=lambda step: 0.1, d_real=lambda step: 40.0)
        metrics = scores(200, 8 + seed, 20 + seed, 15)
        write_run(place / f"wgan-{seed}", seed=seed, variant="wgan_gp", loss="wasserstein", metrics=metrics, log=log)
    write_run(place / "few-images", seed=2, num_images=400, metrics=scores(200, 9.5, 10, 9, num_generated=400))
    write_run(place / "unfinished", seed=3, log=log_lines(90), metrics=scores(50, 2, 300, 290), picture=False)
    return place
