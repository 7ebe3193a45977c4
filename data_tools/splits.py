"""The splits, and the one rule for the split that chooses among checkpoints.

`train` is what the dataset publishes as its training split, whole; `test` is what results are reported on; `selection`
chooses a checkpoint or a hyperparameter and is never reported, so that a score on `test` was not chosen by it.

- `shapes` draws its own 5,000 selection images; none of them is in `train`.
- `reptiles` has no published splits: about a tenth of the photographers are `test`, a tenth `selection`, the others
  `train`, by a hash of the owner (`split_of_photograph`), so that one person's series of one animal never stands on two
  sides, and a photograph stays where it is while the collection grows. Exports of a collection have the same splits.
  Before, it went by a hash of the photo id. Collections are not kept to that: some photographs that a run trained on
  are `test` now, so a run from before is to be trained again, or scored on photographs that were found since.
- A folder with a folder `selection`, `val` or `validation` uses that.
- Everywhere else it is carved out of `train`: a tenth, at most 5,000 images, by a fixed permutation. `train` keeps
  them, because published protocols train on all of it, so there `selection` overlaps `train`: it can tell which
  checkpoint is nearer to the data, not whether a network has memorised them. Where there is no `test` either, as for a
  folder or an `.npz` of one split, results are reported on `train`, and so on images that chose the checkpoint:
  `tfgan_suite.fit` says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from data_tools.errors import NoSplitError
from data_tools.images import LabelledImages

SPLITS = ("train", "test", "selection")
# split -> names of the folder that holds it, beside those of the others; no class may have such a name
FOLDERS = {"train": ("train",), "test": ("test",), "selection": ("selection", "val", "validation")}
FOLDER_NAMES = tuple(name for names in FOLDERS.values() for name in names)
MOST_SELECTED = 5000
_SEED = 20_260


def require(dataset: str, split: str, having: Sequence[str]) -> None:
    """Raises NoSplitError unless `split` is one of those that the dataset itself has."""
    if split not in having:
        raise NoSplitError(f"{dataset} has the splits {', '.join(having)}. Received: split={split!r}")


def split_of(identity: str) -> str:
    """The split of one image of data without published splits: a tenth is `test`, a tenth `selection`, by a hash."""
    tenth = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % 10
    return {0: "test", 1: "selection"}.get(tenth, "train")


def split_of_photograph(owner: str, identity: str) -> str:
    """The split of a photograph of a collection: all of one owner's are in the same; by its id if no owner is known."""
    return split_of(owner or identity)


def selection_of(train: LabelledImages) -> LabelledImages:
    """The selection split carved out of `train` by the rule above, in the order of `train`; the same for the same N."""
    count = min(MOST_SELECTED, max(1, len(train) // 10))
    chosen = np.sort(np.random.default_rng(_SEED).permutation(len(train))[-count:])
    return LabelledImages(np.asarray(train.images[chosen]), train.labels[chosen], train.class_names)
