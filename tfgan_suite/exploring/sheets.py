"""The kinds of pictures of samples: which points of the latent space they show, and in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from data_tools.errors import SuiteError, UsageError
from tfgan_suite.exploring import nearest, points, walks
from tfgan_suite.exploring.points import Points
from tfgan_suite.exploring.subject import Subject

RESULTS = ("A", "A - B", "A - B + C")


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A picture of images in rows, and where they are from.

    Attributes:
        images: uint8 [N, S, S, 1 or 3], row by row.
        columns: how many stand in a row.
        column_names, row_names: what is written over the columns and beside the rows; () for nothing.
        samples: what the picture starts from; None for a picture of no generator.
        shown: where the images are from; None if not all of them were generated.
        places: int [N], which of `shown` each image is; -1 for none, a white place.
        about: what else is to be written beside the picture.
    """

    images: np.ndarray
    columns: int
    column_names: tuple[str, ...] = ()
    row_names: tuple[str, ...] = ()
    samples: Points | None = None
    shown: Points | None = None
    places: np.ndarray | None = None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)


def of_points(
    subject: Subject, shown: Points, columns: int, *, samples: Points, places: np.ndarray | None = None,
    column_names: Sequence[str] = (), row_names: Sequence[str] = (), **about: Any,
) -> Sheet:  # fmt: skip
    """The images of some points, in rows; one after the other if `places` is None."""
    places = np.arange(len(shown)) if places is None else places
    images = subject.images(shown)
    white = np.full((1, *images.shape[1:]), 255, np.uint8)
    laid_out = np.concatenate([images, white])[places]
    return Sheet(laid_out, columns, tuple(column_names), tuple(row_names), samples, shown, places, about)


def grid(subject: Subject, samples: Points, columns: int | None = None) -> Sheet:
    """The samples, as square as their number allows if `columns` is None."""
    return of_points(subject, samples, columns or int(np.ceil(np.sqrt(len(samples)))), samples=samples)


def per_class(subject: Subject, samples: Points, labels: np.ndarray) -> Sheet:
    """A column per class and a row per sample: the same latents in every class.

    Raises:
        UsageError: for a generator without classes.
    """
    if not subject.class_names:
        raise UsageError(f"{subject.name} takes no classes, use grid, or a conditional variant")
    shown = points.joined(samples[[row] * len(labels)].with_labels(labels) for row in range(len(samples)))
    names = [subject.class_names[label] for label in labels]
    return of_points(subject, shown, len(labels), samples=samples, column_names=names, row_names=samples.names)


def interpolate(subject: Subject, samples: Points, path: str, shares: np.ndarray) -> Sheet:
    """A row for each step from sample to sample: at the share 0 stands the one, at 1 the next, their classes included.

    Args:
        samples: two or more.
        path: a key of `walks.PATHS`.
        shares: [N] in [0, 1].

    Raises:
        UsageError: for fewer than two samples, or shares outside [0, 1].
    """
    if len(samples) < 2:
        raise UsageError("a walk needs two samples or more")
    shares = np.asarray(shares, np.float64)
    if not len(shares) or not ((shares >= 0) & (shares <= 1)).all():
        raise UsageError("--shares must be from 0, the one sample, to 1, the other")
    shown = points.joined(between(samples, row, path, shares) for row in range(len(samples) - 1))
    return of_points(
        subject, shown, len(shares), samples=samples, path=path,
        column_names=[f"{share:.3g}" for share in shares],
        row_names=[_pair(subject, samples, row) for row in range(len(samples) - 1)],
    )  # fmt: skip


def between(samples: Points, row: int, path: str, shares: np.ndarray) -> Points:
    """Points [N] from the sample of this row to the next: its latents by `path`, its class by a straight line."""
    latents = walks.PATHS[path](samples.latents[row], samples.latents[row + 1], shares)
    one, other = (np.repeat(samples.labels[at], len(shares)) for at in (row, row + 1))
    made = points.of(latents, np.where(shares == 1, other, one))
    changing = (shares > 0) & (shares < 1)
    return dataclasses.replace(
        made,
        others=np.where(changing, other, made.labels).astype(np.int32),
        shares=np.where(changing & (one != other), shares, 0).astype(np.float32),
        names=tuple({0.0: samples.names[row], 1.0: samples.names[row + 1]}.get(share, "") for share in shares.tolist()),
    )


def arithmetic(subject: Subject, a: Points, b: Points, c: Points) -> Sheet:
    """A - B + C of the means of three groups: a row for each group, its mean last, then A, A - B, and A - B + C.

    The means and results have the class of the first sample of A. Means are shorter than normal latents, as in figure 7
    of Radford et al. (2016), whose rule this is.
    """
    groups = (a, b, c)
    columns = max(3, *(len(group) + 1 for group in groups))
    mean_a, mean_b, _ = (group.latents.astype(np.float64).mean(axis=0) for group in groups)
    result = walks.arithmetic(*(group.latents for group in groups))
    results = points.of(np.stack([mean_a, mean_a - mean_b, result]), a.labels[[0, 0, 0]], RESULTS)
    rows = [points.joined([group, _mean(group, f"mean of {name}")]) for group, name in zip(groups, "ABC", strict=True)]
    places = np.full((len(rows) + 1, columns), -1)
    first = 0
    for row, part in enumerate([*rows, results]):
        places[row, : len(part)] = np.arange(first, first + len(part))
        first += len(part)
    for row in range(len(rows)):  # each mean goes to the last column
        places[row, len(groups[row])], places[row, -1] = places[row, -1], places[row, len(groups[row])]
    return of_points(
        subject, points.joined([*rows, results]), columns, samples=points.joined(groups), places=places.ravel(),
        column_names=("",) * (columns - 1) + ("mean",),
        row_names=("A", "B", "C", ", ".join(RESULTS)), groups=[len(part) for part in groups],
    )  # fmt: skip


def truncation(subject: Subject, samples: Points, thresholds: Sequence[float]) -> Sheet:
    """A row per sample, a column per threshold of its latents; an infinite one is the sample itself.

    Raises:
        UsageError: for a threshold that is not positive.
    """
    if not thresholds or not all(threshold > 0 for threshold in thresholds):
        raise UsageError("--thresholds must be positive numbers, or inf for no truncation")
    columns = [samples.with_latents(walks.truncated(samples.latents, threshold)) for threshold in thresholds]
    shown = points.joined(columns)[_by_rows(len(thresholds), len(samples))]
    names = ["whole" if np.isinf(threshold) else f"{threshold:g}" for threshold in thresholds]
    return of_points(subject, shown, len(thresholds), samples=samples, column_names=names, row_names=samples.names)


def directions(subject: Subject, samples: Points, chosen: Sequence[int], strengths: Sequence[float]) -> Sheet:
    """A row per direction and sample, a column per strength: z + strength * direction.

    Args:
        chosen: numbers of directions, 1 being the strongest.
        strengths: how far to go; the directions have length 1.

    Raises:
        UsageError: for a direction that there is not.
    """
    layer, rows, values = subject.directions
    for number in chosen:
        if not 1 <= number <= len(rows):
            raise UsageError(f"--directions must be from 1 to {len(rows)}. Received: {number}")
    parts, names = [], []
    for number in chosen:
        for row in range(len(samples)):
            steps = np.asarray(strengths, np.float64)[:, None] * rows[number - 1]
            parts.append(samples[[row] * len(strengths)].with_latents(samples.latents[row] + steps))
            names.append(f"{number} of {samples.names[row]}" if samples.names[row] else str(number))
    singular = {str(number): float(values[number - 1]) for number in chosen}
    return of_points(
        subject, points.joined(parts), len(strengths), samples=samples, layer=layer, singular_values=singular,
        column_names=[f"{strength:+g}" if strength else "0" for strength in strengths], row_names=names,
    )  # fmt: skip


def neighbours(
    subject: Subject, samples: Points, training: Callable[[], Iterable[np.ndarray]], k: int,
    rows_of: dict[str, nearest.Rows],
) -> Sheet:  # fmt: skip
    """A row per sample and measure: the sample, then its `k` nearest training images.

    Args:
        training: gives the training images anew, in batches uint8 [B, S, S, 3].
        rows_of: measure -> what it measures, see `nearest.nearest`.

    Raises:
        UsageError: for training images of another size than the samples.
    """
    images = subject.images(samples)
    images = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
    found, about = {}, {}
    for measure, rows in rows_of.items():
        numbers, distances, found[measure] = nearest.nearest(images, training(), k, rows)
        about[measure] = {"training_images": numbers.tolist(), "distances": distances.round(6).tolist()}
    everything, names = [], []
    for row in range(len(samples)):
        for measure in rows_of:
            everything += [images[row : row + 1], found[measure][row]]
            names.append(f"{samples.names[row]} by {measure}".strip())
    columns = 1 + min(len(each[0]) for each in found.values())
    heads = ("sample", *(f"{number}." for number in range(1, columns)))
    return Sheet(np.concatenate(everything), columns, heads, tuple(names), samples, about={"neighbours": about})


def features(discriminator: Any, images: np.ndarray, labels: np.ndarray, count: int, columns: int) -> Sheet:
    """Two rows for each of the strongest features of a discriminator: the images that it responds to most, and to what.

    Args:
        discriminator: Keras model from images, or from [images, labels].
        images: uint8 [N, S, S, C], among which to look.
        labels: their classes int [N].
        count: how many features: those whose response to their own best images is largest.
        columns: how many images for each.

    Raises:
        SuiteError: for a discriminator without a rectified map.
    """
    from tfgan_suite.exploring.guided_backpropagation import FeatureMap, as_picture

    try:
        found = FeatureMap(discriminator)
    except ValueError as error:
        raise SuiteError(str(error)) from None
    scaled = images.astype(np.float32) / np.float32(127.5) - 1
    responses = found.responses(scaled, labels)
    best = np.argsort(-responses, axis=0, kind="stable")[:columns]
    strength = np.take_along_axis(responses, best, axis=0).mean(axis=0)
    rows, names, about = [], [], []
    for channel in np.argsort(-strength, kind="stable")[:count].tolist():
        chosen = best[:, channel]
        rows += [images[chosen], as_picture(found.gradients(scaled[chosen], labels[chosen], channel))]
        names += [f"feature {channel}", "responds to"]
        about.append({"feature": channel, "images": chosen.tolist(), "responses": responses[chosen, channel].tolist()})
    about_all = {"layer": found.layer, "features": about}
    return Sheet(np.concatenate(rows), len(best), row_names=tuple(names), about=about_all)


def _mean(group: Points, name: str) -> Points:
    return points.of(group.latents.astype(np.float64).mean(axis=0)[None], group.labels[:1], [name])


def _by_rows(columns: int, rows: int) -> np.ndarray:
    """The order that makes rows out of what was joined column by column."""
    return np.arange(columns * rows).reshape(columns, rows).T.ravel()


def _pair(subject: Subject, samples: Points, row: int) -> str:
    one, other = (
        samples.names[at] + (f" {subject.class_names[samples.labels[at]]}" if subject.class_names else "")
        for at in (row, row + 1)
    )
    return f"{one} to {other}".strip() if one.strip() and other.strip() else ""
