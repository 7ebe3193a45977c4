"""What the metrics need to know of a set of images, gathered in one pass, and storable."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from data_tools.errors import SuiteError, UsageError
from tfgan_suite.images.sources import Source
from tfgan_suite.networks.scoring_network import exact_products
from tfgan_suite.scores.feature_metrics import KERNEL_PROTOCOLS, ScoreSums, split_assignment
from tfgan_suite.scores.moments import Moments

BATCH = 32
_NO_LOGITS = "the network gives no logits: choose one that does, or other metrics"
PICTURES = 2048  # the first of the images are kept for metrics that look at pictures
SAMPLE = 2048  # random images whose features are kept for the errors of distances, or
_SAMPLE_OF_CLASS = 200  # times the classes, if there are distances per class
_SUBSETS = {kind.size for name, kind in KERNEL_PROTOCOLS.items() if name != "blocks"}


@dataclasses.dataclass(frozen=True)
class Needs:
    """What has to be gathered beyond means, covariances and class counts, which are always; and of what images.

    Attributes:
        outputs: keep logits and features of every image; the memory grows with their number.
        pictures: keep the first `PICTURES` images.
        per_class: means and covariances of every class of the labels, which must have 2 images or more.
        class_names: those that there must be for that, in any order; () if they do not matter.
        fewest: so many images there must be.
        stored_order: they must not be shuffled.
    """

    outputs: bool = False
    pictures: bool = False
    per_class: bool = False
    class_names: tuple[str, ...] = ()
    fewest: int = 1
    stored_order: bool = False

    def gathered(self) -> Needs:
        """Without what is only asked of the images."""
        return Needs(self.outputs, self.pictures, self.per_class)

    def require(self, source: Source, num_images: int) -> None:
        """Refuse before a pass over the first `num_images` images of `source` what would fail after it.

        Raises:
            UsageError: for too few images, too few of a class, or other classes or another order than asked for.
        """
        source.require(num_images)
        if self.stored_order and source.record["shuffle_seed"] is not None:
            raise UsageError(
                f"--kernel-protocol torch-fidelity draws from images in their stored order: give --shuffle-seed None. "
                f"Received: {source.name} shuffled by {source.record['shuffle_seed']}"
            )
        if num_images < self.fewest:
            mend = ", or --kernel-protocol blocks" if self.fewest in _SUBSETS else ""
            raise UsageError(
                f"these metrics need {self.fewest:,} images or more{mend}. Received: {num_images:,} of {source.name}"
            )
        if not self.per_class:
            return
        if self.class_names:
            require_same_classes(self.class_names, source.class_names)
        if not source.class_names:
            raise UsageError(f"the distance per class needs images with classes. Received: {source.name} without")
        counts = source.class_counts(num_images)
        few = [f"{name} ({count})" for name, count in zip(source.class_names, counts, strict=True) if count < 2]
        if few:
            raise UsageError(
                f"the distance per class needs 2 images or more of each class. Received: {', '.join(few[:5])} of "
                f"{num_images:,} of {source.name}: take more images, or leave it out"
            )


def class_order(names: tuple[str, ...], others: tuple[str, ...]) -> np.ndarray | None:
    """Where each of `names` stands in `others`, int [classes]; None if these are not the same classes."""
    if not names or set(names) != set(others) or len(names) != len(others):
        return None
    return np.array([others.index(name) for name in names])


def require_same_classes(names: tuple[str, ...], theirs: tuple[str, ...]) -> np.ndarray:
    """`class_order`; raises UsageError if these are not the same classes."""
    order = class_order(names, theirs)
    if order is None:
        raise UsageError(
            f"the distance per class needs images and a reference with the same classes. Received: "
            f"{_some(names)} and {_some(theirs)}"
        )
    return order


def _some(names: tuple[str, ...]) -> str:
    return "no classes" if not names else ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")


class Statistics:
    """Statistics of the images `first` to `first + n` of a set of `total`.

    Attributes:
        halves: moments of the features of a random `total // 2` of the images, and of the others; None without
            features. Without a `half_seed` all are in the second.
        class_halves: the same of each class of the labels, or [] if they were not asked for.
        sample: features [k, d] of random images, as many of each half; whether each is in the second half, bool [k];
            and the labels [k], if there are any. Empty without a `half_seed`.
        tf32: "off" or "on": whether factors might be rounded to TF32.
        sums: what the classifier score needs, and
        histogram: how many images are put in each class, int [classes]; both None without logits.
        asked, labelled: how many images are put in the class of their label, of how many that have one.
        logits, features: float32 [n, k], if they were asked for.
        images, labels: uint8 [m, S, S, 3] and int32 [m] or None of the first images, if they were asked for.
    """

    def __init__(self, total: int, *, needs: Needs, splits: int = 1, half_seed: int | None = None) -> None:
        self.total = total
        self.needs = needs
        self.count = 0
        self.halves: list[Moments] | None = None
        self.class_halves: list[list[Moments]] = []
        self.sums: ScoreSums | None = None
        self.histogram: np.ndarray | None = None
        self.asked = self.labelled = 0
        self._assignment, self._splits = split_assignment(total, splits), splits
        self._kept: dict[str, list[np.ndarray]] = {"logits": [], "pool_3": [], "images": [], "labels": []}
        self.half_seed, self.tf32 = half_seed, "off"
        self._second, self._rank = _halved(total, half_seed)
        self._sampled: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def update(
        self,
        first: int,
        images: np.ndarray,
        labels: np.ndarray | None,
        outputs: dict[str, np.ndarray],
        classes: int = 0,
        network_classes: np.ndarray | None = None,
    ) -> None:
        """Take in the images from number `first` on, with their labels and the network's outputs.

        `classes` is the number of labels, `network_classes` the network's class for each; None if it has others.
        """
        if "pool_3" in outputs:
            self._add_features(first, outputs["pool_3"], labels, classes)
        if "logits" in outputs:
            known = None if labels is None or network_classes is None else network_classes[labels]
            self._add_logits(first, outputs["logits"], known)
        if self.needs.outputs:
            for name, values in outputs.items():
                self._kept[name].append(values)
        wanted = PICTURES - first
        if self.needs.pictures and wanted > 0:
            self.keep_pictures(images[:wanted], None if labels is None else labels[:wanted])
        self.count += len(images)

    def keep_pictures(self, images: np.ndarray, labels: np.ndarray | None) -> None:
        """Keep these images and labels for metrics that look at pictures."""
        self._kept["images"].append(images)
        if labels is not None:
            self._kept["labels"].append(labels)

    @property
    def has_pictures(self) -> bool:
        """Whether pictures were kept."""
        return bool(self._kept["images"])

    @property
    def dimension(self) -> int | None:
        """Columns of the features; None without features."""
        return None if self.halves is None else self.halves[0].dimension

    @property
    def score_sums(self) -> ScoreSums:
        """`sums`; raises SuiteError without logits."""
        if self.sums is None:
            raise SuiteError(_NO_LOGITS)
        return self.sums

    @property
    def class_counts(self) -> np.ndarray:
        """`histogram`; raises SuiteError without logits."""
        if self.histogram is None:
            raise SuiteError(_NO_LOGITS)
        return self.histogram

    @property
    def moments(self) -> Moments:
        """Moments of all features."""
        if self.halves is None:
            raise SuiteError("the network gives no features (pool_3): choose one that does, or other metrics")
        return self.halves[0].merge(self.halves[1])

    @property
    def by_class(self) -> list[Moments]:
        """Moments of all features of each class."""
        return [first.merge(second) for first, second in self.class_halves]

    @property
    def sample(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        features, second, labels = (np.concatenate(parts) for parts in zip(*self._sampled, strict=True))
        return features, second, labels

    def kept(self, name: str) -> np.ndarray:
        """`"logits"`, `"pool_3"`, `"images"` or `"labels"` as one array.

        Raises:
            SuiteError: if there are none.
        """
        parts = self._kept[name]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            what = {"pool_3": "features of single images", "images": "pictures"}.get(name, name)
            raise SuiteError(f"there are no {what} to compare with: give images, not stored statistics")
        whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
        end = len(whole)
        while parts:  # from the last on, each freed when it is copied, so that they are not in memory twice
            part = parts.pop()
            end -= len(part)
            whole[end : end + len(part)] = part
        parts.append(whole)
        return whole

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a reference is used for, as named arrays; pictures are not among them."""
        arrays = {"total": np.array(self.total), "asked": np.array([self.asked, self.labelled])}
        if self.halves is not None:
            arrays |= _moment_arrays("", self.moments)
        if self.histogram is not None:
            arrays["histogram"] = self.histogram
        for number, moments in enumerate(self.by_class):
            arrays |= _moment_arrays(f"class_{number}_", moments)
        if self.needs.outputs:
            arrays |= {name: self.kept(name) for name in ("logits", "pool_3") if self._kept[name]}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], needs: Needs) -> Statistics:
        """What `arrays` gave, for use as a reference."""
        statistics = cls(int(arrays["total"]), needs=needs)
        statistics.count = statistics.total
        statistics.asked, statistics.labelled = map(int, arrays["asked"])
        if "mean" in arrays:
            whole = _moments_of("", arrays)
            statistics.halves = [Moments(whole.dimension), whole]
        statistics.histogram = arrays.get("histogram")
        number = 0
        while f"class_{number}_mean" in arrays:
            whole = _moments_of(f"class_{number}_", arrays)
            statistics.class_halves.append([Moments(whole.dimension), whole])
            number += 1
        for name in ("logits", "pool_3"):
            if name in arrays:
                statistics._kept[name] = [arrays[name]]
        return statistics

    def _add_features(self, first: int, features: np.ndarray, labels: np.ndarray | None, classes: int) -> None:
        if self.halves is None:
            self.halves = [Moments(features.shape[1]), Moments(features.shape[1])]
            count = classes if self.needs.per_class else 0
            self.class_halves = [[Moments(features.shape[1]) for _ in range(2)] for _ in range(count)]
        second = self._second[first : first + len(features)]
        for moments, part in zip(self.halves, (features[~second], features[second]), strict=True):
            moments.update(part)
        if self.class_halves and labels is not None:
            for label in np.unique(labels):
                for half, moments in enumerate(self.class_halves[label]):
                    moments.update(features[(labels == label) & (second == half)])
        if self.half_seed is not None:
            limit = max(SAMPLE, _SAMPLE_OF_CLASS * len(self.class_halves)) // 2
            chosen = self._rank[first : first + len(features)] < limit
            known = np.zeros(len(features), np.int32) if labels is None else labels
            self._sampled.append((features[chosen], second[chosen], known[chosen]))

    def _add_logits(self, first: int, logits: np.ndarray, labels: np.ndarray | None) -> None:
        if self.sums is None:
            self.sums = ScoreSums(self._assignment, self._splits, logits.shape[1])
            self.histogram = np.zeros(logits.shape[1], dtype=np.int64)
        self.sums.update(first, logits)
        chosen = logits.argmax(axis=1)
        self.histogram += np.bincount(chosen, minlength=logits.shape[1])  # type: ignore[operator]
        if labels is not None:
            self.asked += int((chosen == labels).sum())
            self.labelled += len(labels)


def gather(
    source: Source,
    network: Callable[[np.ndarray], dict[str, Any]],
    num_images: int,
    needs: Needs,
    *,
    splits: int = 1,
    half_seed: int | None = None,
    network_classes: np.ndarray | None = None,
    batch_size: int = BATCH,
    advance: Callable[[int], None] = lambda count: None,
) -> Statistics:
    """One pass over exactly `num_images` images of `source`.

    Images of the next batch are read or generated while the network works on this one, both without TF32.

    Args:
        network: from uint8 [B, H, W, 3] to a dict of `logits` [B, classes] and/or `pool_3` [B, d].
        splits: of the classifier score; see `feature_metrics.split_assignment`.
        half_seed: by which the halves and the sample of `Statistics` are drawn.
        network_classes: the network's class for each label of the source; None if it has others.
        advance: called with the number of images done.

    Raises:
        SuiteError: if the source ends early, or the network gives numbers that are not finite.
    """
    statistics = Statistics(num_images, needs=needs, splits=splits, half_seed=half_seed)
    first = 0
    with exact_products() as statistics.tf32:
        for images, labels in _ahead(source.batches(num_images, batch_size)):
            outputs = {name: np.asarray(values) for name, values in network(images).items()}
            for name, values in outputs.items():
                if len(values) != len(images) or not np.isfinite(values).all():
                    raise SuiteError(
                        f"the network gave {name} that are not finite for images {first} to {first + len(images)}: "
                        f"it is damaged, or its dtype too small"
                    )
            statistics.update(first, images, labels, outputs, len(source.class_names), network_classes)
            first += len(images)
            advance(len(images))
    if first != num_images:
        raise SuiteError(f"{source.name} gave {first} images of the {num_images} that were asked for")
    return statistics


def _halved(total: int, seed: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Whether each image is in the second half, bool [total], and its place in its half's random order, int [total]."""
    second, rank = np.ones(total, dtype=bool), np.zeros(total, dtype=np.int64)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(total)
        for half in (order[: total // 2], order[total // 2 :]):
            rank[half] = np.arange(len(half))
        second[order[: total // 2]] = False
    return second, rank


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items, each made in a thread while the one before is worked on."""
    end = object()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item


def _moment_arrays(prefix: str, moments: Moments) -> dict[str, np.ndarray]:
    root = moments.root if moments.count > 1 else np.zeros((0, moments.dimension))
    return {f"{prefix}count": np.array(moments.count), f"{prefix}mean": moments.mean, f"{prefix}root": root}


def _moments_of(prefix: str, arrays: dict[str, np.ndarray]) -> Moments:
    count, mean, root = (arrays[f"{prefix}{name}"] for name in ("count", "mean", "root"))
    return Moments.from_root(int(count), mean, root) if count > 0 else Moments(len(mean))
