"""A line without its whole protocol is no score: every field is taken out, and spoilt, in turn."""

import json

import numpy as np
import pytest

from data_tools import shapes
from tfgan_suite.images.sources import ArraySource
from tfgan_suite.networks import scoring_network
from tfgan_suite.reports.quantities import score_of
from tfgan_suite.scores import metrics, protocol, scoring
from tfgan_suite.scores import references as reference


def scored(tmp_path_factory, seed):
    """Lines of all metrics, of images that the seed draws."""
    network = scoring_network.load("shapes")
    source = ArraySource(shapes.draw(60, seed=seed), "drawn", shuffle_seed=3)
    place = tmp_path_factory.mktemp("cache")
    training = ArraySource(shapes.draw(30, seed=4), "training", shuffle_seed=None)
    request = metrics.Request(50, tuple(metrics.METRICS), splits=5, kernel_protocol="blocks", training=training,
                              picture=place / "neighbours.png")  # fmt: skip
    needs = scoring.needs_of(request, network)
    other = ArraySource(shapes.draw(200, seed=2), "others", shuffle_seed=None)
    real = reference.reference_of(other, network, needs, cache=place)
    return scoring.score(source, network, real, request)


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    return scored(tmp_path_factory, seed=1)


def test_every_metric_gives_whole_lines(lines):
    assert {line["metric"] for line in lines} == {
        "classifier_score", "frechet_classifier_distance", "kernel_classifier_distance", "precision", "recall",
        "density", "coverage", "frechet_classifier_distance_per_class", "class_coverage", "smallest_class_fraction",
        "class_histogram_kl", "asked_class_fraction", "ms_ssim", "ms_ssim_within_classes", "sliced_wasserstein",
        "authenticity",
    }  # fmt: skip
    for line in lines:
        assert protocol.check(json.loads(json.dumps(line, allow_nan=False))) == line
        assert (line["num_generated"], line["splits"], line["shuffle_seed"]) == (50, 5, 3)
        assert (line["source"], line["order"], line["image_size"]) == ("drawn", "shuffled", 32)
        compares = line["metric"] not in (
            "classifier_score", "class_coverage", "smallest_class_fraction", "asked_class_fraction", "ms_ssim",
            "ms_ssim_within_classes", "authenticity",
        )  # fmt: skip
        assert (line["reference"], line["num_real"]) == (("others", 200) if compares else (None, None))
        assert (line["reference_fingerprint"] is not None) == compares and line["source_fingerprint"]
        assert line["tf32"] == "off"


def test_every_distance_has_its_error(lines):
    """50 images beside 200; of some classes there are too few for halves."""
    by_name = {line["metric"]: line for line in lines}
    for name, line in by_name.items():
        assert (line["error"] is not None) == ("frechet" in name or "kernel" in name) == (line["error_is"] is not None)
    frechet, per_class = (by_name[f"frechet_classifier_distance{which}"] for which in ("", "_per_class"))
    for line in (frechet, per_class, by_name["kernel_classifier_distance"]):
        assert line["error"] > 0 and "reference held fixed" in line["error_is"]
    assert max(frechet["error"] / frechet["value"], per_class["error"] / per_class["value"]) < 1
    assert 0 < frechet["at_half_error"] < frechet["at_half"] and frechet["extrapolated_error"] > 0
    assert frechet["half_seed"] == 0
    errors = list(per_class["parameters"]["class_errors"].values())
    assert per_class["error"] == pytest.approx(np.sqrt(np.sum(np.square(errors))) / 10, rel=1e-9)


@pytest.mark.parametrize("field", protocol.FIELDS)
def test_no_field_may_be_missing_or_of_another_kind(lines, field):
    line = lines[0]
    with pytest.raises(ValueError, match=f"{field} is missing"):
        protocol.check({name: value for name, value in line.items() if name != field})
    with pytest.raises(ValueError, match=f"{field} must be"):
        protocol.check({**line, field: [1]})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, True, "9"])
def test_a_value_is_a_finite_number(lines, value):
    with pytest.raises(ValueError, match="value must be"):
        protocol.check({**lines[0], "value": value})


def test_unknown_fields_and_a_spread_of_no_kind_are_refused(lines):
    with pytest.raises(ValueError, match="colour is unknown"):
        protocol.check({**lines[0], "colour": 1})
    for one, other in (("error", "error_is"), ("at_half", "half_seed"), ("at_half", "extrapolated")):
        with pytest.raises(ValueError, match=f"{one} and {other} go together"):
            protocol.check({**lines[0], one: 0.1, other: None})
    with pytest.raises(ValueError, match="spread and spread_is go together"):
        protocol.check({**lines[0], "spread": 0.1, "spread_is": None})


def test_other_images_are_measured_by_the_same_protocol(lines, tmp_path_factory):
    """No outcome counts as protocol, or no two seeds would ever stand in one column; and everything else does."""
    for line, other in zip(lines, scored(tmp_path_factory, seed=5), strict=True):
        assert line["metric"] == other["metric"] and line["source_fingerprint"] != other["source_fingerprint"]
        assert protocol.how(line) == protocol.how(other), line["metric"]
    measured = {name for line in lines for name in protocol.how(line)}
    outcomes = {"metric", "value", "spread", "error", "at_half", "at_half_error", "extrapolated", "extrapolated_error",
                "class_fractions", "source", "source_fingerprint", "step", "images_seen", "seconds",
                "versions"}  # fmt: skip
    names = {"classifier", "reference", "labels"}  # which fingerprints stand for; and drawn uniformly, or none
    assert protocol.FIELDS.keys() - outcomes - names <= measured and not outcomes & measured


def test_every_metric_says_what_is_good(lines):
    assert all(score_of(line["metric"]).good for line in lines)
    for name in ("inception_score", "fid", "kid", "tfgan_inception_score", "tfgan_fid", "tfgan_kid"):
        assert score_of(name).good and score_of(name).better == ("higher" if name.endswith("score") else "lower")
