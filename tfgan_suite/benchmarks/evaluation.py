"""How fast scores come: the Frechet distance beside TF-GAN's and SciPy's, a pass beside the bare network, memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfgan_suite.benchmarks import Row, interleaved, ratio
from tfgan_suite.scores.moments import Moments, squared_frechet_distance

_DIMENSION = 2048
_PEAK = """
import re, sys
import numpy as np
from pathlib import Path
from data_tools.images import LabelledImages
from tfgan_suite.images.sources import GeneratorSource, ArraySource
from tfgan_suite.networks import scoring_network
from tfgan_suite.scores.gathering import Needs
from tfgan_suite.scores.metrics import Request
from tfgan_suite.scores.references import reference_of
from tfgan_suite.scores.scoring import score
import tensorflow as tf
network = scoring_network.load("shapes")
made = lambda latents, labels: tf.tanh(tf.random.stateless_normal((len(latents), 32, 32, 3), [1, 2]))
source = GeneratorSource(made, name="g", image_size=32, latent_dim=8)
noise = np.random.default_rng(0).integers(0, 256, (500, 32, 32, 3), dtype=np.uint8)
real = ArraySource(LabelledImages(noise, np.zeros(500, np.int32), ("noise",)), "noise", shuffle_seed=None)
real = reference_of(real, network, Needs(), cache=Path(sys.argv[2]))
score(source, network, real, Request(int(sys.argv[1]), ("score", "frechet")))
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""  # Linux; getrusage would give the parent's peak if that was higher


def run(quick: bool) -> list[Row]:
    """Measure.

    Args:
        quick: fewer images and repetitions; for a test that everything runs.
    """
    with tempfile.TemporaryDirectory(prefix="tfgan-benchmark-") as scratch:
        return [*frechet(quick), *throughput(quick), *memory(Path(scratch), quick)]


def frechet(quick: bool) -> list[Row]:
    """The distance at 2,048 dimensions, of moments that are there, beside TF-GAN's and SciPy's square roots."""
    from tfgan_suite.scores import tfgan

    dimension, repeats = (256, 1) if quick else (_DIMENSION, 3)
    random = np.random.default_rng(0)
    scales = np.linspace(2, 0.01, dimension)  # features of a network have such a spectrum, not a flat one
    one = random.normal(size=(2 * dimension, dimension)) * scales
    other = random.normal(size=(2 * dimension, dimension)) * scales * 1.1 + 0.05
    moments = Moments.of(one), Moments.of(other)
    for each in moments:
        each.root  # noqa: B018  folded in, as after a pass
    functions: dict[str, Callable[[], float]] = {
        "ours": _seconds(lambda: squared_frechet_distance(*moments)),
        "ours, from mu and sigma": _seconds(lambda: squared_frechet_distance(*(
            Moments.from_covariance(each.count, each.mean, each.covariance) for each in moments))),
        "tfgan": _seconds(lambda: tfgan.frechet_distance(one, other)),
    }  # fmt: skip
    scipy = _scipy_distance()
    if scipy is not None:
        functions["scipy"] = _seconds(lambda: scipy(one, other))
    seconds = interleaved(functions, repeats)
    name = f"Frechet distance, {dimension} dimensions"
    rows = [Row(name, float(np.median(seconds["ours"])), "s", at_most=None if quick else 3.0, repeats=repeats)]
    rows += [
        Row(f"{name}, {other_name}", float(np.median(seconds[key])), "s", repeats=repeats)
        for key, other_name in (
            ("ours, from mu and sigma", "from mu and sigma"),
            ("tfgan", "TF-GAN's function"),
            ("scipy", "scipy.linalg.sqrtm"),
        )
        if key in seconds
    ]
    return [*rows, *(Row(f"{name}: {key} / ours", ratio(seconds, key, "ours"), "x") for key in ("tfgan", "scipy")
                     if key in seconds)]  # fmt: skip


def throughput(quick: bool) -> list[Row]:
    """Images per second of an evaluation beside those of the network alone, of Inception's size and layers.

    The passes that are compared are too short to fold features into means and covariances, so what that costs is
    measured by itself, and counted in full, though it goes on beside the network's work on the next batch.
    """
    import keras

    from data_tools.images import LabelledImages
    from tfgan_suite.images.sources import ArraySource
    from tfgan_suite.networks.scoring_network import of_keras_model
    from tfgan_suite.scores.gathering import BATCH, Needs, gather

    keras.utils.set_random_seed(0)
    base = keras.applications.InceptionV3(weights=None, include_top=False, pooling="avg", input_shape=(299, 299, 3))
    logits = keras.layers.Dense(1008)(base.output)
    network = of_keras_model(keras.Model(base.input, {"logits": logits, "pool_3": base.output}), name="inception-v3")
    count, repeats = (32, 1) if quick else (256, 5)

    def source(size: int) -> ArraySource:
        images = np.random.default_rng(0).integers(0, 256, (size, 32, 32, 3), dtype=np.uint8)
        return ArraySource(LabelledImages(images, np.zeros(size, np.int32), ("a",)), "noise", shuffle_seed=0)

    images = source(count)

    def bare() -> None:
        for batch, _ in images.batches(count, BATCH):
            outputs = network(batch)
        outputs["logits"].numpy()

    def whole() -> None:
        gather(images, network, count, Needs(outputs=True))

    functions = {"bare": _rate(bare, count), "evaluation": _rate(whole, count)}
    for function in functions.values():
        function()  # warm
    rates = interleaved(functions, repeats)
    many = 64 if quick else 3 * 2 * _DIMENSION  # enough to fold in each half three times
    large = source(many)
    random = np.random.default_rng(1)
    ready = {
        "logits": random.normal(size=(BATCH, 1008)).astype(np.float32),
        "pool_3": random.normal(size=(BATCH, _DIMENSION)).astype(np.float32),
    }

    def statistics() -> None:
        found = gather(large, lambda batch: {name: rows[: len(batch)] for name, rows in ready.items()}, many, Needs())
        found.moments.root  # noqa: B018  all folded in

    own = float(np.median(interleaved({"own": _seconds(statistics)}, 1 if quick else 3)["own"])) / many
    alone = float(np.median(rates["bare"]))
    bound = None if quick else 0.95
    return [
        Row("InceptionV3 at 299, untrained, alone", alone, "images/s", repeats=repeats),
        Row("a pass of the evaluation with it", float(np.median(rates["evaluation"])), "images/s", repeats=repeats),
        Row("evaluation / bare network", ratio(rates, "evaluation", "bare"), "x", at_least=bound, repeats=repeats),
        Row("means, covariances and scores of 2,048 + 1,008 outputs", 1000 * own, "ms/image", repeats=3),
        Row("evaluation / bare network, if nothing overlapped", 1 / (1 + own * alone), "x", at_least=bound),
    ]


def memory(place: Path, quick: bool) -> list[Row]:
    """Peak memory of score and Frechet distance at two numbers of generated images."""
    counts = (200, 400) if quick else (5_000, 50_000)
    peaks = []
    for count in counts:
        command = [sys.executable, "-c", _PEAK, str(count), str(place)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(result.stdout.split()[-1]) / 1024)
    names = [f"peak memory, score and Frechet distance of {count:,} images" for count in counts]
    rows = [Row(name, peak, "MB") for name, peak in zip(names, peaks, strict=True)]
    return [*rows, Row("peak memory, more / fewer images", peaks[1] / peaks[0], "x", at_most=1.05)]


def _scipy_distance() -> Callable[[np.ndarray, np.ndarray], float] | None:
    """The distance by SciPy's matrix square root, as most tools compute it; None where SciPy is not installed."""
    try:
        from scipy import linalg
    except ImportError:
        return None

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        sigma, other_sigma = np.cov(one.T), np.cov(other.T)
        root = linalg.sqrtm(sigma @ other_sigma)
        between = ((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
        return float(between + np.trace(sigma + other_sigma - 2 * root.real))

    return distance


def _seconds(function: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        began = time.perf_counter()
        function()
        return time.perf_counter() - began

    return measure


def _rate(function: Callable[[], object], count: int) -> Callable[[], float]:
    seconds = _seconds(function)
    return lambda: count / seconds()
