"""Which network and which real images are taken if nobody says."""

import json

import numpy as np
import pytest

from data_tools.errors import SuiteError, UsageError
from tfgan_suite.images.named_sources import Options
from tfgan_suite.networks import scoring_network
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import create
from tfgan_suite.scores import yardstick
from tfgan_suite.scores.gathering import Needs


@pytest.fixture
def asked(monkeypatch):
    """What `scoring_network.load` was asked for."""
    calls = []
    monkeypatch.setattr(scoring_network, "load", lambda classifier, **options: calls.append((classifier, options)))
    return calls


@pytest.mark.parametrize(
    ("classifier", "dataset", "otherwise", "inception", "expected"),
    [
        ("auto", "shapes", "none", None, "shapes"),
        ("auto", "shapes", "inception", None, "shapes"),
        ("auto", "cifar10", "none", None, None),
        ("auto", "cifar10", "inception", None, "inception"),
        ("auto", "shapes", "inception", "module", "inception"),
        ("none", "shapes", "inception", None, None),
        ("mine.npz", "shapes", "none", None, "mine.npz"),
        ("inception", "shapes", "none", None, "inception"),
    ],
)
def test_the_rule_of_auto(asked, classifier, dataset, otherwise, inception, expected):
    yardstick.network_for(classifier, dataset, otherwise=otherwise, inception=inception, resize="tf1", dtype="float32")
    options = {"resize": "tf1", "inception": inception, "dtype": "float32"}
    assert asked == ([] if expected is None else [(expected, options)])


@pytest.fixture(scope="module")
def network():
    return scoring_network.load("shapes")


def npz_run(place, keys, channels=3):
    rng = np.random.default_rng(0)
    arrays = {f"x_{key}": rng.integers(0, 256, (6 + i, 16, 16, 3), np.uint8) for i, key in enumerate(keys)}
    np.savez(place / "data.npz", **arrays)
    return Config(dataset="npz", data_dir=str(place / "data.npz"), image_size=16, channels=channels)


def test_a_run_compares_with_its_test_split_or_else_with_its_training_split(tmp_path, network):
    for keys, name, count in ((("train", "test"), "npz:test", 7), (("train",), "npz:train", 6)):
        run = npz_run(tmp_path, keys)
        found = yardstick.own_reference(run, network, Needs(), yardstick.options_for(run, Options()))
        assert (found.name, found.num_images) == (name, count)


def test_a_run_of_grey_images_compares_with_grey_images(tmp_path, network):
    fingerprints = set()
    for channels in (3, 1):
        run = npz_run(tmp_path, ("train", "test"), channels)
        options = yardstick.options_for(run, Options())
        fingerprints.add(yardstick.own_reference(run, network, Needs(), options).fingerprint)
    assert len(fingerprints) == 2


def test_a_place_that_is_given_goes_before_that_of_the_run(tmp_path, network):
    run = npz_run(tmp_path, ("train", "test"))
    (tmp_path / "moved").mkdir()
    (tmp_path / "data.npz").rename(tmp_path / "moved" / "data.npz")
    options = yardstick.options_for(run, Options(data_dir=tmp_path / "moved" / "data.npz"))
    assert yardstick.own_reference(run, network, Needs(), options).num_images == 7
    with pytest.raises(SuiteError):
        yardstick.own_reference(run, network, Needs(), yardstick.options_for(run, Options()))


def test_what_cannot_be_compared_with_is_refused(tmp_path, network):
    run = npz_run(tmp_path, ("train", "test"))
    options = yardstick.options_for(run, Options())
    with pytest.raises(UsageError, match="SOURCE must be"):
        yardstick.reference_to("nowhere", network, Needs(), options)
    with pytest.raises(UsageError, match="SOURCE must be"):
        yardstick.finite_source("nowhere", options, "--training")


@pytest.mark.parametrize("entry", ["auto", "none", "inception", "shapes", "mine.npz", "a/b.npz"])
def test_data_that_a_run_names_is_taken(tmp_path, entry):
    yardstick.require_data(entry, tmp_path)


@pytest.mark.parametrize("entry", ["mine.keras", "folder", "/abs/saved_model", "shapes.keras", "../inception"])
def test_a_program_that_a_run_names_is_not(tmp_path, entry):
    with pytest.raises(UsageError, match=f"{entry}', which is not loaded unasked.*give --classifier {entry} if you"):
        yardstick.require_data(entry, tmp_path)


def test_another_file_in_the_place_of_a_runs_classifier_is_refused(tmp_path, network):
    run = create(Config(steps=3), tmp_path / "run")
    yardstick.require_recorded(network, "mine.npz", run)  # it has no scores yet
    line = {"step": 1, "metric": "fid", "value": 0.5}
    run.metrics.write_text(json.dumps({**line, "classifier_fingerprint": "0" * 64}) + "\n")
    with pytest.raises(UsageError, match=f"mine.npz has the fingerprint {network.fingerprint[:12]}.*, 000000000000: "):
        yardstick.require_recorded(network, "mine.npz", run)
    yardstick.require_recorded(network, "shapes", run)
    run.metrics.write_text(json.dumps({**line, "classifier_fingerprint": network.fingerprint}) + "\n")
    yardstick.require_recorded(network, "mine.npz", run)
