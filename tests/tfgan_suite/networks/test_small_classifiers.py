"""The classifier that ships, the command that made it, and the scores that come from it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from data_tools import command as cli
from data_tools import shapes
from data_tools.errors import SuiteError, UsageError
from models_zoo.classifier import CLASSIFIERS
from tfgan_suite import classifier as command
from tfgan_suite.images.sources import ArraySource
from tfgan_suite.networks import scoring_network
from tfgan_suite.networks import small_classifiers as classifier
from tfgan_suite.scores.gathering import Needs, gather

FINGERPRINT = "b176813b21fc2dd8e49a8a14bfbc7057fa5887a7217f694728fb6d6ddd77cfcd"


@pytest.fixture(scope="module")
def shipped():
    return classifier.load("shapes")


@pytest.fixture(scope="module")
def network():
    return scoring_network.load("shapes")


@pytest.fixture(scope="module")
def test_split():
    return shapes.load("test")


def test_the_shipped_one_is_small_known_and_accurate(shipped, network, test_split):
    assert classifier.BUILT_IN["shapes"].stat().st_size < 1_000_000
    assert shipped.fingerprint == FINGERPRINT
    assert shipped.class_names == shapes.CLASS_NAMES
    source = ArraySource(test_split, "shapes:test", shuffle_seed=None)
    found = gather(source, network, 10_000, Needs(outputs=True), network_classes=np.arange(10))
    assert found.kept("logits").shape == (10_000, 10) and found.kept("pool_3").shape == (10_000, 64)
    assert found.asked / found.labelled > 0.99
    assert found.score_sums.value()[0] > 9.9


def test_its_recorded_accuracy_and_origin_are_true(test_split):
    with np.load(classifier.BUILT_IN["shapes"]) as stored:
        about = json.loads(str(stored["about"]))
    assert about["test_accuracy"] > 0.99
    assert about["dataset_fingerprint"] == shapes.load("train").fingerprint()


def test_batches_do_not_matter(network, test_split):
    images = test_split.images[:300]
    whole = network(images)
    parts = [network(images[i : i + 7]) for i in range(0, 300, 7)]
    for name in ("logits", "pool_3"):
        joined = np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(joined, whole[name], rtol=1e-4, atol=1e-4)


def test_other_sizes_are_resized(network):
    large = shapes.draw(200, seed=4, image_size=108)
    assert (np.argmax(network(large.images)["logits"], axis=1) == large.labels).mean() > 0.95


def test_the_command_trains_saves_and_loads(tmp_path, monkeypatch, capsys):
    small = {"train": shapes.draw(2000, seed=1), "test": shapes.draw(500, seed=2)}
    monkeypatch.setattr(command.data_tools, "load", lambda name, split, **_: small[split])
    path = tmp_path / "new" / "c.npz"
    assert cli.run(command.main, ["--output", str(path), "--epochs", "2", "--name", "mine", "--debug"]) == 0
    assert "test accuracy" in capsys.readouterr().out
    loaded = classifier.load(str(path))
    assert loaded.name == "mine" and loaded.class_names == shapes.CLASS_NAMES
    scored = scoring_network.load(str(path))(small["test"].images)["logits"]
    accuracy = (np.argmax(scored, axis=1) == small["test"].labels).mean()
    assert accuracy > 0.5
    with np.load(path) as stored:
        assert json.loads(str(stored["about"]))["test_accuracy"] == pytest.approx(accuracy)


def test_the_command_exports_a_saved_model_that_scores_the_same(tmp_path, monkeypatch, capsys):
    small = {"train": shapes.draw(500, seed=1), "test": shapes.draw(100, seed=2)}
    monkeypatch.setattr(command.data_tools, "load", lambda name, split, **_: small[split])
    (tmp_path / "empty").mkdir()
    arguments = ["--output", str(tmp_path / "c.npz"), "--export", str(tmp_path / "empty"), "--epochs", "1"]
    assert cli.run(command.main, [*arguments, "--debug"]) == 0
    assert f"SavedModel    {tmp_path / 'empty'}" in capsys.readouterr().out
    exported, saved = (scoring_network.load(str(tmp_path / name)) for name in ("empty", "c.npz"))
    assert exported.name == saved.name == "shapes" and exported.class_names == saved.class_names == shapes.CLASS_NAMES
    assert exported.resize == saved.resize and exported.values == saved.values
    for images in (small["test"].images, shapes.draw(20, seed=3, image_size=48).images):
        for output in ("logits", "pool_3"):
            np.testing.assert_allclose(exported(images)[output], saved(images)[output], rtol=1e-5, atol=1e-5)
    about = json.loads((tmp_path / "empty" / "assets" / "classifier.json").read_text())
    assert about["dataset"] == "shapes" and 0 <= about["test_accuracy"] <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.npz", "empty"]
    assert cli.run(command.main, arguments) == 2
    assert "--export must be a new or an empty folder" in capsys.readouterr().err
    assert cli.run(command.main, [*arguments[:2], "--export", str(tmp_path / "c.npz")]) == 2
    (tmp_path / "empty" / "assets" / "classifier.json").write_text('{"name": "x", "class_names": ["a", "b"]}')
    with pytest.raises(SuiteError, match="names 2 classes, but has 10 logits"):
        scoring_network.load(str(tmp_path / "empty"))
    for damaged in ("[]", "[" * 200_000):
        (tmp_path / "empty" / "assets" / "classifier.json").write_text(damaged)
        with pytest.raises(SuiteError, match="classifier.json is damaged"):
            scoring_network.load(str(tmp_path / "empty"))


@pytest.mark.parametrize("size", ["7", "1025"])
def test_sizes_that_the_network_cannot_take_are_refused(tmp_path, capsys, size):
    assert cli.run(command.main, ["--output", str(tmp_path / "c.npz"), "--image-size", size]) == 2
    assert f"--image-size must be from 8 to 1024. Received: {size}" in capsys.readouterr().err


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
    for names, message in ([], "0 classes"), (["a"] * 100_001, "100001 classes"):
        many = json.dumps({"name": "x", "image_size": 32, "class_names": names})
        np.savez(tmp_path / "f.npz", about=np.array(many), weight_0=np.zeros(3))
        with pytest.raises(SuiteError, match=message):
            classifier.load(str(tmp_path / "f.npz"))
    np.savez_compressed(tmp_path / "g.npz", about=np.array(about), weight_0=np.zeros((90, 1 << 20), np.uint8))
    with pytest.raises(SuiteError, match="weight_0 claims 94,371,840 bytes .* more than 100 times less"):
        classifier.load(str(tmp_path / "g.npz"))
    np.savez(tmp_path / "h.npz", about=np.array("[" * 100_000), weight_0=np.zeros(3))
    with pytest.raises(SuiteError, match="no classifier.*recursion"):
        classifier.load(str(tmp_path / "h.npz"))
    np.savez(tmp_path / "d.npz", about=np.array([{}], dtype=object))
    with pytest.raises(SuiteError, match="no classifier"):
        classifier.load(str(tmp_path / "d.npz"))
    with pytest.raises(UsageError, match="must be one of shapes.*Received: nowhere"):
        classifier.load("nowhere")


def test_the_choices_are_the_table():
    assert tuple(CLASSIFIERS) == classifier.NETWORKS


def test_the_residual_one_has_the_layers_of_its_table():
    network = CLASSIFIERS["residual"](32, 3, 10)
    outputs = {layer.name: layer.output.shape[1:] for layer in network.layers}
    assert outputs["stem_relu"] == (32, 32, 16) and outputs["block_0"] == (16, 16, 32)
    assert outputs["block_1"] == (8, 8, 64) and outputs["block_2"] == (4, 4, 128)
    assert network.output["pool_3"].shape == (None, 128) and network.output["logits"].shape == (None, 10)
    kernels = {  # input channels x output channels of each convolution
        (3, 16): 1, (16, 32): 1, (32, 32): 2, (32, 64): 1, (64, 64): 2, (64, 128): 1, (128, 128): 2,
    }  # fmt: skip
    convolutions = sum(9 * a * b * count for (a, b), count in kernels.items())
    norms = sum(2 * b * count for (_, b), count in kernels.items())
    assert sum(int(np.prod(w.shape)) for w in network.trainable_weights) == convolutions + norms + 128 * 10 + 10


def test_augmentation_mirrors_half_and_shifts_all_ways():
    """One bright pixel in the middle tells where it came to lie; a row of two tells whether it was mirrored."""
    images = np.zeros((4_000, 16, 16, 3), np.uint8)
    images[:, 8, 7], images[:, 8, 8] = 100, 200
    out = classifier.augmented(tf.constant(images), tf.constant([3, 4])).numpy()
    assert out.dtype == np.uint8 and out.shape == images.shape
    rows, columns = np.argwhere(out[..., 0] == 200)[:, 1:].T
    left = np.argwhere(out[..., 0] == 100)[:, 2]
    mirrored = left > columns
    assert abs(mirrored.mean() - 0.5) < 0.04
    assert (np.abs(left - columns) == 1).all()
    for offsets in (rows - 8, np.where(mirrored, columns - 7, columns - 8)):
        values, counts = np.unique(offsets, return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2] and counts.min() > 650  # of 800
    assert (classifier.augmented(tf.constant(images), tf.constant([3, 4])).numpy() == out).all()
    assert (classifier.augmented(tf.constant(images), tf.constant([3, 5])).numpy() != out).any()


def test_what_comes_in_at_an_edge_is_mirrored():
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3)).astype(np.uint8)
    out = classifier.augmented(tf.constant(np.repeat(image, 50, axis=0)), tf.constant([0, 1])).numpy()
    padded = np.pad(image[0], [(2, 2), (2, 2), (0, 0)], mode="reflect")
    mirrored = np.pad(image[0][:, ::-1], [(2, 2), (2, 2), (0, 0)], mode="reflect")
    possible = {p[r : r + 16, c : c + 16].tobytes() for p in (padded, mirrored) for r in range(5) for c in range(5)}
    assert {one.tobytes() for one in out} <= possible


def test_network_augmentation_and_weight_decay_reach_the_training():
    data, seen = shapes.draw(256, seed=1), []
    settings = {"epochs": 1, "seed": 0, "report": seen.append}
    plain = classifier.train(data, data, **settings)[0].get_weights()
    for change in ({"kind": "residual"}, {"augment": True}, {"weight_decay": 0.5}):
        other = classifier.train(data, data, **settings, **change)[0].get_weights()
        assert len(other) != len(plain) or any((a != b).any() for a, b in zip(other, plain, strict=True)), change
    assert len(seen) == 4


def test_weight_decay_shrinks_kernels_alone():
    """Every kernel ends smaller with a strong decay than without."""
    data, settings = shapes.draw(256, seed=1), {"epochs": 2, "seed": 0, "report": lambda line: None}
    norms = []
    for decay in (0.0, 0.9):
        network, _ = classifier.train(data, data, kind="residual", weight_decay=decay, **settings)
        norms.append([float(np.linalg.norm(w)) for w in network.trainable_weights if "kernel" in w.path])
    assert all(with_decay < without for without, with_decay in zip(*norms, strict=True))


def test_the_kind_of_network_survives_the_file(tmp_path):
    network = CLASSIFIERS["residual"](16, 3, 10)
    about = {"network": "residual", "test_accuracy": 0.1}
    data = shapes.draw(10, seed=0, image_size=16)
    classifier.save(tmp_path / "c.npz", network, name="mine", data=data, about=about)
    loaded = classifier.load(str(tmp_path / "c.npz")).network
    images = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded(images)["logits"], network(images)["logits"])
