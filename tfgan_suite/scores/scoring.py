"""Score a source: one pass over its images, then any of `metrics.METRICS`, every number with its whole protocol.

`score` is what training, `evaluate` and whoever else wants a number call.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from data_tools.errors import SuiteError
from tfgan_suite.images.sources import Source
from tfgan_suite.networks.scoring_network import ScoringNetwork
from tfgan_suite.runs.provenance import versions
from tfgan_suite.scores import protocol
from tfgan_suite.scores.gathering import class_order, gather
from tfgan_suite.scores.metrics import (
    METRICS,
    Request,
    Result,
    Scored,
    check,
    kernel_result,
    needs_of,
    tfgan_beside,
)
from tfgan_suite.scores.references import Reference

FEWEST_IMAGES = 2048  # below it a Frechet distance is mostly bias
FEWEST_OF_A_SPLIT = 100  # below it a score is mostly of how few images there are
_MOST_NAMED_CLASSES = 100
_INCEPTION_NAMES = {
    "classifier_score": "inception_score",
    "frechet_classifier_distance": "fid",
    "frechet_classifier_distance_per_class": "fid_per_class",
    "kernel_classifier_distance": "kid",
}
ALONE = dict.fromkeys(("reference", "reference_fingerprint", "reference_shuffle_seed", "num_real"))
PLAIN: dict[str, Any] = {
    **dict.fromkeys(("spread", "spread_is", "error", "error_is")),
    **dict.fromkeys(("at_half", "at_half_error", "extrapolated", "extrapolated_error", "half_seed")),
    "parameters": {},
}


def score(
    source: Source,
    network: ScoringNetwork,
    reference: Reference | None,
    request: Request,
    *,
    selection: Reference | None = None,
    advance: Callable[[int], None] = lambda count: None,
    report: Callable[[str], None] = lambda message: None,
) -> list[Result]:
    """The lines for `metrics.jsonl`, each a number with its whole protocol.

    Args:
        source: what is scored.
        network: with which.
        reference: what it is compared with; None leaves metrics that compare impossible.
        request: what is measured.
        selection: images that checkpoints are chosen by; from the same pass comes the Frechet distance to them, last.
        advance: called with the number of images done.
        report: called with warnings.

    Raises:
        UsageError: before the pass, for what cannot be measured after it.
        SuiteError: if a metric cannot be computed of what there is; no number is given for less than was asked.
    """
    began = time.monotonic()
    check(source, network, reference, request)
    generated = gather(
        source,
        network,
        request.num_images,
        needs_of(request, network),
        splits=request.splits,
        half_seed=request.seed,
        network_classes=class_order(source.class_names, network.class_names),
        advance=advance,
    )
    scored = Scored(generated, reference, request, network, source)
    results = results_of(scored)
    if tfgan_beside(request, network):
        results += tfgan_results(scored, results, report)
    warn(scored, report)
    lines = _lines(results, scored, began)
    if selection is not None:
        only = dataclasses.replace(request, metrics=("frechet",))
        chosen = dataclasses.replace(scored, real=selection, request=only)
        lines += _lines(results_of(chosen), chosen, began)
    return lines


def results_of(scored: Scored) -> list[Result]:
    """What all metrics of the protocol give, under the names that go with the network."""
    results = []
    for name in scored.request.metrics:
        try:
            found = METRICS[name].measure(scored)
        except ValueError as error:
            raise SuiteError(f"{name} of {scored.source.name}: {error}") from None
        compared = [result.pop("compared", METRICS[name].compares) for result in found]
        found = [
            result if with_real else {**ALONE, **result} for with_real, result in zip(compared, found, strict=True)
        ]
        results += [_named(result, scored.network) for result in found]
    return results


def _lines(results: list[Result], scored: Scored, began: float) -> list[Result]:
    """Whole lines, each checked: results with the protocol that they share."""
    common = record_of(scored, time.monotonic() - began)
    return [protocol.check({**common, **PLAIN, **result}) for result in results]


def tfgan_results(scored: Scored, exact: list[Result], report: Callable[[str], None]) -> list[Result]:
    """What TF-GAN's own functions say, for its Inception: `tfgan_inception_score`, `tfgan_fid`, `tfgan_kid`.

    Its score has no splits. A value of its own that is not finite is left out, with a warning. The errors are those of
    the `exact` results of the same quantities.
    """
    from tfgan_suite.scores import tfgan

    asked = set(scored.request.metrics)
    results: list[Result] = []
    if "score" in asked:
        value = tfgan.inception_score(scored.generated.kept("logits"))
        results.append({"metric": "tfgan_inception_score", "value": value, **ALONE})
    if scored.real is not None and asked & {"frechet", "kernel"}:
        if not scored.real.has_features:
            report(f"note: {scored.real.name} has no features, so TF-GAN's own distances are left out")
            asked -= {"frechet", "kernel"}
        else:
            features, real = scored.generated.kept("pool_3"), scored.reference().kept("pool_3")
    if "frechet" in asked:
        errors = next(result for result in exact if result["metric"] == "fid")
        errors = {name: errors[name] for name in ("error", "error_is")}
        results.append({"metric": "tfgan_fid", "value": tfgan.frechet_distance(features, real), **errors})
    if "kernel" in asked:
        value, error = tfgan.kernel_distance(features, real)
        spread = {"spread": error, "spread_is": "standard error over blocks"} if np.isfinite(error) else {}
        result = {**kernel_result(scored, "blocks"), "metric": "tfgan_kid", "value": value}
        result["parameters"] = {"protocol": "blocks", "subset_size": 1024}
        results.append({**result, "spread": None, "spread_is": None, **spread})
    for result in results:
        if not np.isfinite(result["value"]):
            report(f"note: TF-GAN's own function gave {result['value']} for {result['metric']}, which is left out")
    kept = [result for result in results if np.isfinite(result["value"])]
    return [{**result, "splits": 1, "dtype": f"TF-GAN's, from {scored.network.dtype} outputs"} for result in kept]


def record_of(scored: Scored, seconds: float) -> dict[str, Any]:
    """The part of the protocol that all metrics of an evaluation share."""
    network, names = scored.network, scored.network.class_names
    fractions = None
    if names and len(names) <= _MOST_NAMED_CLASSES and scored.generated.histogram is not None:
        counts = scored.generated.histogram
        fractions = dict(zip(names, (counts / counts.sum()).tolist(), strict=True))
    return {
        "num_generated": scored.generated.count,
        "num_real": scored.real.num_images if scored.real else None,
        "splits": scored.request.splits,
        "classifier": network.name,
        "classifier_fingerprint": network.fingerprint,
        "resize": network.resize_of(scored.source.image_size, scored.source.image_size),
        "values": network.values,
        "source": scored.source.name,
        "source_fingerprint": scored.source.fingerprint(),
        "image_size": scored.source.image_size,
        "reference": scored.real.name if scored.real else None,
        "reference_fingerprint": scored.real.fingerprint if scored.real else None,
        "reference_shuffle_seed": scored.real.shuffle_seed if scored.real else None,
        "dtype": f"float64 from {network.dtype} features",
        "tf32": scored.generated.tf32,
        "class_fractions": fractions,
        "seconds": seconds,
        "versions": versions(),
        **scored.source.record,
    }


def warn(scored: Scored, report: Callable[[str], None]) -> None:
    """Say what makes a score or a distance less comparable than it looks."""
    request, real, count = scored.request, scored.real, scored.generated.count
    if "score" in request.metrics and count // request.splits < FEWEST_OF_A_SPLIT:
        report(
            f"warning: {count:,} images in {request.splits} splits are {count // request.splits} to a split, and a "
            f"score grows with them; {FEWEST_OF_A_SPLIT} are the fewest to compare with: more --num-images or fewer "
            f"--splits"
        )
    if real is None or not {"frechet", "per_class"} & set(request.metrics):
        return
    fewest, what = count, f"{count:,} images"
    if "per_class" in request.metrics:
        fewest = min(moments.count for moments in scored.generated.by_class)
        what = f"{fewest:,} images of a class"
    if fewest < FEWEST_IMAGES:
        report(
            f"warning: a Frechet distance of {what} is mostly bias; {FEWEST_IMAGES:,} are the fewest to compare with"
        )
    if real.num_images is None:
        report(f"warning: {real.name} does not say of how many images it is")
    elif real.num_images != count:
        report(
            f"warning: {count:,} images against {real.num_images:,} of {real.name}: "
            f"compare only with distances of the same two numbers"
        )


def about_extrapolation(line: Result) -> str:
    """What a value below 0 means, which no distance has; "" for others."""
    value, error = line["extrapolated"], line["extrapolated_error"]
    if value is None or value >= 0:
        return ""
    if error is not None and value >= -2 * error:
        return "below 0, by no more than twice its error: as good as 0"
    return "below 0, by more than twice its error: too few images to extrapolate from"


def _named(line: Result, network: ScoringNetwork) -> Result:
    return {**line, "metric": _INCEPTION_NAMES.get(line["metric"], line["metric"])} if network.is_inception else line
