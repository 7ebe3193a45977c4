"""Train the small classifiers that score generated images without a download.

    python -m tfgan_suite.classifier --dataset shapes --output classifier.npz

trains a network of `models_zoo/classifier.py` on a labelled dataset and writes its weights, accuracy and origin to one
`.npz` file; `--network residual --augment --weight-decay 0.05` is for photographs, where the small one learns little.
`--export DIR` writes it as a SavedModel, too, which needs nothing but TensorFlow. Either goes to `--classifier` of the
commands that score. The classifier of `shapes` that ships with the package was made by that command (about a minute on
two cores).
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import data_tools
from data_tools import command
from data_tools.errors import UsageError
from tfgan_suite.console.quiet_tensorflow import load_tensorflow
from tfgan_suite.networks import small_classifiers
from tfgan_suite.runs.config import Dataset

if TYPE_CHECKING:
    Network = str
else:
    Network = Literal[small_classifiers.NETWORKS]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train a small classifier on a labelled dataset and export it for scoring.

    Example: python -m tfgan_suite.classifier --dataset shapes --output classifier.npz
    """

    output: Path
    """File to write, .npz."""
    export: Path | None = None
    """Folder for the same network as a SavedModel; must be new or empty."""
    dataset: Dataset = "shapes"
    """Labelled images with a train and a test split."""
    data_dir: Path | None = None
    """Where the dataset is."""
    image_size: int = 32
    """Pixels per side."""
    network: Network = "small"
    """What to train: 'small' is quick and enough for drawn images, 'residual' is for photographs."""
    augment: bool = False
    """Mirror and shift the training images at random."""
    weight_decay: float = 0.0
    """Decoupled weight decay of the kernels; 0.05 suits 'residual'."""
    epochs: int = 3
    """Passes over the training images."""
    seed: int = 0
    """Seed of weights and order."""
    name: str | None = None
    """Name to report in scores; the dataset's name if not given."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    arguments = command.parse(Arguments, argv, prog="python -m tfgan_suite.classifier")
    if arguments.epochs < 1:
        raise UsageError(f"--epochs must be at least 1. Received: {arguments.epochs}")
    if not 0 <= arguments.weight_decay < 1:
        raise UsageError(f"--weight-decay must be in [0, 1). Received: {arguments.weight_decay}")
    smallest, largest = small_classifiers.SMALLEST_IMAGE, small_classifiers.LARGEST_IMAGE
    if not smallest <= arguments.image_size <= largest:
        raise UsageError(f"--image-size must be from {smallest} to {largest}. Received: {arguments.image_size}")
    target = arguments.export
    if target and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"--export must be a new or an empty folder. Received: {arguments.export}")
    load_tensorflow()
    data = {
        split: data_tools.load(arguments.dataset, split, image_size=arguments.image_size, data_dir=arguments.data_dir)
        for split in ("train", "test")
    }
    network, accuracy = small_classifiers.train(
        data["train"],
        data["test"],
        kind=arguments.network,
        augment=arguments.augment,
        weight_decay=arguments.weight_decay,
        epochs=arguments.epochs,
        seed=arguments.seed,
        report=command.report,
    )
    about = {
        "dataset": arguments.dataset,
        "dataset_fingerprint": data["train"].fingerprint(),
        "test_accuracy": accuracy,
        "network": arguments.network,
        "augment": arguments.augment,
        "weight_decay": arguments.weight_decay,
        "epochs": arguments.epochs,
        "seed": arguments.seed,
    }
    name = arguments.name or arguments.dataset
    small_classifiers.save(arguments.output, network, name=name, data=data["train"], about=about)
    if arguments.export:
        small_classifiers.export(arguments.export, network, name=name, data=data["train"], about=about)
    print(f"test accuracy {accuracy:.4f} on {len(data['test']):,} images")
    print(f"classifier    {arguments.output}")
    if arguments.export:
        print(f"SavedModel    {arguments.export}")


if __name__ == "__main__":
    sys.exit(command.run(main))
