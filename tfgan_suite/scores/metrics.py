"""The metrics: from what one pass gathered to results. `METRICS` lists them, and nothing else does.

A metric is one function from `Scored` to results, and its line in the table. The pure functions behind it stand in
`feature_metrics` and `picture_metrics`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.errors import UsageError
from tfgan_suite.images.sources import Source
from tfgan_suite.networks.scoring_network import ScoringNetwork
from tfgan_suite.scores import feature_metrics, memorisation, picture_metrics
from tfgan_suite.scores.feature_metrics import KERNEL_PROTOCOLS
from tfgan_suite.scores.gathering import Needs, Statistics
from tfgan_suite.scores.moments import Moments, squared_frechet_distance
from tfgan_suite.scores.references import Reference

Result = dict[str, Any]
DEFAULT = ("score", "frechet", "classes")  # measured if nobody says; those that compare, if there is a reference


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be measured, and how.

    Attributes:
        num_images: exactly so many images of the source are scored, 2 or more.
        metrics: keys of `METRICS`.
        splits: of the classifier score.
        kernel_protocol: a key of `feature_metrics.KERNEL_PROTOCOLS`.
        seed: of subsets of images, pairs and projections.
        tfgan: with its Inception, what TF-GAN's own functions give, too, for which all outputs are kept in memory.
        training: for `memorisation`, the images that the generator was trained on.
        picture: for `memorisation`, where the picture of the nearest neighbours goes.
    """

    num_images: int
    metrics: tuple[str, ...] = DEFAULT
    splits: int = 10
    kernel_protocol: str = "subsets"
    seed: int = 0
    tfgan: bool = True
    training: Source | None = None
    picture: Path | None = None

    def __post_init__(self) -> None:
        if self.num_images < 2:
            raise UsageError(f"a score needs 2 images or more. Received: --num-images {self.num_images}")
        if not 1 <= self.splits <= self.num_images:
            raise UsageError(
                f"--splits must be from 1 to the number of images, {self.num_images}. Received: {self.splits}"
            )
        if "score" in self.metrics and self.num_images // self.splits < 2:
            raise UsageError(
                f"{self.num_images} images in {self.splits} splits leave a split with one image, whose score is 1 "
                f"whatever it shows: more --num-images or fewer --splits"
            )
        subset = KERNEL_PROTOCOLS[self.kernel_protocol].size
        if "kernel" in self.metrics and self.kernel_protocol == "subsets" and self.num_images < subset:
            raise UsageError(
                f"subsets of {subset} images cannot be drawn from {self.num_images}: more --num-images, or "
                f"--kernel-protocol blocks"
            )


@dataclasses.dataclass(frozen=True)
class Scored:
    """What a metric works on: `generated` of `source` by `network`, `real` to compare with, and the `request`."""

    generated: Statistics
    real: Reference | None
    request: Request
    network: ScoringNetwork
    source: Source

    def reference(self) -> Statistics:
        """Raises UsageError without a reference."""
        if self.real is None:
            raise UsageError("metrics that compare need --reference dataset:split, pictures or stored statistics")
        return self.real.statistics


@dataclasses.dataclass(frozen=True)
class Metric:
    """An entry of `METRICS`.

    Attributes:
        measure: from `Scored` to results, dicts with `metric` and `value`, and what differs from `scoring.PLAIN`.
        about: one line for people.
        uses: the outputs of the network that it needs.
        needs: what has to be gathered of the images, and of the reference.
        compares: whether there must be a reference.
        may_compare: whether it measures more if there is one; such results say `"compared": True`.
    """

    measure: Callable[[Scored], list[Result]]
    about: str
    uses: tuple[str, ...]
    needs: Needs = dataclasses.field(default_factory=Needs)
    compares: bool = True
    may_compare: bool = False


def _score(scored: Scored) -> list[Result]:
    value, spread = scored.generated.score_sums.value()
    line = {"metric": "classifier_score", "value": value}
    if scored.request.splits > 1:
        line |= {"spread": spread, "spread_is": "population standard deviation over the splits"}
    return [line]


def _frechet(scored: Scored) -> list[Result]:
    real = scored.reference().moments
    return [{"metric": "frechet_classifier_distance", **_with_half(scored.generated, real)}]


def _with_half(generated: Statistics, real: Moments) -> dict[str, Any]:
    value = squared_frechet_distance(generated.moments, real)
    halves = generated.halves or []
    if min(half.count for half in halves) < 2:
        return {"value": value}
    at_half = float(np.mean([squared_frechet_distance(half, real) for half in halves]))
    return {"value": value, "at_half": at_half, "extrapolated": feature_metrics.extrapolated(value, at_half)}


def _per_class(scored: Scored) -> list[Result]:
    names, real = scored.source.class_names, scored.reference()
    theirs = real.by_class
    reference = [theirs[label] for label in _reference_order(names, scored.real.class_names if scored.real else ())]
    own = scored.generated.by_class
    counts = {name: [mine.count, their.count] for name, mine, their in zip(names, own, reference, strict=True)}
    few = [f"{name} ({mine} and {their})" for name, (mine, their) in counts.items() if min(mine, their) < 2]
    if few:
        raise UsageError(
            f"the distance per class needs 2 images or more of each class, generated and real. Received: "
            f"{', '.join(few[:5])}: more --num-images, or leave it out"
        )
    values = [squared_frechet_distance(mine, their) for mine, their in zip(own, reference, strict=True)]
    halves = scored.generated.class_halves
    line: dict[str, Any] = {"value": float(np.mean(values))}
    if min(half.count for pair in halves for half in pair) >= 2:
        distances = [
            squared_frechet_distance(half, their)
            for pair, their in zip(halves, reference, strict=True)
            for half in pair
        ]
        line["at_half"] = float(np.mean(distances))
        line["extrapolated"] = feature_metrics.extrapolated(line["value"], line["at_half"])
    return [
        {
            "metric": "frechet_classifier_distance_per_class",
            **line,
            "spread": float(np.std(values)),
            "spread_is": "population standard deviation over the classes",
            "parameters": {"classes": dict(zip(names, values, strict=True)), "counts": counts},
        }
    ]


def _reference_order(names: tuple[str, ...], theirs: tuple[str, ...]) -> np.ndarray:
    """`class_order`; raises UsageError if these are not the same classes."""
    order = class_order(names, theirs)
    if order is None:
        raise UsageError(
            f"the distance per class needs images and a reference with the same classes. Received: "
            f"{_some(names)} and {_some(theirs)}"
        )
    return order


def class_order(names: tuple[str, ...], others: tuple[str, ...]) -> np.ndarray | None:
    """Where each of `names` stands in `others`, int [classes]; None if these are not the same classes."""
    if not names or set(names) != set(others) or len(names) != len(others):
        return None
    return np.array([others.index(name) for name in names])


def _kernel(scored: Scored) -> list[Result]:
    features, real = scored.generated.kept("pool_3"), scored.reference().kept("pool_3")
    kind = KERNEL_PROTOCOLS[scored.request.kernel_protocol]
    given: dict[str, Any] = {"protocol": scored.request.kernel_protocol, "subset_size": kind.size}
    given["seed"] = scored.request.seed
    value, spread = feature_metrics.kernel_classifier_distance(features, real, **given)
    spread_is = kind.spread_is if spread is not None else None
    return [
        {
            "metric": "kernel_classifier_distance",
            "value": value,
            "spread": spread,
            "spread_is": spread_is,
            "parameters": given,
        }
    ]


def _precision_recall(scored: Scored) -> list[Result]:
    values = feature_metrics.precision_recall(scored.generated.kept("pool_3"), scored.reference().kept("pool_3"), k=3)
    names = ("precision", "recall")
    return [{"metric": name, "value": value, "parameters": {"k": 3}} for name, value in zip(names, values, strict=True)]


def _density_coverage(scored: Scored) -> list[Result]:
    values = feature_metrics.density_coverage(scored.generated.kept("pool_3"), scored.reference().kept("pool_3"), k=5)
    names = ("density", "coverage")
    return [{"metric": name, "value": value, "parameters": {"k": 5}} for name, value in zip(names, values, strict=True)]


def _classes(scored: Scored) -> list[Result]:
    counts = scored.generated.class_counts
    fractions = counts / counts.sum()
    lines = [
        {"metric": "class_coverage", "value": feature_metrics.class_coverage(fractions), "parameters": {"share": 0.2}},
        {"metric": "smallest_class_fraction", "value": float(fractions.min())},
    ]
    real = scored.real.statistics.histogram if scored.real is not None else None
    if real is not None:
        value = feature_metrics.class_histogram_divergence(counts, real)
        lines.append({"metric": "class_histogram_kl", "value": value, "compared": True})
    if scored.generated.labelled:
        value = scored.generated.asked / scored.generated.labelled
        lines.append({"metric": "asked_class_fraction", "value": value})
    return lines


def _ms_ssim(scored: Scored) -> list[Result]:
    images, pairs = scored.generated.kept("images"), 1000
    given: dict[str, Any] = {"scales": picture_metrics.ms_ssim_scales(images.shape[1]), "window": 11}
    given |= {"seed": scored.request.seed, "images": len(images)}
    is_spread = "population standard deviation over the pairs"
    value, spread = picture_metrics.mean_ms_ssim(images, pairs, scored.request.seed)
    lines = [{"metric": "ms_ssim", "value": value, "parameters": {**given, "pairs": pairs}}]
    lines[0] |= {"spread": spread, "spread_is": is_spread}
    if scored.source.class_names:
        labels = scored.generated.kept("labels")
        counts = np.bincount(labels, minlength=len(scored.source.class_names))
        usable = np.flatnonzero(counts >= 2)
        if len(usable):
            each = [picture_metrics.mean_ms_ssim(images[labels == c], 100, scored.request.seed)[0] for c in usable]
            left_out = [name for name, count in zip(scored.source.class_names, counts, strict=True) if count < 2]
            lines.append(
                {
                    "metric": "ms_ssim_within_classes",
                    "value": float(np.mean(each)),
                    "spread": float(np.std(each)),
                    "spread_is": "population standard deviation over the classes",
                    "parameters": {**given, "pairs": 100, "classes_left_out": left_out},
                }
            )
    return lines


def _sliced_wasserstein(scored: Scored) -> list[Result]:
    images, real = scored.generated.kept("images"), scored.reference().kept("images")
    count = min(len(images), len(real))
    found = picture_metrics.sliced_wasserstein(images[:count], real[:count], seed=scored.request.seed)
    given = {"images": count, "patches": 64, "directions": 128, "repeats": 4, "seed": scored.request.seed}
    average = found.pop("average")
    return [{"metric": "sliced_wasserstein", "value": average, "parameters": {**given, "levels": found}}]


def _memorisation(scored: Scored) -> list[Result]:
    request = scored.request
    if request.training is None or request.picture is None:
        raise UsageError("memorisation compares with the training images: give --training dataset:split")
    images = scored.generated.kept("images")
    value, about = memorisation.check(images, request.training, scored.network, request.picture)
    return [{"metric": "authenticity", "value": value, "parameters": about}]


_OUTPUTS = Needs(outputs=True)
_LOGITS, _FEATURES = ("logits",), ("pool_3",)
METRICS = {
    "score": Metric(_score, "classifier score (Inception score), mean over the splits", _LOGITS, compares=False),
    "frechet": Metric(_frechet, "Frechet distance (FID), at N/2 and extrapolated too", _FEATURES),
    "kernel": Metric(_kernel, "kernel distance (KID)", _FEATURES, _OUTPUTS),
    "precision_recall": Metric(_precision_recall, "improved precision and recall, k = 3", _FEATURES, _OUTPUTS),
    "density_coverage": Metric(_density_coverage, "density and coverage, k = 5", _FEATURES, _OUTPUTS),
    "per_class": Metric(_per_class, "Frechet distance of each class and their mean", _FEATURES, Needs(per_class=True)),
    "classes": Metric(_classes, "coverage and histogram of the classes", _LOGITS, compares=False, may_compare=True),
    "ms_ssim": Metric(_ms_ssim, "similarity of pairs, over all and within classes", (), Needs(pictures=True), False),
    "sliced_wasserstein": Metric(_sliced_wasserstein, "distance between patches", (), Needs(pictures=True)),
    "memorisation": Metric(_memorisation, "copies of training images", _FEATURES, Needs(pictures=True), False),
}


def check(source: Source, network: ScoringNetwork, real: Reference | None, request: Request) -> None:
    """Refuse before the pass over the images what cannot be measured after it.

    Raises:
        UsageError: for fewer images than asked for, or a metric whose outputs, reference or classes are missing.
    """
    source.require(request.num_images)
    for name in request.metrics:
        metric = METRICS[name]
        missing = [output for output in metric.uses if output not in network.outputs]
        if missing:
            raise UsageError(
                f"{network.name} does not give {', '.join(missing)}, which the metric {name} needs: "
                f"choose other --metrics"
            )
        if metric.compares and real is None:
            raise UsageError(f"the metric {name} compares: give --reference dataset:split, pictures or statistics")
        if real is None or not metric.compares:
            continue
        if metric.needs.outputs and not real.has_features:
            raise UsageError(
                f"the metric {name} compares features of single images, and {real.name} has none: give images instead"
            )
        if metric.needs.pictures and not real.has_pictures:
            raise UsageError(f"the metric {name} compares pictures, and {real.name} has none: give images instead")
        if metric.needs.per_class:
            _reference_order(source.class_names, real.class_names)
        if "pool_3" in metric.uses:
            size = source.image_size
            columns = network(np.zeros((1, size, size, 3), np.uint8))["pool_3"].shape[1]
            if columns != real.statistics.dimension:
                raise UsageError(
                    f"the features of {network.name} have {columns} columns, those of {real.name} "
                    f"{real.statistics.dimension}: they are of another network"
                )


def _some(names: tuple[str, ...]) -> str:
    return "no classes" if not names else ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
