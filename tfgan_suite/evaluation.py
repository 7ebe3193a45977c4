"""Score a generator with a classifier, every number with its whole protocol."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from data_tools.images import LabelledImages
from tfgan_suite import metrics, run_folder
from tfgan_suite.classifier import Classifier
from tfgan_suite.errors import UsageError
from tfgan_suite.sampling import Sampler

LATENT_SEED = 1_000_003  # of evaluation; the sample grid uses another


@dataclasses.dataclass(frozen=True)
class Reference:
    """Features of the real images that a run is compared with."""

    features: np.ndarray
    name: str
    class_names: tuple[str, ...]


def reference(classifier: Classifier, data: LabelledImages, name: str) -> Reference:
    """Features of all of `data`; `name` is its `dataset:split`."""
    return Reference(classifier(data.images)[1], name, tuple(data.class_names))


def score(
    sampler: Sampler, classifier: Classifier, real: Reference, *, num_images: int, step: int, images_seen: int
) -> list[dict[str, Any]]:
    """Lines for `metrics.jsonl`: classifier score, Frechet distance to `real`, and the fractions of the classes; of a
    conditional generator also how many images are of the class that was asked for, where the classifier knows the
    classes of the data.

    Exactly `num_images` images are made from fixed latents with the averaged weights, rounded to uint8 as a saved
    picture would be, and fed to the classifier.

    Raises:
        UsageError: for fewer than two images.
    """
    if num_images < 2:
        raise UsageError(f"a score needs 2 images or more. Received: num_images={num_images}")
    began = time.monotonic()
    logits, features = classifier(sampler.images(num_images, LATENT_SEED))
    value, _ = metrics.classifier_score(logits)
    fractions = metrics.class_fractions(logits)
    results = [
        {"metric": "classifier_score", "value": value},
        {
            "metric": "frechet_classifier_distance",
            "value": metrics.frechet_classifier_distance(features, real.features),
        },
        {"metric": "smallest_class_fraction", "value": float(fractions.min())},
    ]
    if sampler.conditional and classifier.class_names == real.class_names:
        asked = sampler.labels(num_images, LATENT_SEED)
        results.append({"metric": "asked_class_fraction", "value": metrics.asked_class_fraction(logits, asked)})
    protocol = {
        "spread": None,
        "spread_is": None,
        "num_generated": num_images,
        "num_real": len(real.features),
        "splits": 1,
        "order": "as generated",
        "classifier": classifier.name,
        "classifier_fingerprint": classifier.fingerprint,
        "resize": "none" if sampler.image_size == classifier.image_size else "bilinear, antialiased",
        "values": "x / 127.5 - 1",
        "quantisation": "uint8",
        "weights": "ema",
        "latent_seed": LATENT_SEED,
        "labels": "uniform" if sampler.conditional else None,
        "shuffle_seed": None,
        "reference": real.name,
        "dtype": "float64 from float32 features",
        "class_fractions": dict(zip(classifier.class_names, fractions.tolist(), strict=True)),
        "step": step,
        "images_seen": images_seen,
        "seconds": time.monotonic() - began,
        "versions": run_folder.versions(),
    }
    return [{**result, **protocol} for result in results]
