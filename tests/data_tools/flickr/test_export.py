"""Exports read back by what will read them: plain files, NumPy, tf.data, and the dataset `folder`."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from data_tools import folder, npz, reptiles
from data_tools.errors import NoSplitError
from data_tools.flickr.store import Store
from tests.data_tools.flickr.fake_flickr import Photo

OWNERS = (0, 6, 10, 1)
SPLITS = {"train": ["1000", "1003", "1004", "1007", "1008"], "test": ["1001", "1005"], "selection": ["1002", "1006"]}


@pytest.fixture
def prepared(flickr, collect, distinct_photographs):
    """A collection of nine prepared photographs of two classes and four people; gives their classes by id, in order.

    By SHA-256 of the owner modulo 10, 6@N01 is for the test, 10@N01 for selection, and the others are for training.
    """
    files = distinct_photographs(9)
    photos = [
        Photo(1_000 + index, ["snake" if index % 3 else "gecko"], body, owner=f"{OWNERS[index % 4]}@N01")
        for index, body in enumerate(files)
    ]
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
    for split, identities in SPLITS.items():
        for identity in identities:
            path = tmp_path / "out" / split / prepared[identity] / f"{identity}.png"
            source = tmp_path / "collection" / "prepared" / "32" / prepared[identity] / path.name
            assert path.read_bytes() == source.read_bytes()
            assert os.path.samefile(path, source) == link
        data = folder.load(split, image_size=32, data_dir=tmp_path / "out")
        assert data.class_names == ("gecko", "snake") and len(data) == len(identities)
        of_dataset = reptiles.load(split, image_size=32, data_dir=tmp_path / "collection")
        assert of_dataset.fingerprint() == data.fingerprint()  # one rule for both


def test_array(prepared, collect, tmp_path):
    assert export(collect, tmp_path, "--format", "array") == 0
    names = json.loads((tmp_path / "out" / "class_names.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == list(prepared)
    for split, identities in SPLITS.items():
        images = np.load(tmp_path / "out" / f"x_{split}.npy", mmap_mode="r")
        labels = np.load(tmp_path / "out" / f"y_{split}.npy")
        assert isinstance(images, np.memmap) and images.dtype == np.uint8 and labels.dtype == np.int32
        assert images.shape == (len(identities), 32, 32, 3)
        chosen = [line for line in lines if line["split"] == split]
        assert [line["id"] for line in chosen] == identities
        for index, line in enumerate(chosen):
            assert names[labels[index]] == prepared[line["id"]] and line["label"] == labels[index]
            assert (images[index] == pixels(tmp_path, line["id"], prepared[line["id"]])).all()
        data = npz.load(split, image_size=32, data_dir=tmp_path / "out")
        assert (data.images == images).all() and (data.labels == labels).all()
    facts = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (facts["images"], facts["size"], facts["classes"]) == (9, 32, 2)
    assert facts["splits"] == {split: len(identities) for split, identities in SPLITS.items()}


def test_a_split_without_photographs_is_left_out(prepared, collect, tmp_path):
    with Store(tmp_path / "collection") as store:
        store.write("UPDATE photos SET owner = '0@N01'")
    assert export(collect, tmp_path, "--format", "array") == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.npy")) == ["x_train.npy", "y_train.npy"]
    with pytest.raises(NoSplitError):
        npz.load("selection", image_size=32, data_dir=tmp_path / "out")


def test_tfrecord(prepared, collect, tmp_path):
    import tensorflow as tf

    assert export(collect, tmp_path, "--format", "tfrecord", "--shard-size", 3) == 0
    shards = sorted(path.name for path in (tmp_path / "out").glob("*.tfrecord"))
    assert shards == [
        *("selection-00000-of-00001.tfrecord", "test-00000-of-00001.tfrecord"),
        *("train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"),
    ]
    texts = ("image/encoded", "image/class/text", "image/split", "image/id", "image/licence", "image/attribution")
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in texts}
    spec["image/class/label"] = tf.io.FixedLenFeature([], tf.int64)
    found = {split: [] for split in SPLITS}
    for shard in shards:
        records = tf.data.TFRecordDataset(str(tmp_path / "out" / shard))
        for example in records.map(lambda record: tf.io.parse_single_example(record, spec)):
            identity, name = example["image/id"].numpy().decode(), example["image/class/text"].numpy().decode()
            found[shard.partition("-")[0]].append(identity)
            assert example["image/split"].numpy().decode() == shard.partition("-")[0]
            assert name == prepared[identity] == ("gecko", "snake")[int(example["image/class/label"])]
            decoded = tf.io.decode_png(example["image/encoded"], channels=3).numpy()
            assert (decoded == pixels(tmp_path, identity, name)).all()
            assert b"Owner" in example["image/attribution"].numpy() and example["image/licence"].numpy() == b"by"
    assert found == SPLITS


@pytest.mark.parametrize("format", ["folders", "array"])
def test_attribution_comes_along(prepared, collect, tmp_path, format):
    assert export(collect, tmp_path, "--format", format) == 0
    assert (tmp_path / "out" / "ATTRIBUTION.md").read_text().count("\n- ") == 9


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
