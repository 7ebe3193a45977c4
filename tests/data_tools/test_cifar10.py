"""CIFAR-10's readers on hand-made archives of every kind, damaged and hostile ones included."""

import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from data_tools import cifar10, cifar_archives
from data_tools.errors import DataError

PER_BATCH = 4
NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


NESTED: list = [0] * 100
for _ in range(6):  # a terabyte, if it were written out
    NESTED = [NESTED] * 100


def images_and_labels(name):
    rng = np.random.default_rng(NAMES.index(name))
    return rng.integers(0, 256, (PER_BATCH, 3072), dtype=np.uint8), rng.integers(0, 10, PER_BATCH).tolist()


def write_python(folder, protocol=2):
    folder.mkdir(parents=True)
    for name in NAMES:
        data, labels = images_and_labels(name)
        (folder / name).write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol))
    return folder


def write_binary(folder):
    folder.mkdir(parents=True)
    for name in NAMES:
        data, labels = images_and_labels(name)
        records = np.concatenate([np.array(labels, np.uint8)[:, None], data], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def pack(folder, archive):
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    return archive


FORMS = ["python folder", "python parent", "python archive", "python archive's folder"]
FORMS += ["binary folder", "binary archive", "binary archive's folder"]


@pytest.fixture(params=FORMS)
def place(request, tmp_path):
    binary = request.param.startswith("binary")
    write, name = (write_binary, "cifar-10-batches-bin") if binary else (write_python, "cifar-10-batches-py")
    folder = write(tmp_path / "unpacked" / name)
    if request.param.endswith("parent"):
        return folder.parent
    if request.param.endswith("archive"):
        return pack(folder, tmp_path / "some name.tar.gz")
    if request.param.endswith("archive's folder"):
        (tmp_path / "packed").mkdir()
        return pack(folder, tmp_path / "packed" / f"cifar-10-{'binary' if binary else 'python'}.tar.gz").parent
    return folder


def test_every_official_form_gives_the_same_images(place):
    train, test = cifar10.load("train", data_dir=place), cifar10.load("test", data_dir=place)
    assert train.images.shape == (5 * PER_BATCH, 32, 32, 3) and test.images.shape == (PER_BATCH, 32, 32, 3)
    assert train.class_names[0] == "airplane" and train.class_names[9] == "truck"
    for i, name in enumerate(NAMES[:5]):
        data, labels = images_and_labels(name)
        for k in range(PER_BATCH):
            # independent of the reader's reshape: pixel (row, column) of channel c is at c * 1024 + row * 32 + column
            image = train.images[i * PER_BATCH + k]
            for row, column, channel in ((0, 0, 0), (31, 31, 2), (5, 17, 1), (30, 2, 0)):
                assert image[row, column, channel] == data[k, channel * 1024 + row * 32 + column]
        assert train.labels[i * PER_BATCH : (i + 1) * PER_BATCH].tolist() == labels
    assert test.labels.tolist() == images_and_labels("test_batch")[1]


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path, protocol):
    folder = write_python(tmp_path / "cifar-10-batches-py", protocol)
    assert len(cifar10.load("train", data_dir=folder)) == 5 * PER_BATCH


def test_images_are_resized_on_request(tmp_path):
    folder = write_python(tmp_path / "cifar-10-batches-py")
    assert cifar10.load("test", data_dir=folder, image_size=64).images.shape == (PER_BATCH, 64, 64, 3)


class Touch:
    """A pickle that would make a file when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "wrap", [lambda evil: evil, lambda evil: {b"data": evil, b"labels": [1]}, lambda evil: [[evil]]]
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_does_not_run(tmp_path, wrap, protocol):
    folder = write_python(tmp_path / "cifar-10-batches-py")
    trap = tmp_path / "was-run"
    hostile = pickle.dumps(wrap(Touch(trap)), protocol)
    (folder / "test_batch").write_bytes(hostile)
    with pytest.raises(DataError, match=r"cannot be read safely.*asks for (posix|os).mkdir"):
        cifar10.load("test", data_dir=folder)
    assert not trap.exists()
    pickle.loads(hostile)
    assert trap.exists(), "the pickle is not malicious, so the test proves nothing"


@pytest.mark.parametrize(
    "evil",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy.core.multiarray\n__builtins__\n.",
        b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    ],
)
def test_other_names_are_refused(evil):
    with pytest.raises(pickle.UnpicklingError, match="neither an array nor a container"):
        cifar_archives.ArrayUnpickler(io.BytesIO(evil), encoding="bytes").load()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (b"\x80\x04nonsense", "is damaged|cannot be read safely"),
        (pickle.dumps([1, 2]), "must be a dictionary"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)}), "must be a dictionary"),
        (pickle.dumps({b"data": np.zeros((2, 3072)), b"labels": [0, 1]}), "data must be uint8.*Received: float64"),
        (pickle.dumps({b"data": np.zeros((2, 3000), np.uint8), b"labels": [0, 1]}), r"Received: uint8 \(2, 3000\)"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]}), "labels must be a list of int"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": ["x"]}), "labels must be a list of int"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": 5}), "labels must be a list of int"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": np.array(3)}), "labels must be a list"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": NESTED}), "labels must be a list of int"),
        (pickle.dumps({b"data": np.zeros((0, 3072), np.uint8), b"labels": []}), "holds no images"),
        (pickle.dumps({b"data": [[1]], b"labels": [1]}), "Received: list"),
    ],
)
def test_damaged_batches_are_refused(tmp_path, content, message):
    folder = write_python(tmp_path / "cifar-10-batches-py")
    (folder / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match=message):
        cifar10.load("test", data_dir=folder)


def test_damaged_binary_batches_are_refused(tmp_path):
    folder = write_binary(tmp_path / "cifar-10-batches-bin")
    (folder / "test_batch.bin").write_bytes(b"\x00" * 3074)
    with pytest.raises(DataError, match="multiple of 3073 bytes. Received: 3074"):
        cifar10.load("test", data_dir=folder)
    (folder / "test_batch.bin").write_bytes(b"\x0a" + b"\x00" * 3072)
    with pytest.raises(DataError, match="from 0 to 9"):
        cifar10.load("test", data_dir=folder)


def test_truncated_and_foreign_archives_are_refused(tmp_path):
    archive = pack(write_python(tmp_path / "cifar-10-batches-py"), tmp_path / "a.tar.gz")
    whole = archive.read_bytes()
    flipped = bytearray(whole)
    flipped[-3] ^= 1  # the checksum's trailer, after the last byte of the last image
    for content in (
        whole[: len(whole) // 2],
        whole[:-8],
        bytes(flipped),
        b"no archive",
        b"",
        b"BZh91AY&SY",
        b"\xfd7zXZ\0",
    ):
        archive.write_bytes(content)
        with pytest.raises(DataError, match="download it again") as caught:
            cifar10.load("test", data_dir=archive)
        assert len(str(caught.value).splitlines()) == 1
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match="no member test_batch"):
        cifar10.load("test", data_dir=pack(tmp_path / "other", tmp_path / "other.tar.gz"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "test_batch", "nowhere"])
def test_links_in_archives_are_not_followed(tmp_path, kind, target):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        link.type, link.linkname = kind, target
        tar.addfile(link)
    with pytest.raises(DataError, match="no member test_batch"):
        cifar10.load("test", data_dir=tmp_path / "a.tar")


def test_missing_places_are_refused(tmp_path):
    with pytest.raises(DataError, match="which does not exist"):
        cifar10.load("train", data_dir=tmp_path / "nowhere")
    with pytest.raises(DataError, match="use --dataset folder"):
        cifar10.load("train", data_dir=tmp_path)
    folder = write_python(tmp_path / "cifar-10-batches-py")
    (folder / "data_batch_3").unlink()
    with pytest.raises(DataError, match="data_batch_3 cannot be read"):
        cifar10.load("train", data_dir=folder)
    with pytest.raises(DataError, match="splits train, test"):
        cifar10.load("selection", data_dir=folder)


def test_a_bomb_in_an_archive_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar_archives, "MOST_BATCH_BYTES", 1000)
    folder = write_python(tmp_path / "cifar-10-batches-py")
    with pytest.raises(DataError, match="larger than 1,000 bytes"):
        cifar10.load("test", data_dir=folder)
    with pytest.raises(DataError, match="larger than 1,000 bytes"):
        cifar10.load("test", data_dir=pack(folder, tmp_path / "a.tar.gz"))


@pytest.mark.skipif("CIFAR10_DIR" not in os.environ, reason="set CIFAR10_DIR to a CIFAR-10 archive or folder")
def test_all_of_cifar10():
    place = os.environ["CIFAR10_DIR"]
    train, test = cifar10.load("train", data_dir=place), cifar10.load("test", data_dir=place)
    assert np.bincount(train.labels).tolist() == [5000] * 10 and np.bincount(test.labels).tolist() == [1000] * 10
    # what the images show, so that a label cannot stand for another class: skies and seas are blue, frogs are not
    blue = [float(np.mean(train.images[train.labels == label][..., 2], dtype=np.float64)) for label in range(10)]
    order = [train.class_names[label] for label in np.argsort(blue)]
    assert set(order[-2:]) == {"airplane", "ship"} and order[0] == "frog"
    (meta,) = [*Path(place).glob("batches.meta"), *Path(place).glob("*/batches.meta"), None][:1]
    if meta is not None:
        with open(meta, "rb") as file:
            names = cifar_archives.ArrayUnpickler(file, encoding="bytes").load()[b"label_names"]
        assert tuple(name.decode() for name in names) == train.class_names
