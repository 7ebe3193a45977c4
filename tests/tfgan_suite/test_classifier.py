"""The classifier that ships, the command that made it, and the scores that come from it."""

import json

import numpy as np
import pytest

from data_tools import shapes
from tfgan_suite import classifier, cli, metrics
from tfgan_suite.errors import SuiteError, UsageError

FINGERPRINT = "b176813b21fc2dd8e49a8a14bfbc7057fa5887a7217f694728fb6d6ddd77cfcd"


@pytest.fixture(scope="module")
def shipped():
    return classifier.load("shapes")


@pytest.fixture(scope="module")
def test_split():
    return shapes.load("test")


def test_the_shipped_one_is_small_known_and_accurate(shipped, test_split):
    assert classifier.BUILT_IN["shapes"].stat().st_size < 1_000_000
    assert shipped.fingerprint == FINGERPRINT
    assert shipped.class_names == shapes.CLASS_NAMES
    logits, features = shipped(test_split.images)
    assert logits.shape == (10_000, 10) and features.shape == (10_000, 64)
    assert (logits.argmax(axis=1) == test_split.labels).mean() > 0.99
    assert metrics.classifier_score(logits)[0] > 9.9


def test_its_recorded_accuracy_and_origin_are_true(test_split):
    with np.load(classifier.BUILT_IN["shapes"]) as stored:
        about = json.loads(str(stored["about"]))
    assert about["test_accuracy"] > 0.99
    assert about["dataset_fingerprint"] == shapes.load("train").fingerprint()


def test_batches_do_not_matter(shipped, test_split):
    images = test_split.images[:300]
    whole = shipped(images)
    parts = [shipped(images[i : i + 7]) for i in range(0, 300, 7)]
    for i in range(2):
        np.testing.assert_allclose(np.concatenate([part[i] for part in parts]), whole[i], rtol=1e-4, atol=1e-4)


def test_other_sizes_are_resized(shipped):
    large = shapes.draw(200, seed=4, image_size=108)
    logits, _ = shipped(large.images)
    assert (logits.argmax(axis=1) == large.labels).mean() > 0.95


def test_the_command_trains_saves_and_loads(tmp_path, monkeypatch, capsys):
    small = {"train": shapes.draw(2000, seed=1), "test": shapes.draw(500, seed=2)}
    monkeypatch.setattr(classifier.data_tools, "load", lambda name, split, **_: small[split])
    path = tmp_path / "new" / "c.npz"
    assert cli.run(classifier.main, ["--output", str(path), "--epochs", "2", "--name", "mine", "--debug"]) == 0
    assert "test accuracy" in capsys.readouterr().out
    loaded = classifier.load(str(path))
    assert loaded.name == "mine" and loaded.class_names == shapes.CLASS_NAMES
    accuracy = (loaded(small["test"].images)[0].argmax(axis=1) == small["test"].labels).mean()
    assert accuracy > 0.5
    with np.load(path) as stored:
        assert json.loads(str(stored["about"]))["test_accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(SuiteError, match="no classifier made by tfgan_suite.classifier"):
        classifier.load(str(tmp_path / "c.npz"))


def test_files_with_wrong_arrays_are_refused(tmp_path):
    about = json.dumps({"name": "x", "image_size": 32, "class_names": ["a", "b"]})
    np.savez(tmp_path / "c.npz", about=np.array(about), weight_0=np.zeros(3))
    with pytest.raises(SuiteError, match="no classifier"):
        classifier.load(str(tmp_path / "c.npz"))
    huge = json.dumps({"name": "x", "image_size": 10**9, "class_names": ["a", "b"]})
    np.savez(tmp_path / "e.npz", about=np.array(huge), weight_0=np.zeros(3))
    with pytest.raises(SuiteError, match="image size 1000000000"):
        classifier.load(str(tmp_path / "e.npz"))
    np.savez(tmp_path / "d.npz", about=np.array([{}], dtype=object))
    with pytest.raises(SuiteError, match="no classifier"):
        classifier.load(str(tmp_path / "d.npz"))
    with pytest.raises(UsageError, match="must be one of shapes.*Received: nowhere"):
        classifier.load("nowhere")
