"""CIFAR-100 in both versions, with fine and coarse labels. What it shares with CIFAR-10 is tested there."""

import pickle
import tarfile

import numpy as np
import pytest

from data_tools import cifar100, cifar100_coarse
from data_tools.errors import DataError

COUNT = {"train": 7, "test": 5}


def arrays(split):
    rng = np.random.default_rng(len(split))
    count = COUNT[split]
    pixels = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
    return pixels, rng.integers(20, 100, count), rng.integers(0, 20, count)


def write_python(root):
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for split in COUNT:
        pixels, fine, coarse = arrays(split)
        batch = {b"data": pixels, b"fine_labels": fine.tolist(), b"coarse_labels": coarse.tolist()}
        (folder / split).write_bytes(pickle.dumps(batch, 2))
    return folder


def write_binary(root):
    folder = root / "cifar-100-binary"
    folder.mkdir(parents=True)
    for split in COUNT:
        pixels, fine, coarse = arrays(split)
        records = [bytes([coarse[i], fine[i]]) + pixels[i].tobytes() for i in range(len(fine))]
        (folder / f"{split}.bin").write_bytes(b"".join(records))
    return folder


def pack(folder):
    archive = folder.parent / f"{folder.name}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    return archive


@pytest.mark.parametrize("write", [write_python, write_binary])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("split", COUNT)
def test_every_official_form(tmp_path, write, packed, split):
    place = write(tmp_path)
    place = pack(place) if packed else place
    pixels, fine, coarse = arrays(split)
    data, of_coarse = cifar100.load(split, data_dir=place), cifar100_coarse.load(split, data_dir=place)
    assert data.labels.tolist() == fine.tolist() and of_coarse.labels.tolist() == coarse.tolist()
    for k in range(COUNT[split]):
        for row, column, channel in ((0, 0, 0), (31, 31, 2), (5, 17, 1)):
            assert data.images[k, row, column, channel] == pixels[k, channel * 1024 + row * 32 + column]
    np.testing.assert_array_equal(data.images, of_coarse.images)


def test_the_label_order_is_the_archives():
    names = cifar100.CLASS_NAMES
    assert len(names) == 100 and list(names) == sorted(names)  # the archive's `meta` has them in alphabetical order
    assert [names[i] for i in (0, 1, 49, 50, 99)] == ["apple", "aquarium_fish", "mountain", "mouse", "worm"]
    coarse = cifar100.COARSE_CLASS_NAMES
    assert len(coarse) == 20 and coarse[0] == "aquatic_mammals" and coarse[19] == "vehicles_2"
    assert list(coarse) == sorted(coarse)


def test_other_batches_are_refused(tmp_path):
    folder = write_python(tmp_path)
    (folder / "test").write_bytes(pickle.dumps({b"data": arrays("test")[0], b"labels": [0] * 5}))
    with pytest.raises(DataError, match=r"must be a dictionary with b'data' and b'fine_labels', as in CIFAR-100's"):
        cifar100.load("test", data_dir=folder)
    binary = write_binary(tmp_path)
    (binary / "test.bin").write_bytes(bytes([20, 0]) + bytes(3072))
    assert len(cifar100.load("test", data_dir=binary)) == 1
    with pytest.raises(DataError, match="integers from 0 to 19"):
        cifar100_coarse.load("test", data_dir=binary)
    with pytest.raises(DataError, match="CIFAR-100 has the splits train, test"):
        cifar100.load("selection", data_dir=folder)
