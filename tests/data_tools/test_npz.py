import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from data_tools import command as commands
from data_tools import npz, reptiles, splits
from data_tools.errors import DataError, NoSplitError
from data_tools.flickr import __main__ as flickr
from data_tools.flickr.store import Store

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 20, 20, 3), dtype=np.uint8)


def load(path, split="train", **form):
    return npz.load(split, data_dir=path, **{"image_size": 20, **form})


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_images_labels_and_names(tmp_path, compressed):
    write = np.savez_compressed if compressed else np.savez
    write(tmp_path / "a.npz", images=IMAGES, labels=np.arange(6) % 2, class_names=np.array(["x", "y"]))
    data = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(data.images, IMAGES)
    assert data.labels.tolist() == [0, 1, 0, 1, 0, 1] and data.class_names == ("x", "y")


def test_what_is_left_out(tmp_path):
    data = load(save(tmp_path / "a.npz", images=IMAGES[..., 0]), channels=1)
    np.testing.assert_array_equal(data.images, IMAGES[..., :1])
    assert data.class_names == ("images",) and not data.labels.any()
    data = load(save(tmp_path / "b.npz", images=IMAGES, labels=np.array([[3]] * 6)))
    assert data.class_names == ("0", "1", "2", "3") and data.labels.tolist() == [3] * 6


def test_keras_names_give_two_splits(tmp_path):
    path = save(tmp_path / "a.npz", x_train=IMAGES, y_train=np.zeros(6, int), x_test=IMAGES[:2], y_test=np.ones(2, int))
    assert len(load(path)) == 6 and load(path, "test").labels.tolist() == [1, 1]
    with pytest.raises(NoSplitError, match="has the splits train. Received: split='test'"):
        load(save(tmp_path / "b.npz", images=IMAGES), "test")
    with pytest.raises(NoSplitError, match="has the splits train. Received: split='test'"):
        load(save(tmp_path / "c.npz", x_train=IMAGES), "test")


def test_both_splits_of_a_keras_file_have_the_same_classes(tmp_path):
    path = save(
        tmp_path / "a.npz", x_train=IMAGES, y_train=np.arange(6) % 3, x_test=IMAGES[:2], y_test=np.arange(2) * 4
    )
    for split in ("train", "test"):
        assert load(path, split).class_names == ("0", "1", "2", "3", "4")


def test_an_array_without_a_name_is_that_of_the_images(tmp_path):
    np.savez(tmp_path / "a.npz", IMAGES)
    assert load(tmp_path / "a.npz").fingerprint() == load(save(tmp_path / "b.npz", images=IMAGES)).fingerprint()
    both = save(tmp_path / "c.npz", arr_0=IMAGES, x_train=IMAGES[:4], images=IMAGES[:5])
    assert len(load(both)) == 5
    assert len(load(save(both, arr_0=IMAGES, x_train=IMAGES[:4]))) == 4
    with pytest.raises(NoSplitError, match="has the splits train. Received: split='test'"):
        load(tmp_path / "a.npz", "test")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_whoever_scores_takes_numbers_of_any_type_as_they_are(tmp_path, dtype):
    images = IMAGES.astype(dtype) * dtype(0.5 if np.issubdtype(dtype, np.floating) else 1)
    found = npz.arrays(save(tmp_path / "a.npz", images=images, labels=np.array([[2]] * 6, np.int64)))
    assert found.images.dtype == dtype and found.labels.dtype == np.int32
    np.testing.assert_array_equal(found.images, images)
    assert found.labels.tolist() == [2] * 6 and found.class_names == ("0", "1", "2")
    found = npz.arrays(save(tmp_path / "b.npz", images=images[..., 1]))
    np.testing.assert_array_equal(found.images, images[..., 1:2])
    assert found.labels is None and found.class_names == ()
    keras = save(tmp_path / "c.npz", x_train=images, y_train=np.arange(6), x_test=images[:1], y_test=[7])
    assert npz.arrays(keras, "test").labels.tolist() == [7] and len(npz.arrays(keras).class_names) == 8
    if dtype != np.uint8:
        with pytest.raises(DataError, match="x_train must be uint8 .N, H, W.*, 0 to 255. Received: "):
            load(keras)


def test_names_without_labels_stay(tmp_path):
    path = save(tmp_path / "a.npz", images=IMAGES, class_names=np.array(["a", "b"]))
    assert npz.arrays(path).class_names == load(path).class_names == ("a", "b") and npz.arrays(path).labels is None


WRONG = {
    "one name twice": ({"images": IMAGES, "class_names": np.array(["b", "a", "a"])}, "Received: 'a' twice"),
    "floats": ({"images": IMAGES / 255}, r"images must be uint8 .*Received: float64 \(6, 20, 20, 3\)"),
    "two channels": ({"images": IMAGES[..., :2]}, r"images must be uint8"),
    "flat": ({"images": IMAGES.reshape(6, -1)}, r"images must be uint8"),
    "none": ({"images": IMAGES[:0]}, r"images must be uint8"),
    "other names": ({"pictures": IMAGES}, "must hold 'images', or 'x_train'. Received: pictures"),
    "too few labels": ({"images": IMAGES, "labels": np.zeros(5, int)}, "labels must be 6 integers"),
    "one-hot labels": ({"images": IMAGES, "labels": np.eye(6, dtype=int)}, "labels must be 6 integers"),
    "negative labels": ({"images": IMAGES, "labels": np.full(6, -1)}, "must be from 0 to 99999. Received: -1..-1"),
    "huge labels": ({"images": IMAGES, "labels": np.full(6, 2**40)}, "must be from 0 to 99999"),
    "nameless": (
        {"images": IMAGES, "labels": np.full(6, 1), "class_names": np.array(["a"])},
        "label 1 has no name, there are 1",
    ),
    "names as numbers": ({"images": IMAGES, "class_names": np.arange(3)}, "class_names must be strings"),
    "objects": ({"images": np.array([{}, None], dtype=object)}, "cannot be read as an .npz file of plain arrays"),
}


@pytest.mark.parametrize(("arrays", "message"), WRONG.values(), ids=list(WRONG))
def test_other_arrays_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load(save(tmp_path / "a.npz", **arrays))


SCORING = {  # the message where it is another one
    "floats": None,
    "two channels": r"images must be uint8 or floats \[N, S, S, 1 or 3\]. Received: uint8 \(6, 20, 20, 2\)",
    "other names": "must hold an array 'images' or 'arr_0', or 'x_train'. Received: pictures",
}


@pytest.mark.parametrize("name", [name for name in WRONG if SCORING.get(name, "") is not None])
def test_other_arrays_are_refused_in_scoring_too(tmp_path, name):
    arrays, message = WRONG[name]
    with pytest.raises(DataError, match=SCORING.get(name, message)):
        npz.arrays(save(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize(
    "images", [np.zeros((6, 4, 4), np.int64), np.zeros((6, 4, 4), bool), np.zeros((6, 4, 4), "c8")]
)
def test_numbers_that_no_picture_has_are_refused_in_scoring(tmp_path, images):
    with pytest.raises(DataError, match="images must be uint8 or floats"):
        npz.arrays(save(tmp_path / "a.npz", images=images))


def header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((10**6, 10**6, 10**6, 3)), "claims 3,000,000,000,000,000,000 bytes in a file of 128"),
        (header((20, 32, 32, 3)) + bytes(10), "claims 61,440 bytes in a file of 138"),
        (header((-5, 2, 2, 3)), "cannot be read|must be uint8"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 60_000, "cannot be read"),
        (b"not an array", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_hostile_headers_are_refused_unread(tmp_path, content, message):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "a.npz")


def test_a_bomb_is_refused_by_its_declared_size(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MOST_BYTES", 10_000_000)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros((6000, 32, 32, 3), np.uint8))
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match="at most 10,000,000 are read"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", json.dumps({}).encode()])
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an .npz file"):
        load(tmp_path / "a.npz")


def test_a_damaged_file_is_refused(tmp_path):
    path = save(tmp_path / "a.npz", images=IMAGES)
    content = bytearray(path.read_bytes())
    content[3000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an .npz file.*CRC"):
        load(path)


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match="needs --data-dir FILE.npz"):
        load(None)
    with pytest.raises(DataError, match="must be an .npz file or a folder of .npy files. Received: .*nowhere"):
        load(tmp_path / "nowhere.npz")


def write_folder(place, **files):
    place.mkdir()
    for name, content in {"images": IMAGES, "labels": np.arange(6) % 2, "class_names": ["x", "y"], **files}.items():
        if isinstance(content, np.ndarray):
            np.save(place / f"{name}.npy", content)
        elif content is not None:
            (place / f"{name}.json").write_text(json.dumps(content))
    return place


def test_a_folder_of_arrays_is_mapped(tmp_path):
    data = load(write_folder(tmp_path / "arrays"))
    assert isinstance(data.images, np.memmap) and not data.images.flags.writeable
    same = save(tmp_path / "a.npz", images=IMAGES, labels=np.arange(6) % 2, class_names=np.array(["x", "y"]))
    assert data.fingerprint() == load(same).fingerprint()
    assert load(tmp_path / "arrays", image_size=16).fingerprint() == load(same, image_size=16).fingerprint()


def test_what_the_collector_exports_as_an_array_is_read(tmp_path, sources):
    collection = sources.write_collection(tmp_path / "collection")
    with Store(collection) as store:
        for path in (collection / "prepared").glob("*/*/*.png"):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            store.write("UPDATE prepared SET sha256 = ? WHERE photo = ?", digest, path.stem)
    to = tmp_path / "array"
    arguments = ["export", "--output", collection, "--size", 64, "--format", "array", "--to", to, "--debug"]
    assert commands.run(flickr.main, [*map(str, arguments)]) == 0
    for split in splits.SPLITS:  # by id in one, by class and id in the other, which is the same here
        expected = reptiles.load(split, image_size=64, data_dir=collection)
        assert npz.load(split, image_size=64, data_dir=to).fingerprint() == expected.fingerprint()
    with pytest.raises(DataError, match="packed array of a collection: use --dataset npz"):
        reptiles.load("train", image_size=64, data_dir=to)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"images": None}, "must hold 'images', or 'x_train'. Received: class_names, labels"),
        ({"images": IMAGES / 255}, "images must be uint8"),
        ({"images": np.array([{}], dtype=object)}, "images.npy cannot be read"),
        ({"labels": np.zeros(5, int)}, "labels must be 6 integers"),
        ({"class_names": {"x": 1}}, "class_names.json must hold a list of strings"),
        ({"class_names": []}, "class_names must be strings"),
    ],
)
def test_other_folders_are_refused(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        load(write_folder(tmp_path / "arrays", **files))


@pytest.mark.parametrize("content", [b"", b"no array", header((9**9, 9**9, 9**9, 3)), header((6, 20, 20, 3)) + b"few"])
def test_damaged_arrays_in_a_folder_are_refused(tmp_path, content):
    (write_folder(tmp_path / "arrays") / "images.npy").write_bytes(content)
    with pytest.raises(DataError, match="images.npy cannot be read"):
        load(tmp_path / "arrays")
