"""What each logged number and each score is about: the one table by which curves are grouped, labelled and judged.

A group answers a question. Pictures of curves, the page of a comparison and the tags of TensorBoard take their groups
from here; a name that no group knows is drawn all the same, under `other`.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import statistics
from collections.abc import Iterable, Mapping, Sequence

AXES = ("step", "images_seen", "seconds")  # of a line of the log: where it stands, not what it says
TEST = "_test"  # `d_loss_test` is `d_loss` on images of the test split; both are drawn together
OTHER = "other"
_SPIKE, _BEFORE, _FEWEST = 3.0, 20, 5


@dataclasses.dataclass(frozen=True)
class Group:
    """An entry of `GROUPS`.

    Attributes:
        title: what is drawn.
        question: what it answers.
        unit: label of the axis.
        good: what a healthy run shows, one sentence.
        names: patterns of the names in the log, as in `fnmatch`, without `TEST`.
        losses: the adversarial losses with which the names mean this; with any if empty.
        spikes: whether sudden peaks are marked.
        most: of more curves than this, those that end highest are drawn; 0 for all.
    """

    title: str
    question: str
    unit: str
    good: str
    names: tuple[str, ...]
    losses: tuple[str, ...] = ()
    spikes: bool = False
    most: int = 0


_OPINIONS = ("d_real", "d_fake")
GROUPS = {
    "losses": Group(
        "Losses",
        "Do generator and discriminator keep each other in balance?",
        "loss",
        "both level off; a discriminator's loss that falls to 0, or on test images alone rises, is a warning",
        ("d_loss", "g_loss"),
    ),
    "source_losses": Group(
        "Source losses",
        "Without the classes: do they keep each other in balance in telling real from generated?",
        "loss without its class terms",
        "both level off, and the discriminator's does not fall to 0",
        ("d_source", "g_source"),
    ),
    "d_class_losses": Group(
        "Class losses of the discriminator",
        "Does the discriminator learn the classes, and on test images, too?",
        "cross-entropy, nats",
        "falling; a gap that opens between training and test images is overfitting",
        ("d_class", "d_class_*"),
    ),
    "g_class_losses": Group(
        "Class losses of the generator",
        "Can the classes that were asked for be told in generated images?",
        "cross-entropy, nats",
        "falling towards 0",
        ("g_class", "g_class_*"),
    ),
    "penalties": Group(
        "Penalties",
        "Do the constraints on the networks hold?",
        "penalty, unweighted",
        "small and steady",
        ("gradient_penalty", "r1", "r2", "pulling_away", "*_penalty"),
    ),
    "discriminator_scores": Group(
        "The discriminator's scores",
        "How far apart does the discriminator hold real and generated images?",
        "mean score, unbounded",
        "a gap that shrinks as samples get better; only the difference of the two means something",
        _OPINIONS,
        losses=("wasserstein", "least_squares", "least_squares_pearson", "relativistic_pairing"),
    ),
    "discriminator_energies": Group(
        "The discriminator's energies",
        "How well does the discriminator, an autoencoder, reconstruct real and generated images?",
        "mean reconstruction error",
        "real images low, generated ones coming down to them",
        _OPINIONS,
        losses=("margin", "equilibrium"),
    ),
    "discriminator": Group(
        "The discriminator's opinion",
        "Is the discriminator sure of itself?",
        "mean sigmoid of the logits",
        "both near 0.5; 1 for real and 0 for generated images leaves the generator nothing to learn from",
        _OPINIONS,
    ),
    "gradient_norms": Group(
        "Gradient norms",
        "Are the gradients steady?",
        "L2 norm of the gradient",
        "steady, neither vanishing nor exploding; runs with spikes (marked) are more prone to failure",
        ("*_gradient_norm",),
        spikes=True,
    ),
    "equilibrium": Group(
        "Equilibrium",
        "Does the balance between real and generated energies settle, and does the convergence measure fall?",
        "k in [0, 1]; convergence measure in units of energy",
        "k settles between 0 and 1, the convergence measure falls",
        ("k", "convergence"),
    ),
    "sigma": Group(
        "Largest singular values",
        "Do the weights of the largest layers stay bounded?",
        "sigma of the layer",
        "no layer grows without end",
        ("sigma_*", "sigma/*"),
        most=8,
    ),
    "rates": Group(
        "Learning rates",
        "Which rate was at work when?",
        "learning rate",
        "as the schedule says",
        ("*learning_rate", "*_rate"),
    ),
    OTHER: Group("Other quantities", "What else was logged?", "value", "depends on the quantity", ("*",)),
}


@dataclasses.dataclass(frozen=True)
class Score:
    """An entry of `SCORES`.

    Attributes:
        better: `"higher"`, `"lower"`, or `""` where neither end is good in itself.
        good: what to look for, one sentence.
        names: patterns of the names of scores, as in `fnmatch`.
    """

    better: str
    good: str
    names: tuple[str, ...]


SCORES = (
    Score("higher", "from 1 to the number of classes of the network; real images say what can be reached",
          ("*classifier_score", "*inception_score")),
    Score("lower", "0 for the distribution of the reference; fewer images bias it upwards",
          ("frechet_classifier_distance*", "*fid", "*fid_per_class")),
    Score("lower", "0 for the distribution of the reference", ("kernel_classifier_distance", "*kid")),
    Score("higher", "1 if every sample could be a real image", ("precision", "density")),
    Score("higher", "1 if every real image could be a sample", ("recall", "coverage")),
    Score("higher", "1 if no class is missing from the samples", ("class_coverage",)),
    Score("higher", "at most 1 divided by the number of classes", ("smallest_class_fraction",)),
    Score("lower", "0 if the samples have the classes of the reference in its proportions", ("class_histogram_kl",)),
    Score("higher", "1 if every sample shows the class that was asked for", ("asked_class_fraction",)),
    Score("", "near that of real images; higher means that samples are too alike", ("ms_ssim*",)),
    Score("lower", "0 for patches like those of the reference", ("sliced_wasserstein",)),
    Score("higher", "1 if no sample is nearer to a training image than real images are", ("authenticity",)),
)  # fmt: skip
_UNKNOWN = Score("", "", ())


def group_of(name: str, loss: str | None) -> str:
    """The key in `GROUPS` of a logged quantity.

    Args:
        name: as in the log.
        loss: name of the run's adversarial loss, which decides what the discriminator's numbers are.
    """
    base = name.removesuffix(TEST)
    for key, group in GROUPS.items():
        if group.losses and loss not in group.losses:
            continue
        if any(fnmatch.fnmatchcase(base, pattern) for pattern in group.names):
            return key
    return OTHER


def score_of(metric: str) -> Score:
    """What is good of a score; of an unknown one, nothing is said."""
    found = (score for score in SCORES if any(fnmatch.fnmatchcase(metric, pattern) for pattern in score.names))
    return next(found, _UNKNOWN)


def grouped(names: Iterable[str], loss: str | None) -> dict[str, list[str]]:
    """Keys of the groups that have something to show -> their names, both in the order of `GROUPS` and of `names`."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if name not in AXES:
            found.setdefault(group_of(name, loss), []).append(name)
    return {key: found[key] for key in GROUPS if key in found}


def with_source_losses(line: Mapping[str, float]) -> dict[str, float]:
    """A line of the log with `d_source` and `g_source` beside losses that hold class terms, if it lacks them.

    A loss with classes is the loss of the source plus the class terms that are logged (Odena et al., 2017, section 3),
    and the mean over an interval is linear, so what is left is the source's.
    """
    result = dict(line)
    for network in ("d", "g"):
        for split in ("", TEST):
            source, loss = f"{network}_source{split}", f"{network}_loss{split}"
            terms = [f"{network}_class{which}{split}" for which in ("", "_real", "_fake")]
            classes = [line[term] for term in terms if term in line]
            if classes and loss in line and source not in line:
                result[source] = line[loss] - sum(classes)
    return result


def spikes(values: Sequence[float]) -> list[int]:
    """Where a curve leaps: indices of values above three times the median of up to twenty before, at least five."""
    return [
        i
        for i in range(_FEWEST, len(values))
        if values[i] > _SPIKE * statistics.median(values[max(0, i - _BEFORE) : i]) > 0
    ]
