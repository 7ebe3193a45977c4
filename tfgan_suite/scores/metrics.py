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
from tfgan_suite.scores.gathering import Needs, Statistics, require_same_classes
from tfgan_suite.scores.moments import Moments, frechet_influences, squared_frechet_distance
from tfgan_suite.scores.references import Reference

Result = dict[str, Any]
FRECHET_ERROR = (
    "standard error over draws of the scored images, the reference held fixed: infinitesimal jackknife, up to 1.5 "
    "times too large where the distance is nearly all bias"
)
KERNEL_ERROR = (
    "standard error over draws of the scored images and of subsets, the reference held fixed: Hoeffding's decomposition"
)
DEFAULT = ("score", "frechet", "classes")  # measured if nobody says; those that compare, if there is a reference


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be measured, and how.

    Attributes:
        num_images: exactly so many images of the source are scored, 2 or more.
        metrics: keys of `METRICS`.
        splits: of the classifier score.
        kernel_protocol: a key of `feature_metrics.KERNEL_PROTOCOLS`.
        seed: of halves and subsets of images, pairs and projections.
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
        smallest: pixels per side that images must have.
    """

    measure: Callable[[Scored], list[Result]]
    about: str
    uses: tuple[str, ...]
    needs: Needs = dataclasses.field(default_factory=Needs)
    compares: bool = True
    may_compare: bool = False
    smallest: int = 1


def _score(scored: Scored) -> list[Result]:
    value, spread = scored.generated.score_sums.value()
    line = {"metric": "classifier_score", "value": value}
    if scored.request.splits > 1:
        line |= {"spread": spread, "spread_is": "population standard deviation over the splits"}
    return [line]


def _frechet(scored: Scored) -> list[Result]:
    generated = scored.generated
    found = _distances(generated.halves or [], scored.reference().moments, generated, np.s_[:])
    return [{"metric": "frechet_classifier_distance", **found}]


def _distances(halves: list[Moments], real: Moments, generated: Statistics, chosen: Any) -> dict[str, Any]:
    """The distance of images whose halves have these moments, at half as many, and extrapolated, with their errors.

    Args:
        chosen: which of `generated.sample` are of these images.
    """
    rows, second = (part[chosen] for part in generated.sample[:2])
    whole, error = halves[0].merge(halves[1]), feature_metrics.standard_error
    value, of_whole = squared_frechet_distance(whole, real), frechet_influences(whole, real, rows)
    found = _with_error(value, error(of_whole, np.zeros(len(rows)), whole.count), FRECHET_ERROR)
    if min(half.count for half in halves) < 2:
        return found
    at_half, of_halves = [], np.empty(len(rows))
    for number, half in enumerate(halves):
        at_half.append(squared_frechet_distance(half, real))
        of_halves[second == number] = frechet_influences(half, real, rows[second == number])
    middle = float(np.mean(at_half))
    return {
        **found,
        "at_half": middle,
        "at_half_error": error(of_halves, second, whole.count),
        "extrapolated": feature_metrics.extrapolated(value, middle),
        "extrapolated_error": error(2 * of_whole - of_halves, second, whole.count),
        "half_seed": generated.half_seed,
    }


def _with_error(value: float, error: float | None, error_is: str) -> dict[str, Any]:
    return {"value": value, "error": error, "error_is": None if error is None else error_is}


def _per_class(scored: Scored) -> list[Result]:
    names, real = scored.source.class_names, scored.reference()
    theirs = real.by_class
    reference = [theirs[label] for label in require_same_classes(names, scored.real.class_names if scored.real else ())]
    halves, labels = scored.generated.class_halves, scored.generated.sample[2]
    found = [
        _distances(pair, their, scored.generated, labels == label)
        for label, (pair, their) in enumerate(zip(halves, reference, strict=True))
    ]
    counts = {
        name: [mine.count, their.count]
        for name, mine, their in zip(names, scored.generated.by_class, reference, strict=True)
    }
    values = [each["value"] for each in found]
    line = {
        "metric": "frechet_classifier_distance_per_class",
        **_with_error(float(np.mean(values)), _error_of_mean(found, "error"), FRECHET_ERROR),
        "spread": float(np.std(values)),
        "spread_is": "population standard deviation over the classes",
        "parameters": {
            "classes": dict(zip(names, values, strict=True)),
            "class_errors": {name: each.get("error") for name, each in zip(names, found, strict=True)},
            "counts": counts,
        },
    }
    if all("at_half" in each for each in found):
        line["half_seed"] = scored.generated.half_seed
        for name in ("at_half", "extrapolated"):
            line[name] = float(np.mean([each[name] for each in found]))
            line[f"{name}_error"] = _error_of_mean(found, f"{name}_error")
    return [line]


def _error_of_mean(found: list[dict[str, Any]], name: str) -> float | None:
    """Of the mean of numbers with these errors, which are independent."""
    errors = [each[name] for each in found if each.get(name) is not None]
    return float(np.sqrt(np.sum(np.square(errors))) / len(found)) if len(errors) == len(found) else None


def _kernel(scored: Scored) -> list[Result]:
    return [{"metric": "kernel_classifier_distance", **kernel_result(scored, scored.request.kernel_protocol)}]


def kernel_result(scored: Scored, protocol: str) -> dict[str, Any]:
    """The kernel distance by one of `KERNEL_PROTOCOLS`, with its error."""
    features, real = scored.generated.kept("pool_3"), scored.reference().kept("pool_3")
    kind = KERNEL_PROTOCOLS[protocol]
    given: dict[str, Any] = {"protocol": protocol, "subset_size": kind.size}
    given["seed"] = scored.request.seed if kind.seed is None else kind.seed
    found = feature_metrics.kernel_classifier_distance(features, real, **given)
    return {
        **_with_error(found.value, found.error, KERNEL_ERROR),
        "spread": found.spread,
        "spread_is": kind.spread_is if found.spread is not None else None,
        "parameters": given,
    }


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


_OUTPUTS, _PICTURES = Needs(outputs=True), Needs(pictures=True)
_LOGITS, _FEATURES = ("logits",), ("pool_3",)
METRICS = {
    "score": Metric(_score, "classifier score (Inception score), mean over the splits", _LOGITS, compares=False),
    "frechet": Metric(_frechet, "Frechet distance (FID), at N/2 and extrapolated too", _FEATURES, Needs(fewest=2)),
    "kernel": Metric(_kernel, "kernel distance (KID)", _FEATURES, _OUTPUTS),
    "precision_recall": Metric(
        _precision_recall, "improved precision and recall, k = 3", _FEATURES, Needs(outputs=True, fewest=4)
    ),
    "density_coverage": Metric(
        _density_coverage, "density and coverage, k = 5", _FEATURES, Needs(outputs=True, fewest=6)
    ),
    "per_class": Metric(_per_class, "Frechet distance of each class and their mean", _FEATURES, Needs(per_class=True)),
    "classes": Metric(_classes, "coverage and histogram of the classes", _LOGITS, compares=False, may_compare=True),
    "ms_ssim": Metric(
        _ms_ssim,
        "similarity of pairs, over all and within classes",
        (),
        _PICTURES,
        False,
        smallest=picture_metrics.WINDOW,
    ),
    "sliced_wasserstein": Metric(
        _sliced_wasserstein, "distance between patches", (), _PICTURES, smallest=picture_metrics.SMALLEST_LEVEL
    ),
    "memorisation": Metric(_memorisation, "copies of training images", _FEATURES, _PICTURES, False),
}


def needs_of(request: Request, network: ScoringNetwork, class_names: tuple[str, ...] = ()) -> Needs:
    """What has to be gathered for these metrics; for TF-GAN's functions beside Inception's also all outputs.

    `class_names` are those of the images, which the reference must have for a distance per class.
    """
    all_needs = [METRICS[name].needs for name in request.metrics]
    subsets = "kernel" in request.metrics and request.kernel_protocol != "blocks"
    per_class = any(needs.per_class for needs in all_needs)
    return Needs(
        outputs=tfgan_beside(request, network) or any(needs.outputs for needs in all_needs),
        pictures=any(needs.pictures for needs in all_needs),
        per_class=per_class,
        class_names=class_names if per_class else (),
        fewest=max([KERNEL_PROTOCOLS[request.kernel_protocol].size * subsets, *(needs.fewest for needs in all_needs)]),
        stored_order=subsets and KERNEL_PROTOCOLS[request.kernel_protocol].seed is not None,
    )


def tfgan_beside(request: Request, network: ScoringNetwork) -> bool:
    """Whether TF-GAN's own functions are asked for, too."""
    return request.tfgan and network.is_inception and bool({"score", "frechet", "kernel"} & set(request.metrics))


def check_source(source: Source, network: ScoringNetwork, request: Request) -> None:
    """Refuse before any pass, that over the reference included, what cannot be measured of these images.

    Raises:
        UsageError: for too few or too small images, missing classes or outputs, or training images that do not fit.
        SuiteError: without TF-GAN's functions, if they are asked for.
    """
    for name in request.metrics:
        metric = METRICS[name]
        missing = [output for output in metric.uses if output not in network.outputs]
        if missing:
            raise UsageError(
                f"{network.name} does not give {', '.join(missing)}, which the metric {name} needs: "
                f"choose other --metrics"
            )
        if source.image_size < metric.smallest:
            raise UsageError(
                f"the metric {name} needs images of {metric.smallest} pixels or more. Received: {source.image_size}"
            )
    needs_of(request, network, source.class_names).require(source, request.num_images)
    if request.training is not None and "memorisation" in request.metrics:
        memorisation.require(request.training, source.image_size)
    if tfgan_beside(request, network):
        from tfgan_suite.scores import tfgan

        tfgan.modules()


def check(source: Source, network: ScoringNetwork, real: Reference | None, request: Request) -> None:
    """Refuse before the pass over the images what cannot be measured after it.

    Raises:
        UsageError: see `check_source`; and for a metric whose reference is missing or does not fit.
    """
    check_source(source, network, request)
    for name in request.metrics:
        metric = METRICS[name]
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
            require_same_classes(source.class_names, real.class_names)
        if name == "kernel" and request.kernel_protocol == "blocks":
            _require_blocks(request, real)
        if "pool_3" in metric.uses:
            size = source.image_size
            columns = network(np.zeros((1, size, size, 3), np.uint8))["pool_3"].shape[1]
            if columns != real.statistics.dimension:
                raise UsageError(
                    f"the features of {network.name} have {columns} columns, those of {real.name} "
                    f"{real.statistics.dimension}: they are of another network"
                )


def _require_blocks(request: Request, real: Reference) -> None:
    counts = request.num_images, real.num_images or 0
    blocks = -(-max(counts) // KERNEL_PROTOCOLS[request.kernel_protocol].size)
    if min(counts) < 2 * blocks:
        raise UsageError(
            f"{max(counts):,} images make {blocks} blocks, of which each needs 2 of the {min(counts):,} others: "
            f"more images, or leave the kernel distance out"
        )
