"""Exports read back by what will read them: plain files, NumPy, tf.data, and the dataset `folder`."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from data_tools import folder
from tests.data_tools.flickr.fake_flickr import Photo


@pytest.fixture
def prepared(flickr, collect, distinct_photographs):
    """A collection of seven prepared photographs of two classes; gives their classes by id, in order."""
    files = distinct_photographs(7)
    photos = [Photo(1_000 + index, ["snake" if index % 3 else "gecko"], body) for index, body in enumerate(files)]
    server = flickr(photos)
    assert collect(server, "search", "--tags", "gecko", "snake") == 0
    assert collect(server, "download") == 0
    assert collect(server, "prepare", "--size", 32) == 0
    return {photo.id: photo.words[0] for photo in photos}


def pixels(tmp_path, identity, name):
    return np.asarray(Image.open(tmp_path / "collection" / "prepared" / "32" / name / f"{identity}.png"))


def export(collect, tmp_path, *arguments):
    return collect(None, "export", "--size", 32, "--to", tmp_path / "out", *arguments)


@pytest.mark.parametrize("link", [False, True])
def test_folders(prepared, collect, tmp_path, link):
    assert export(collect, tmp_path, *(["--link"] if link else [])) == 0
    for identity, name in prepared.items():
        path = tmp_path / "out" / name / f"{identity}.png"
        source = tmp_path / "collection" / "prepared" / "32" / name / path.name
        assert path.read_bytes() == source.read_bytes()
        assert os.path.samefile(path, source) == link
    data = folder.load("train", image_size=32, data_dir=tmp_path / "out")
    assert data.class_names == ("gecko", "snake") and len(data) == 7
    again = folder.load("train", image_size=32, data_dir=tmp_path / "collection" / "prepared" / "32")
    assert again.fingerprint() == data.fingerprint()


def test_array(prepared, collect, tmp_path):
    assert export(collect, tmp_path, "--format", "array") == 0
    images = np.load(tmp_path / "out" / "images.npy", mmap_mode="r")
    labels = np.load(tmp_path / "out" / "labels.npy")
    assert isinstance(images, np.memmap) and images.dtype == np.uint8 and images.shape == (7, 32, 32, 3)
    assert labels.dtype == np.int32
    names = json.loads((tmp_path / "out" / "class_names.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == list(prepared)
    for index, line in enumerate(lines):
        assert names[labels[index]] == prepared[line["id"]] and line["label"] == labels[index]
        assert (images[index] == pixels(tmp_path, line["id"], prepared[line["id"]])).all()
    facts = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (facts["images"], facts["size"], facts["classes"]) == (7, 32, 2)


def test_tfrecord(prepared, collect, tmp_path):
    import tensorflow as tf

    assert export(collect, tmp_path, "--format", "tfrecord", "--shard-size", 3) == 0
    shards = sorted(path.name for path in (tmp_path / "out").glob("*.tfrecord"))
    assert shards == [f"photos-0000{index}-of-00003.tfrecord" for index in range(3)]
    texts = ("image/encoded", "image/class/text", "image/id", "image/licence", "image/attribution")
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in texts}
    spec["image/class/label"] = tf.io.FixedLenFeature([], tf.int64)
    records = tf.data.TFRecordDataset([str(tmp_path / "out" / name) for name in shards])
    found = []
    for example in records.map(lambda record: tf.io.parse_single_example(record, spec)):
        identity, name = example["image/id"].numpy().decode(), example["image/class/text"].numpy().decode()
        found.append(identity)
        assert name == prepared[identity] == ("gecko", "snake")[int(example["image/class/label"])]
        decoded = tf.io.decode_png(example["image/encoded"], channels=3).numpy()
        assert (decoded == pixels(tmp_path, identity, name)).all()
        assert b"Owner" in example["image/attribution"].numpy() and example["image/licence"].numpy() == b"by"
    assert found == list(prepared)


@pytest.mark.parametrize("format", ["folders", "array"])
def test_attribution_comes_along(prepared, collect, tmp_path, format):
    assert export(collect, tmp_path, "--format", format) == 0
    assert (tmp_path / "out" / "ATTRIBUTION.md").read_text().count("\n- ") == 7


def test_refusals_write_nothing(prepared, collect, tmp_path, capsys):
    assert collect(None, "export", "--size", 64, "--to", tmp_path / "out") == 1
    assert "nothing is prepared at 64 x 64: run the command prepare --size 64 first" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    assert export(collect, tmp_path) == 2
    assert "--to must be a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_changed_picture_is_not_exported(prepared, collect, tmp_path, capsys):
    (tmp_path / "collection" / "prepared" / "32" / "gecko" / "1003.png").write_bytes(b"changed")
    assert export(collect, tmp_path) == 1
    assert "1003.png is gone or was changed: delete it and run the command prepare again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "collection" / "prepared" / "32" / "gecko" / "1003.png").unlink()
    assert collect(None, "prepare", "--size", 32) == 0
    assert export(collect, tmp_path) == 0  # over what the failure left
    assert not list(tmp_path.glob(".*.tmp"))
