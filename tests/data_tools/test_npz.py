import hashlib
import io
import json
import os
import struct
import warnings
import zipfile
import zlib

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


@pytest.mark.parametrize("images", [np.zeros((6, 4, 4), np.int64), np.zeros((6, 4, 4), bool)])
def test_numbers_that_no_picture_has_are_refused_in_scoring(tmp_path, images):
    with pytest.raises(DataError, match="images must be uint8 or floats"):
        npz.arrays(save(tmp_path / "a.npz", images=images))


def header(shape, descr="|u1", fortran_order=False):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": fortran_order, "shape": shape})
    return buffer.getvalue()


def written(path, *members, packing=zipfile.ZIP_DEFLATED):
    """A zip file of (name, bytes)."""
    with zipfile.ZipFile(path, "w", packing) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            archive.writestr(name, content)
    return path


PLAIN = "an array must hold real numbers or strings. Received: "


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((10**6, 10**6, 10**6, 3)), "claims 3,000,000,000,000,000,000 bytes in a file of 128, where 0 follow"),
        (header((20, 32, 32, 3)) + bytes(10), "claims 61,440 bytes in a file of 138, where 10 follow"),
        (header((1, 2, 2, 3)) + bytes(10**6), "claims 12 bytes in a file of 1,000,128, where 1,000,000 follow"),
        (header((10**9, 10**9), fortran_order=True), "claims 1,000,000,000,000,000,000 bytes in a file of 128"),
        (header((0, 10**40)), "cannot be read"),
        (header((-5, 2, 2, 3)), PLAIN + r"uint8 \(-5, 2, 2, 3\)"),
        (header((2,), "<c16") + bytes(32), PLAIN + "complex128"),
        (header((2,), "|O") + bytes(32), PLAIN + "object"),
        (header((2,), [("a", "<f8"), ("b", "|O")]) + bytes(32), PLAIN + r"\[\('a', '<f8'\), \('b', 'O'\)\]"),
        (header((2,), ("|u1", (3, 2**20))) + bytes(32), "cannot be read"),
        (header((1,), f"<U{2**28}"), "claims 1,073,741,824 bytes in a file of 128"),
        (b"\x93NUMPY\x07\x00\x10\x00" + bytes(60), "cannot be read"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 60_000, "cannot be read"),
        (b"not an array", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_hostile_headers_are_refused_unread(tmp_path, content, message):
    path = written(tmp_path / "a.npz", ("images.npy", content))
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(DataError, match=message):
        npz.read_all(path)


def bomb(path, claimed_packed=None):
    """3 GB of zeros as Deflate packs them, a thousandth; only the checksum, which nobody gets to, is not theirs."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(header((3000, 1000, 1000))) + packer.flush(zlib.Z_FULL_FLUSH)
    packed += 300 * (packer.compress(bytes(10**7)) + packer.flush(zlib.Z_FULL_FLUSH))
    content = bytearray(written(path, ("images.npy", packed + packer.flush()), packing=zipfile.ZIP_STORED).read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 10] = content[8] = zipfile.ZIP_DEFLATED
    content[entry + 24 : entry + 28] = struct.pack("<I", 128 + 3 * 10**9)
    if claimed_packed:
        content[entry + 20 : entry + 24] = struct.pack("<I", claimed_packed)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("claimed_packed", [None, 2 * 10**9])
def test_a_huge_array_in_a_small_file_is_not_unpacked(tmp_path, monkeypatch, claimed_packed):
    path = bomb(tmp_path / "a.npz", claimed_packed)
    assert path.stat().st_size < 3_000_000
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("it was unpacked"))
    message = r"images claims 3,000,000,000 bytes and has 2,9\d\d,\d\d\d in the file, more than 100 times less"
    for read in (load, npz.arrays, npz.read_all, lambda path: npz.read(path, "images")):
        with pytest.raises(DataError, match=message):
            read(path)


def test_the_limits_are_those_of_the_caller(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros((600, 32, 32, 3), np.uint8), labels=np.zeros(600, np.int64))
    assert path.stat().st_size < 20_000
    assert set(npz.read_all(path)) == {"images", "labels"}
    for limit, passes in ((1_843_200 + 4_800, True), (1_843_200 + 4_799, False)):
        if passes:
            assert npz.read_all(path, most_bytes=limit)["labels"].shape == (600,)
        else:
            with pytest.raises(DataError, match="labels claims 1,848,000 bytes in .* at most 1,847,999 are read"):
                npz.read_all(path, most_bytes=limit)
    with pytest.raises(DataError, match="at most 1,000,000 are read"):
        npz.read(path, "images", most_bytes=1_000_000)
    monkeypatch.setattr(npz, "_SMALL", 1 << 20)
    assert npz.read_all(path, expansion=2000)["images"].nbytes == 1_843_200
    with pytest.raises(DataError, match="more than 100 times less"):
        npz.read_all(path)


def test_what_a_zip_file_says_of_itself_is_not_believed(tmp_path):
    """Sizes in the list of members that are not those of what follows, a password, another packing, a name twice."""
    good = written(tmp_path / "a.npz", ("images.npy", header((6, 20, 20, 3)) + IMAGES.tobytes()))
    assert len(load(good)) == 6
    content = good.read_bytes()
    entry = content.rindex(b"PK\x01\x02")
    for sizes, message in (
        ((7328, 128 + 2**31), "images claims 7,200 bytes in a file of 2,147,483,776"),
        ((7328, 130), "cannot be read.*Bad CRC"),
    ):
        lying = content[: entry + 20] + struct.pack("<II", *sizes) + content[entry + 28 :]
        (tmp_path / "b.npz").write_bytes(lying)
        with pytest.raises(DataError, match=message):
            load(tmp_path / "b.npz")
    start = content.rindex(b"PK\x03\x04")
    secret = bytearray(content)
    secret[entry + 8] |= 1
    secret[start + 6] |= 1
    (tmp_path / "b.npz").write_bytes(secret)
    with pytest.raises(DataError, match="cannot be read as an .npz file.*encrypted"):
        load(tmp_path / "b.npz")
    array = header((6, 20, 20, 3)) + IMAGES.tobytes()
    with pytest.raises(DataError, match="images is packed in a way that NumPy does not know"):
        load(written(tmp_path / "b.npz", ("images.npy", array), packing=zipfile.ZIP_LZMA))
    for second in ("images.npy", "images"):
        with pytest.raises(DataError, match="holds two arrays 'images'"):
            load(written(tmp_path / "b.npz", ("images.npy", array), (second, array)))


def test_names_in_a_message_steer_no_terminal(tmp_path):
    path = written(tmp_path / "a.npz", ("\x1b]0;evil\x07" + "x" * 5000 + ".npy", header((1,)) + b"1"))
    with pytest.raises(DataError, match="must hold 'images', or 'x_train'. Received: .]0;evil.x{50}") as caught:
        load(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(DataError, match="a.npz must be an .npz file. Received: no file"):
        load(tmp_path / "a.npz")
    with pytest.raises(DataError, match="b.npz must be an .npz file. Received: nothing there"):
        npz.read_all(tmp_path / "b.npz")
    (write_folder(tmp_path / "arrays") / "images.npy").unlink()
    os.mkfifo(tmp_path / "arrays" / "images.npy")
    with pytest.raises(DataError, match="images.npy cannot be read .it is no file"):
        load(tmp_path / "arrays")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", json.dumps({}).encode(), b"hello\n", header((2,)) + b"12"])
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


def test_all_arrays_are_refused_by_their_headers_before_any_is_expanded(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, small=np.arange(3), large=np.zeros(1000, np.uint8))
    monkeypatch.setattr(npz, "_expanded", lambda *_: pytest.fail("an array was expanded"))
    with pytest.raises(DataError, match=r"claims 1,024 bytes in a file of \d+: at most 1,000 are read"):
        npz.read_all(path, most_bytes=1000)
    np.savez_compressed(path, small=np.arange(3))
    seen = []

    def check(forms):
        seen.append(forms)
        raise DataError("not this one")

    with pytest.raises(DataError, match="not this one"):
        npz.read_all(path, check=check)
    assert seen == [{"small": ((3,), np.dtype(int))}]


def test_a_file_with_two_arrays_of_one_name_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for value in (1, 2):
            with archive.open("a.npy", "w") as member:
                np.lib.format.write_array(member, np.array(value))
    with pytest.raises(DataError, match="holds two arrays 'a'"):
        npz.read_all(tmp_path / "a.npz")
