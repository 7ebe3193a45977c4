"""How the score depends on the number of images and splits: the shape of a published table, with a small classifier.

    python results/score_table.py --source folder:train --data-dir cifar10_jpeg --classifier cifar10-jpeg.npz

writes `score_table.md`: the classifier score of real images for 256, 512 and 1,024 images in 5 and 10 splits, each with
several orders of the images, every number by `python -m tfgan_suite.evaluate`.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from pathlib import Path

import numpy as np

from tfgan_suite import evaluate
from tfgan_suite.networks import small_classifiers as classifier

HERE = Path(__file__).parent
IMAGES, SPLITS = (256, 512, 1024), (5, 10)
# Gunnlaugsson et al., table 1: CIFAR-10 with Inception
PUBLISHED = {(256, 5): 8.13, (256, 10): 6.72, (512, 5): 8.04, (512, 10): 7.92, (1024, 5): 9.79, (1024, 10): 8.95}


def scores(arguments: argparse.Namespace, images: int, splits: int) -> list[tuple[float, float]]:
    """(mean, standard deviation over the splits) of each order of the images."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.orders):
            output = Path(folder) / "scores.json"
            command = [arguments.source, "--classifier", str(arguments.classifier), "--num-images", str(images)]
            command += ["--splits", str(splits), "--shuffle-seed", str(seed), "--metrics", "score"]
            if arguments.data_dir:
                command += ["--data-dir", str(arguments.data_dir)]
            evaluate.main([*command, "--output", str(output)])
            (line,) = json.loads(output.read_text())
            found.append((line["value"], line["spread"]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="cifar10:train")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--classifier", type=Path, required=True)
    parser.add_argument("--called", default="cifar10-jpeg", help="what the images are called in the table")
    parser.add_argument("--orders", type=int, default=5)
    arguments = parser.parse_args()
    network = classifier.load(str(arguments.classifier))
    rows = []
    for images in IMAGES:
        for splits in SPLITS:
            means, spreads = np.array(scores(arguments, images, splits)).T
            rows.append((images, splits, means, spreads, PUBLISHED[images, splits]))
    text = f"""# The score depends on how many images there are to a split

Written by `python results/score_table.py` on a {platform.machine()} CPU. Real images of `{arguments.called}` (training
split), by `tfgan_suite.evaluate`; mean and standard deviation over {arguments.orders} orders of the images
(`--shuffle-seed` 0 to {arguments.orders - 1}), and the mean of the deviation over the splits. The network is
`{network.name}`, a small classifier made by `tfgan_suite.classifier` (SHA-256 {network.fingerprint[:12]}), so these are
classifier scores of at most 10, not Inception scores; beside them the Inception scores of CIFAR-10 in table 1 of
Gunnlaugsson et al., Evaluation of Spectral Normalization for GANs Using Inception Score. What compares is the shape:
the score grows with the number of images to a split, because few images cannot show all classes evenly.

| images | splits | images to a split | classifier score | over orders | over splits | published Inception score |
| --- | --- | --- | --- | --- | --- | --- |
"""
    for images, splits, means, spreads, published in sorted(rows, key=lambda row: row[0] / row[1]):
        text += (
            f"| {images:,} | {splits} | {images / splits:.1f} | {means.mean():.3f} | {means.std():.3f} "
            f"| {spreads.mean():.3f} | {published} |\n"
        )
    (HERE / "score_table.md").write_text(text)


if __name__ == "__main__":
    main()
