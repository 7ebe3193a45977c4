"""IDX files, and the two datasets that come in them."""

import gzip
import struct

import numpy as np
import pytest

from data_tools import fashion_mnist, idx, mnist
from data_tools.errors import DataError


@pytest.mark.parametrize("compressed", [True, False])
def test_both_forms_give_the_arrays(tmp_path, sources, compressed):
    root = sources.write_idx(tmp_path / "files", compressed)
    for seed, split in enumerate(("train", "test")):
        images, labels = sources.mnist_arrays(seed)
        for data in (mnist.load(split, data_dir=root), fashion_mnist.load(split, data_dir=root)):
            np.testing.assert_array_equal(data.images[..., 0], images)
            np.testing.assert_array_equal(data.labels, labels)


def test_mnist_is_the_same_from_keras_file(tmp_path, sources):
    (images, labels), (test_images, test_labels) = sources.mnist_arrays(0), sources.mnist_arrays(1)
    np.savez_compressed(tmp_path / "mnist.npz", x_train=images, y_train=labels, x_test=test_images, y_test=test_labels)
    root = sources.write_idx(tmp_path / "files")
    for split in ("train", "test"):
        fingerprints = {
            mnist.load(split, data_dir=place).fingerprint() for place in (tmp_path, tmp_path / "mnist.npz", root)
        }
        assert len(fingerprints) == 1


HEADER = struct.pack(">HBBIII", 0, 8, 3, 2, 28, 28)
GOOD = HEADER + bytes(2 * 784)
HOSTILE = {
    "empty": (b"", "must be an IDX file of bytes in 3 dimensions"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "must be an IDX file"),
    "floats": (struct.pack(">HBBIII", 0, 13, 3, 2, 28, 28) + bytes(2 * 784 * 4), "must be an IDX file"),
    "one dimension": (struct.pack(">HBBI", 0, 8, 1, 3) + bytes(3), "in 3 dimensions"),
    "no sizes": (HEADER[:9], "cannot be read"),
    "nothing in it": (struct.pack(">HBBIII", 0, 8, 3, 0, 28, 28), "claims 0 x 28 x 28 bytes"),
    "terabytes": (struct.pack(">HBBIII", 0, 8, 3, 2**32 - 1, 2**32 - 1, 28), "claims 4294967295 x 4294967295 x 28"),
    "too short": (GOOD[:-1], "must hold 1,568 bytes"),
    "too long": (GOOD + b"\0", "must hold 1,568 bytes"),
    "truncated gzip": (gzip.compress(GOOD)[:-12], "cannot be read|must hold"),
    "a wrong sum": (gzip.compress(GOOD)[:-5] + b"\0\0\0\0\0", "cannot be read"),
    "a bomb": (gzip.compress(HEADER + bytes(50_000_000)), "must hold 1,568 bytes"),
}


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_damaged_and_hostile_files_are_named(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        idx.read(path, 3)
    assert str(path) in str(caught.value)


def test_files_that_do_not_belong_together(tmp_path, sources):
    root = sources.write_idx(tmp_path / "files", compressed=False)
    (root / "train-labels-idx1-ubyte").write_bytes(sources.idx_bytes(np.zeros(29, np.uint8)))
    with pytest.raises(DataError, match="has 30 images, train-labels-idx1-ubyte 29 labels"):
        mnist.load("train", data_dir=root)
    (root / "train-labels-idx1-ubyte").write_bytes(sources.idx_bytes(np.full(30, 10, np.uint8)))
    with pytest.raises(DataError, match="labels must be integers from 0 to 9"):
        mnist.load("train", data_dir=root)
    (root / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="must hold train-labels-idx1-ubyte, plain or with .gz"):
        mnist.load("train", data_dir=root)
    (root / "t10k-images-idx3-ubyte").write_bytes(sources.idx_bytes(np.zeros((30, 32, 32), np.uint8)))
    with pytest.raises(DataError, match="must hold uint8 images of 28x28"):
        mnist.load("test", data_dir=root)


def test_missing_places(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="mnist.npz or a folder of IDX files. Received: .*nowhere"):
        mnist.load("train", data_dir=tmp_path / "nowhere")
    with pytest.raises(DataError, match="splits train, test. Received: split='selection'"):
        mnist.load("selection", data_dir=tmp_path)
    with pytest.raises(DataError, match="must hold train-images-idx3-ubyte"):
        fashion_mnist.load("train", data_dir=tmp_path)


def test_debians_files_are_found_where_they_are(tmp_path, sources, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN", sources.write_idx(tmp_path / "debian"))
    np.testing.assert_array_equal(fashion_mnist.load("train").images[..., 0], sources.mnist_arrays(0)[0])


@pytest.mark.skipif(not fashion_mnist.DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_all_of_debians_fashion_mnist():
    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    assert train.images.shape == (60_000, 28, 28, 1) and test.images.shape == (10_000, 28, 28, 1)
    assert np.bincount(train.labels).tolist() == [6000] * 10 and np.bincount(test.labels).tolist() == [1000] * 10
    # the first clothes, as the paper's first figures and every tutorial show them
    first = [train.class_names[label] for label in train.labels[:4]]
    assert first == ["Ankle boot", "T-shirt/top", "T-shirt/top", "Dress"]
    assert [test.class_names[label] for label in test.labels[:3]] == ["Ankle boot", "Pullover", "Trouser"]
    # trousers are two narrow legs: bright at the sides of the lower middle, dark between; bags fill the whole width
    trousers, bags = (train.images[train.labels == train.class_names.index(name)] for name in ("Trouser", "Bag"))
    assert trousers[:, 22:26, 13:15].mean() < trousers[:, 22:26, [10, 11, 16, 17]].mean()
    assert bags[:, 14:24, 2:5].mean() > 10 * trousers[:, 14:24, 2:5].mean()
