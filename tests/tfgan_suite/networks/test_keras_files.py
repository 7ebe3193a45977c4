"""`.keras` files from elsewhere: each attack is refused before Keras sees the file, each ordinary model is loaded."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from data_tools.errors import SuiteError
from tfgan_suite.networks import keras_files


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small classifier with a bit of everything that ordinary models have, as a file."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.RandomFlip()(keras.layers.Rescaling(0.5)(inputs)) * 2 + 1
    x = keras.layers.Conv2D(
        4, 3, activation=keras.activations.gelu, kernel_regularizer="l2", bias_constraint="max_norm"
    )(x)
    x = keras.layers.SpectralNormalization(keras.layers.Dense(3, dtype="mixed_bfloat16"))(
        keras.ops.mean(x, axis=(1, 2))
    )
    head = keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Dense(5, "softmax")])
    model = keras.Model(inputs, {"logits": head(x)})
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 9)), "mse", metrics=["accuracy"])
    path = tmp_path_factory.mktemp("keras") / "whole.keras"
    model.save(path)
    return path, model


@pytest.fixture
def unseen(monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras saw it"))


def rewritten(source, to, members=None, packing=zipfile.ZIP_STORED, extra=()):
    """The file with other contents of some members, and more members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(to, "w", packing) as new:
        for name in old.namelist():
            new.writestr(name, (members or {}).get(name, old.read(name)))
        for name, content in extra:
            new.writestr(name, content)
    return to


def with_layer(source, to, **described):
    """The file with one of its layers described in another way."""
    with zipfile.ZipFile(source) as old:
        config = json.loads(old.read("config.json"))
    config["config"]["layers"][1] |= described
    return rewritten(source, to, {"config.json": json.dumps(config)})


def with_weights(source, to, change):
    """The file with `change(h5py.File)` done to its weights."""
    with zipfile.ZipFile(source) as old:
        content = io.BytesIO(old.read("model.weights.h5"))
    with h5py.File(content, "a") as file:
        change(file)
    return rewritten(source, to, {"model.weights.h5": content.getvalue()})


def test_an_ordinary_model_is_loaded(whole, tmp_path):
    path = whole[0]
    expected = keras.saving.load_model(path)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    packed = rewritten(path, tmp_path / "packed.keras", packing=zipfile.ZIP_DEFLATED)
    for place in (path, packed):
        found = keras_files.load(place)(images, training=False)
        np.testing.assert_array_equal(found["logits"], expected(images, training=False)["logits"])


@pytest.mark.parametrize(
    "described",
    [
        {"module": "keras.utils", "class_name": "get_file", "config": {"fname": "x", "origin": "http://127.0.0.1:9/x"}},
        {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
        {"module": "os", "class_name": "system", "config": "true"},
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/evil"}},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "x"}},
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        {"module": "builtins", "class_name": "__lambda__", "config": {"value": "x"}},
        {"module": "builtins", "class_name": "function", "config": {"class_name": "__lambda__"}},
        {"module": None, "class_name": "Lambda", "config": {}},
        {"module": ["keras"], "class_name": {"a": 1}, "config": {}},
    ],
    ids=lambda described: str(described["class_name"]),
)
def test_what_is_no_layer_that_only_computes_is_refused(whole, tmp_path, unseen, described):
    for nested in (described, {"config": {"anything": [1, {"deep": described}]}}):
        with pytest.raises(SuiteError, match="which is no layer that only computes"):
            keras_files.load(with_layer(whole[0], tmp_path / "m.keras", **nested))


def linked_outside(file):
    del file["layers"]
    file["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def linked_inside(file):
    file["again"] = h5py.SoftLink("/layers")


def stored_outside(file):
    file.create_dataset("evil", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("evil", layout)


def empty_and_huge(file):
    file.create_dataset("evil", (10**6, 10**6), "f4", chunks=(100, 100), compression="gzip")


def in_a_circle(file):
    file["layers"]["circle"] = file["/"]


@pytest.mark.parametrize(
    "change, message",
    [
        (linked_outside, "its weights hold a link, 'layers'"),
        (linked_inside, "its weights hold a link, 'again'"),
        (stored_outside, "its weights lie outside of it, 'evil'"),
        (virtual, "its weights lie outside of it, 'evil'"),
        (empty_and_huge, "the array 'evil' claims 4,000,000,000,000 bytes and has 0 in the file"),
        (in_a_circle, "go round in a circle"),
    ],
)
def test_weights_that_are_elsewhere_or_nowhere_are_refused(whole, tmp_path, unseen, monkeypatch, change, message):
    monkeypatch.setattr(keras_files, "_MOST_OBJECTS", 1000)
    with pytest.raises(SuiteError, match=message):
        keras_files.load(with_weights(whole[0], tmp_path / "m.keras", change))


def test_a_file_that_unpacks_to_more_than_it_may_is_refused(whole, tmp_path, unseen, monkeypatch):
    monkeypatch.setattr(keras_files, "_SMALL", 1 << 20)
    huge = {"model.weights.h5": bytes(2 << 20)}
    bomb = rewritten(whole[0], tmp_path / "m.keras", huge, zipfile.ZIP_DEFLATED)
    with pytest.raises(SuiteError, match="model.weights.h5 claims 2,097,152 bytes and has 2,0.. in the file"):
        keras_files.load(bomb)
    monkeypatch.setattr(keras_files, "_MOST_CONFIG", 100)
    with pytest.raises(SuiteError, match="config.json claims"):
        keras_files.load(whole[0])


def test_more_in_the_file_than_a_model_is_refused(whole, tmp_path, unseen):
    for name in ("assets/vocabulary.txt", "../evil", "config.json"):
        with pytest.warns(UserWarning) if name == "config.json" else pytest.MonkeyPatch.context():
            path = rewritten(whole[0], tmp_path / "m.keras", extra=[(name, b"{}")])
        with pytest.raises(SuiteError, match="must hold config.json, metadata.json, model.weights.h5 and nothing else"):
            keras_files.load(path)


@pytest.mark.parametrize("config", ["[" * 100_000, "{}", "null", "nonsense", '{"class_name": 3, "module": "keras"}'])
def test_a_description_that_is_none_is_refused_in_one_line(whole, tmp_path, config):
    with pytest.raises(SuiteError, match="no Keras model that can be loaded safely") as caught:
        keras_files.load(rewritten(whole[0], tmp_path / "m.keras", {"config.json": config}))
    assert len(str(caught.value).splitlines()) == 1
