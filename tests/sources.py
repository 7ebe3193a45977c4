"""Small hand-made sources of every dataset, in the formats of the real ones."""

import gzip
import pickle
import struct

import numpy as np
from PIL import Image

from data_tools import cifar10, cifar100, fashion_mnist, shapes
from data_tools.flickr.store import Store

CLASSES = ("ant", "cat")


def _write_batches(folder, names, keys, classes):
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        rng = np.random.default_rng(i)
        batch = {key: rng.integers(0, count, 12).tolist() for key, count in zip(keys, classes, strict=True)}
        batch[b"data"] = rng.integers(0, 256, (12, 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def write_cifar10(root):
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    _write_batches(root / "cifar-10-batches-py", names, [b"labels"], [len(cifar10.CLASS_NAMES)])
    return root


def write_cifar100(root):
    counts = [len(cifar100.CLASS_NAMES), len(cifar100.COARSE_CLASS_NAMES)]
    _write_batches(root / "cifar-100-python", ["train", "test"], [b"fine_labels", b"coarse_labels"], counts)
    return root


def idx_bytes(array):
    """An array of bytes in the IDX format, written out independently of the reader."""
    return struct.pack(">HBB", 0, 8, array.ndim) + b"".join(struct.pack(">I", n) for n in array.shape) + array.tobytes()


def mnist_arrays(seed=0, count=30):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), rng.integers(0, 10, count, dtype=np.uint8)


def write_idx(root, compressed=True):
    root.mkdir(parents=True)
    for seed, prefix in enumerate(("train", "t10k")):
        for kind, array in zip(("images-idx3", "labels-idx1"), mnist_arrays(seed), strict=True):
            data, name = idx_bytes(array), f"{prefix}-{kind}-ubyte"
            (root / (name + ".gz" * compressed)).write_bytes(gzip.compress(data) if compressed else data)
    return root


def write_folder(root, size=(40, 30), count=15, suffix="jpg"):
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(suffix)))
    for name in CLASSES:
        (root / name).mkdir()
        for i in range(count):
            pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize(size).save(root / name / f"{i:03d}.{suffix}")
    return root


def write_collection(root, size=64, fit="crop"):
    """As the collector leaves it: photo ids from 1000 on of the first class, from 2000 on of the second."""
    prepared = write_folder(root / "prepared" / str(size), (size, size), suffix="png")
    (root / "ATTRIBUTION.md").write_text("by many")
    with Store(root, create=True) as store:
        for path in sorted(prepared.glob("*/*.png")):
            identity = str(1000 * (1 + CLASSES.index(path.parent.name)) + int(path.stem))
            path = path.rename(path.with_name(f"{identity}.png"))
            add_photo(store, identity, path.parent.name)
            file = path.relative_to(root).as_posix()
            store.write("INSERT INTO prepared VALUES (?, ?, ?, ?, '')", identity, size, fit, file)
    return root


def add_photo(store, identity, class_name, state="downloaded"):
    store.write(
        "INSERT OR IGNORE INTO photos (id, query, class, title, owner, owner_name, page, file, licence, licence_name, "
        "licence_url, tags, date_taken, date_upload, date_found, state) "
        "VALUES (?, '', ?, '', '', '', '', '', '', '', '', '', '', 0, 0, ?)",
        *(identity, class_name, state),
    )


def write_npz(root):
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (30, 36, 30, 3), dtype=np.uint8), np.arange(30) % 3
    np.savez(root / "some.npz", images=images, labels=labels, class_names=np.array(["a", "b", "c"]))
    return root / "some.npz"


def write_shapes(monkeypatch):
    for split in shapes.NUM_IMAGES:
        monkeypatch.setitem(shapes.NUM_IMAGES, split, 40)


# dataset -> (function that writes a source into a folder and gives --data-dir, its class names, its splits)
SOURCES = {
    "cifar10": (write_cifar10, cifar10.CLASS_NAMES, ("train", "test")),
    "cifar100": (write_cifar100, cifar100.CLASS_NAMES, ("train", "test")),
    "cifar100_coarse": (write_cifar100, cifar100.COARSE_CLASS_NAMES, ("train", "test")),
    "mnist": (write_idx, tuple("0123456789"), ("train", "test")),
    "fashion_mnist": (write_idx, fashion_mnist.CLASS_NAMES, ("train", "test")),
    "folder": (write_folder, CLASSES, ("train",)),
    "reptiles": (write_collection, CLASSES, ("train", "test", "selection")),
    "npz": (write_npz, ("a", "b", "c"), ("train",)),
    "shapes": (lambda root: None, shapes.CLASS_NAMES, ("train", "test", "selection")),
}
