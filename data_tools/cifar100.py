"""`cifar100`: 50,000 training and 10,000 test images, 32x32, 100 fine classes in 20 coarse ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from data_tools import cifar_archives
from data_tools.images import LabelledImages

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
CLASS_NAMES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip
COARSE_CLASS_NAMES = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip

_FINE = cifar_archives.Archive(
    title="CIFAR-100",
    batches={"train": ("train",), "test": ("test",)},
    python=("cifar-100-python", "cifar-100-python.tar.gz"),
    binary=("cifar-100-binary", "cifar-100-binary.tar.gz"),
    label_key=b"fine_labels",
    label_bytes=2,
    label_byte=1,
    class_names=CLASS_NAMES,
)
_COARSE = dataclasses.replace(_FINE, label_key=b"coarse_labels", label_byte=0, class_names=COARSE_CLASS_NAMES)


def load(
    split: str, *, image_size: int = 32, channels: int = 3, data_dir: Path | None = None, coarse: bool = False
) -> LabelledImages:
    """`train` or `test`, with the fine labels or the `coarse` ones; see `data_tools.cifar_archives.load`."""
    kind = _COARSE if coarse else _FINE
    return cifar_archives.load(kind, URL, SHA256, split, image_size=image_size, channels=channels, data_dir=data_dir)
