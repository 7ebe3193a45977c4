"""`fashion_mnist`: 60,000 training and 10,000 test images of clothes, 28x28, grey (Xiao et al., 2017)."""

from __future__ import annotations

from pathlib import Path

from data_tools import idx, mnist, splits
from data_tools.cache import cache_folder
from data_tools.download import download
from data_tools.images import LabelledImages

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
SHA256 = {  # of the files at https://github.com/zalandoresearch/fashion-mnist, which keras.datasets fetches from URL
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def load(split: str, *, image_size: int = 28, channels: int = 1, data_dir: Path | None = None) -> LabelledImages:
    """Read one split in the order of the files.

    Args:
        split: `"train"` or `"test"`.
        image_size, channels: 28 and 1 leave the images as they are.
        data_dir: a folder with the four IDX files. If None, those of Debian's package where it is installed, or a
            download.

    Raises:
        DataError: for missing, damaged or hostile files.
    """
    splits.require("fashion_mnist", split, ("train", "test"))
    place = data_dir or (DEBIAN if DEBIAN.is_dir() else _downloaded(split))
    images, labels = idx.load(place, split)
    return mnist.labelled(images, labels, place, CLASS_NAMES, image_size, channels)


def _downloaded(split: str) -> Path:
    folder = cache_folder() / "fashion_mnist"  # the names are those of MNIST's files, too
    for name in idx.names(split):
        download(f"{URL}{name}.gz", SHA256[f"{name}.gz"], folder=folder)
    return folder
