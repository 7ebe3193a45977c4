"""A score is a number with its whole protocol: the fields of every line of `metrics.jsonl`, and their check."""

from __future__ import annotations

import math
from typing import Any

_NUMBER, _COUNT, _TEXT = (int, float), int, str
# field -> the types it may have, and what it says. `None` stands only where it is among the types.
FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "metric": ((_TEXT,), "name of the number; inception_score, fid and kid are those of TF-GAN's Inception only"),
    "value": (_NUMBER, "the number"),
    "spread": ((*_NUMBER, type(None)), "how far it varies, of the kind that spread_is names"),
    "spread_is": ((_TEXT, type(None)), "what the spread is"),
    "error": ((*_NUMBER, type(None)), "how far the value is from that of other images as many, as error_is says"),
    "error_is": ((_TEXT, type(None)), "what the errors are"),
    "at_half": ((*_NUMBER, type(None)), "of a Frechet distance: the mean of both halves of the images"),
    "at_half_error": ((*_NUMBER, type(None)), "of that"),
    "extrapolated": ((*_NUMBER, type(None)), "of a Frechet distance: to infinitely many images"),
    "extrapolated_error": ((*_NUMBER, type(None)), "of that"),
    "half_seed": ((_COUNT, type(None)), "by which the halves are drawn"),
    "parameters": ((dict,), "what else the metric depends on"),
    "num_generated": ((_COUNT,), "images that were scored"),
    "num_real": ((_COUNT, type(None)), "images of the reference; null for stored statistics that do not say"),
    "splits": ((_COUNT,), "parts of the images that the score is the mean of"),
    "order": ((_TEXT,), "of the images, on which the splits depend"),
    "shuffle_seed": ((_COUNT, type(None)), "of that order, if it is shuffled"),
    "classifier": ((_TEXT,), "network"),
    "classifier_fingerprint": ((_TEXT,), "SHA-256 of the network"),
    "resize": ((_TEXT,), "rule that brings images to the network's size"),
    "values": ((_TEXT,), "rule that scales pixels for the network"),
    "quantisation": ((_TEXT,), "of the images before they are scored"),
    "weights": ((_TEXT, type(None)), "ema or raw; null for images that no generator made here"),
    "latent_seed": ((_COUNT, type(None)), "of the latents, of a generator"),
    "labels": ((_TEXT, type(None)), "where the classes of the images come from, if they have any"),
    "source": ((_TEXT,), "what was scored"),
    "source_fingerprint": ((_TEXT, type(None)), "SHA-256 of stored images; null for generated ones"),
    "image_size": ((_COUNT,), "pixels per side of the images, before they are resized for the network"),
    "reference": ((_TEXT, type(None)), "what it was compared with; null for metrics that do not compare"),
    "reference_fingerprint": ((_TEXT, type(None)), "SHA-256 of it"),
    "reference_shuffle_seed": ((_COUNT, type(None)), "of its order, on which subsets and blocks depend"),
    "dtype": ((_TEXT,), "of the metric and of the network"),
    "tf32": ((_TEXT,), "whether the network and the generator might round factors to TF32 on a GPU: off, or on"),
    "class_fractions": ((dict, type(None)), "of the images, by the network, if its classes have names"),
    "step": ((_COUNT, type(None)), "of training"),
    "images_seen": ((_COUNT, type(None)), "real images shown to the discriminator until then"),
    "seconds": (_NUMBER, "that the evaluation took"),
    "versions": ((dict,), "of the suite, Python and the packages that numbers depend on"),
}

_TOGETHER = (("spread", "spread_is"), ("error", "error_is"), ("at_half", "extrapolated"), ("at_half", "half_seed"))


def check(line: dict[str, Any]) -> dict[str, Any]:
    """`line`, if it is a whole score.

    Raises:
        ValueError: naming every field that is missing, unknown, of another type, or not finite.
    """
    wrong = [f"{name} is missing" for name in FIELDS if name not in line]
    wrong += [f"{name} is unknown" for name in line if name not in FIELDS]
    for name, value in line.items():
        types = FIELDS[name][0] if name in FIELDS else ()
        if types and (not isinstance(value, types) or isinstance(value, bool)):
            wrong.append(f"{name} must be {' or '.join(kind.__name__ for kind in types)}, not {value!r}")
        elif isinstance(value, float) and not math.isfinite(value):
            wrong.append(f"{name} must be finite, not {value}")
    for one, other in _TOGETHER:
        if (line.get(one) is None) != (line.get(other) is None):
            wrong.append(f"{one} and {other} go together")
    if wrong:
        raise ValueError(f"not a whole score: {'; '.join(wrong)}")
    return line


# what came out and when, and what it was called; all else says how it was measured
_OUTCOMES = {
    "metric", "value", "spread", "error", "at_half", "at_half_error", "extrapolated", "extrapolated_error",
    "class_fractions", "source", "source_fingerprint", "step", "images_seen", "seconds", "versions",
}  # fmt: skip
_PARAMETERS_OUTCOMES = {"classes", "class_errors", "counts", "classes_left_out", "levels", "smallest_ratio", "picture"}
_NAMES = {"classifier": "classifier_fingerprint", "reference": "reference_fingerprint"}


def how(line: dict[str, Any]) -> dict[str, Any]:
    """The fields of a score by which it was measured: where they are equal, two values of a metric may be compared.

    A name that a fingerprint stands beside is left out, since the same file may stand anywhere. Classes drawn uniformly
    count like none, so that generators with and without classes can be compared. Versions are left out, too: they are
    what to look at when equal protocols give unequal numbers. Fields that are not known here are kept.
    """
    in_order = [name for name in FIELDS if name in line] + sorted(line.keys() - FIELDS.keys())
    kept = {name: line[name] for name in in_order if name not in _OUTCOMES}
    kept = {name: value for name, value in kept.items() if kept.get(_NAMES.get(name, "")) is None}
    if kept.get("labels") in (None, "uniform"):
        kept.pop("labels", None)
    if isinstance(kept.get("parameters"), dict):
        given = kept["parameters"].items()
        kept["parameters"] = {name: value for name, value in given if name not in _PARAMETERS_OUTCOMES}
    return kept


def is_selection(line: dict[str, Any]) -> bool:
    """Whether a score is for choosing checkpoints, not for reporting."""
    return str(line.get("reference")).endswith(":selection")
