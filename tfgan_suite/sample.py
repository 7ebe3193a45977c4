"""Pictures of what a generator makes, and of what lies between.

    python -m tfgan_suite.sample SOURCE KIND [options]

SOURCE is a run folder or an exported generator (a SavedModel). KIND is one of

    grid          samples
    per-class     a column per class, the same latents in each
    interpolate   walks from sample to sample, and from class to class, as a strip and a GIF
    arithmetic    A - B + C of the means of chosen samples
    neighbours    samples beside their nearest training images
    truncation    samples from latents that are cut off ever less
    directions    the strongest directions of the first layer
    features      what the features of the discriminator respond to
    history       a GIF of a run from its sample grids

Examples:
    python -m tfgan_suite.sample results/runs/0001-sngan-shapes-seed0 grid
    python -m tfgan_suite.sample RUN interpolate --samples 7:0 7:3 --steps 12
    python -m tfgan_suite.sample RUN arithmetic --a 7:1 7:4 7:6 --b 7:2 7:5 --c 7:0 7:8
    python -m tfgan_suite.sample exported directions --samples 7:3 --count 8 --output directions.png
    python -m tfgan_suite.sample OTHER interpolate --latents walk.json

A sample is named SEED:INDEX; it is image INDEX of the signature `sample` of the exported generator for that seed.
Beside each picture a JSON file of the same name holds its latents, classes, source and command; --latents takes it.
`python -m tfgan_suite.sample SOURCE KIND --help` lists what a kind takes.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from data_tools import command, files
from data_tools.errors import UsageError
from tfgan_suite.console.quiet_tensorflow import load_tensorflow
from tfgan_suite.exploring.walks import PATHS
from tfgan_suite.images.pixels import RANGES
from tfgan_suite.runs import opening

PROG = "python -m tfgan_suite.sample"
if TYPE_CHECKING:
    import numpy as np

    from tfgan_suite.exploring.points import Points
    from tfgan_suite.exploring.sheets import Sheet
    from tfgan_suite.exploring.subject import Subject

    Weights = str
    Values = str
    WalkPath = str
else:
    Weights, Values, WalkPath = (
        Literal[tuple(opening.WEIGHTS)], Literal[tuple(RANGES)], Literal[tuple(PATHS)]
    )  # fmt: skip
_MOST_IMAGES = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """What every kind takes."""

    source: Annotated[str, tyro.conf.Positional]
    """A run folder, or an exported generator (a SavedModel)."""
    output: Path | None = None
    """The picture to write; by default SOURCE-KIND.png here."""
    weights: Weights = "ema"
    """Of a run: averaged weights, or those of the last step."""
    checkpoint: str = opening.NEWEST
    """Of a run: newest, best (on the selection split), or a step."""
    debug: bool = False
    """Show tracebacks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfLatents(Picture):
    """What every kind takes that begins with latents."""

    seed: int = 0
    """Take the first images of this seed."""
    latents: Path | None = None
    """Take what the picture beside this JSON file starts from."""
    values: Values = "tanh"
    """Of a SavedModel of others: what its pixels range over, [-1, 1], [0, 1] or [0, 255]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfSamples(OfLatents):
    """What every kind takes that begins with samples."""

    samples: tuple[str, ...] = ()
    """Take these samples, SEED:INDEX each."""
    num_images: int | None = None
    """How many samples of --seed to take."""
    classes: tuple[str, ...] = ()
    """Their classes by name, one for all or one for each; by default the samples' own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid(OfSamples):
    """Samples, 64 by default. With --latents, the picture beside that file is made again, all of it.

    Examples:
      python -m tfgan_suite.sample RUN grid --seed 7 --num-images 100
      python -m tfgan_suite.sample RUN grid --latents walk.json
    """

    columns: int | None = None
    """How many stand in a row; by default as square as their number allows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerClass(OfSamples):
    """A column per class and a row per sample, 8 by default: the same latents in every class.

    Example: python -m tfgan_suite.sample RUN per-class --seed 7 --classes circle square
    """

    classes: tuple[str, ...] = ()
    """The classes by name; by default all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interpolate(OfSamples):
    """Walks from sample to sample, two by default, as a strip and, beside it, a GIF. Between samples of two classes the
    class changes, too.

    Examples:
      python -m tfgan_suite.sample RUN interpolate --samples 7:0 7:3 9:1 --steps 12
      python -m tfgan_suite.sample RUN interpolate --samples 7:0 7:0 --classes circle square
    """

    path: WalkPath = "spherical"
    """The great arc, or the straight line."""
    steps: int = 9
    """Images of a walk, both ends among them."""
    shares: tuple[float, ...] = ()
    """Instead of --steps: how far the images are on the way, from 0 to 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arithmetic(OfLatents):
    """A - B + C of the means of three groups of samples, by default three of --seed each.

    Example: python -m tfgan_suite.sample RUN arithmetic --a 7:1 7:4 7:6 --b 7:2 7:5 --c 7:0 7:8
    """

    a: tuple[str, ...] = ()
    """Samples, SEED:INDEX each, of which the mean is taken."""
    b: tuple[str, ...] = ()
    """The same, to be taken away."""
    c: tuple[str, ...] = ()
    """The same, to be added."""
    classes: tuple[str, ...] = ()
    """The class by name of all; by default the samples' own, and for means and results that of A's first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Neighbours(OfSamples):
    """Samples, 8 by default, each beside its nearest training images: by pixels, and by features of a scoring network.

    Examples:
      python -m tfgan_suite.sample RUN neighbours
      python -m tfgan_suite.sample exported neighbours --training cifar10:train --classifier inception --nearest 5
    """

    nearest: int = 8
    """How many neighbours."""
    training: str | None = None
    """The training images: dataset:split, a folder of pictures or an .npz; of a run its own."""
    data_dir: Path | None = None
    """Where the dataset's files are, if not where the run found them."""
    classifier: str = "auto"
    """Network whose features count, as of tfgan_suite.evaluate; none for pixels alone; auto: that of the run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truncation(OfSamples):
    """Samples, 8 by default, from latents whose numbers are cut off ever less.

    Example: python -m tfgan_suite.sample RUN truncation --thresholds 0.5 1 2 inf
    """

    thresholds: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, float("inf"))
    """The largest number of the latents; inf for no bound."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Directions(OfSamples):
    """One sample, or more, moved along the directions that change the generator's first layer most.

    Examples:
      python -m tfgan_suite.sample RUN directions --samples 7:3 --count 8
      python -m tfgan_suite.sample RUN directions --samples 7:3 --directions 2 --strengths -2 0 2
    """

    count: int = 6
    """How many, beginning with the strongest."""
    directions: tuple[int, ...] = ()
    """Instead of --count: which ones, 1 being the strongest."""
    strengths: tuple[float, ...] = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
    """How far to go; latents have a length of about the square root of their number."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features(Picture):
    """The strongest features of the discriminator's deepest map: the training images that each responds to most, and to
    what of them, by guided back-propagation.

    Example: python -m tfgan_suite.sample RUN features --count 6 --columns 9
    """

    count: int = 6
    """How many features."""
    columns: int = 9
    """How many images for each."""
    num_images: int = 2000
    """Among how many training images to look."""
    data_dir: Path | None = None
    """Where the dataset's files are, if not where the run found them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class History(Picture):
    """A GIF of a run from its sample grids; --weights and --checkpoint have no part in it.

    Example: python -m tfgan_suite.sample RUN history --output run.gif
    """

    milliseconds: int = 200
    """How long each grid is shown."""


def main(argv: list[str]) -> None:
    if not argv or argv[0] in ("-h", "--help"):
        print((__doc__ or "").strip())
        if not argv:
            raise UsageError(f"SOURCE and a kind are needed: {', '.join(KINDS)}")
        return
    if len(argv) < 2 or argv[1] not in KINDS:
        raise UsageError(
            f"SOURCE comes first, and then the kind, one of {', '.join(KINDS)}. Received: {shlex.join(argv[:2])}"
        )
    kind, draw = KINDS[argv[1]]
    arguments = command.parse(kind, [argv[0], *argv[2:]], prog=f"{PROG} SOURCE {argv[1]}")
    _check(arguments)
    output = _output(arguments, argv[1])
    load_tensorflow()
    draw(arguments, output, {"kind": argv[1], "source": arguments.source, "command": f"{PROG} {shlex.join(argv)}"})


def draw_grid(arguments: Grid, subject: Subject) -> Sheet:
    from tfgan_suite.exploring import sheet_files, sheets

    if arguments.latents is not None and not arguments.classes and arguments.columns is None:
        return sheet_files.again(subject, arguments.latents)
    return sheets.grid(subject, _samples(arguments, subject, 64), arguments.columns)


def draw_per_class(arguments: PerClass, subject: Subject) -> Sheet:
    from tfgan_suite.exploring import sheets

    labels = subject.classes(arguments.classes or subject.class_names) if subject.class_names else _no_classes()
    return sheets.per_class(subject, _samples(dataclasses.replace(arguments, classes=()), subject, 8), labels)


def draw_interpolate(arguments: Interpolate, subject: Subject) -> Sheet:
    import numpy as np

    from tfgan_suite.exploring import sheets

    if arguments.shares and arguments.steps != Interpolate(source="").steps:
        raise UsageError("--steps and --shares say the same thing: give one of them")
    shares = np.array(arguments.shares) if arguments.shares else np.linspace(0, 1, arguments.steps)
    return sheets.interpolate(subject, _samples(arguments, subject, 2), arguments.path, shares)


def draw_arithmetic(arguments: Arithmetic, subject: Subject) -> Sheet:
    from tfgan_suite.exploring import points, sheet_files, sheets

    named = (arguments.a, arguments.b, arguments.c)
    if any(named) and not all(named):
        raise UsageError("--a, --b and --c are needed together, with a sample or more each")
    if arguments.latents is not None:
        groups = list(sheet_files.groups_in(subject, arguments.latents))
    elif any(named):
        groups = [subject.samples([points.parse_name(name) for name in names]) for names in named]
    else:
        groups = [subject.samples([(arguments.seed, 3 * group + i) for i in range(3)]) for group in range(3)]
    a, b, c = (_in_classes(group, subject, arguments.classes) for group in groups)
    return sheets.arithmetic(subject, a, b, c)


def draw_truncation(arguments: Truncation, subject: Subject) -> Sheet:
    from tfgan_suite.exploring import sheets

    return sheets.truncation(subject, _samples(arguments, subject, 8), arguments.thresholds)


def draw_directions(arguments: Directions, subject: Subject) -> Sheet:
    from tfgan_suite.exploring import sheets

    if arguments.directions and arguments.count != Directions(source="").count:
        raise UsageError("--count and --directions say the same thing: give one of them")
    chosen = arguments.directions or range(1, min(arguments.count, subject.latent_dim) + 1)
    return sheets.directions(subject, _samples(arguments, subject, 1), chosen, arguments.strengths)


def draw_neighbours(arguments: Neighbours, subject: Subject) -> Sheet:
    from tfgan_suite.exploring import sheets, training_images

    samples = _samples(arguments, subject, 8)
    training = training_images.of_subject(subject, arguments.training, arguments.data_dir, command.report)
    measures = training_images.measures(subject, arguments.classifier, command.report)
    return sheets.neighbours(subject, samples, training, arguments.nearest, measures)


def draw_features(arguments: Features, subject: Subject) -> Sheet:
    from tfgan_suite.exploring import sheets, training_images

    run = subject.require_run("features are those of a discriminator")
    images, labels = training_images.first(run.settings, arguments.num_images, arguments.data_dir)
    return sheets.features(run.gan.discriminator, images, labels, arguments.count, arguments.columns)


def _drawn(draw: Callable[[Any, Subject], Sheet]) -> Callable[[Any, Path, dict[str, Any]], None]:
    """What opens the source, draws, writes, and says where."""

    def work(arguments: Any, output: Path, record: dict[str, Any]) -> None:
        from tfgan_suite.exploring import sheet_files
        from tfgan_suite.exploring.subject import open_subject

        subject = open_subject(
            arguments.source, weights=arguments.weights, checkpoint=arguments.checkpoint,
            values=getattr(arguments, "values", "tanh"), report=command.report,
        )  # fmt: skip
        sheet = draw(arguments, subject)
        about = {**record, **subject.record, "latent_dim": subject.latent_dim, "class_names": subject.class_names}
        beside = sheet_files.write(sheet, output, **about)
        print(f"{'picture':12}{output}")
        if isinstance(arguments, Interpolate):
            print(f"{'animation':12}{sheet_files.write_walk(sheet, output)}")
        print(f"{'latents' if sheet.samples is not None else 'about':12}{beside}")

    return work


def write_history(arguments: History, output: Path, record: dict[str, Any]) -> None:
    from tfgan_suite.exploring import history, sheet_files
    from tfgan_suite.runs.run_folder import RunFolder

    if not opening.is_run(Path(arguments.source)):
        raise UsageError(f"history is that of a run: give its folder. Received: {arguments.source}")
    steps = history.write(RunFolder(Path(arguments.source)), output, arguments.milliseconds)
    print(f"{'animation':12}{output}")
    print(f"{'about':12}{sheet_files.write_record(output, {**record, 'steps': steps})}")


def _samples(arguments: OfSamples, subject: Subject, count: int) -> Points:
    """The samples that the picture starts from; `count` of the seed if nothing is said."""
    from tfgan_suite.exploring import points, sheet_files

    if arguments.latents is not None:
        found = sheet_files.samples_in(subject, arguments.latents)
    else:
        of_seed = [(arguments.seed, index) for index in range(arguments.num_images or count)]
        found = subject.samples([points.parse_name(name) for name in arguments.samples] or of_seed)
    return _in_classes(found, subject, arguments.classes)


def _in_classes(samples: Points, subject: Subject, names: tuple[str, ...]) -> Points:
    if not names:
        return samples
    labels = subject.classes(names)
    if len(labels) not in (1, len(samples)):
        raise UsageError(f"--classes must be one for all or {len(samples)}, one for each. Received: {len(labels)}")
    return samples.with_labels(labels.repeat(len(samples)) if len(labels) == 1 else labels)


def _no_classes() -> np.ndarray:
    import numpy as np

    return np.zeros(0, np.int32)


def _check(arguments: Picture) -> None:
    for name in ("num_images", "columns", "steps", "count", "nearest", "milliseconds"):
        number = getattr(arguments, name, None)
        if number is not None and not 1 <= number <= _MOST_IMAGES:
            raise UsageError(f"--{name.replace('_', '-')} must be from 1 to {_MOST_IMAGES:,}. Received: {number}")
    if isinstance(arguments, OfLatents):
        _check_beginning(arguments)


def _check_beginning(arguments: OfLatents) -> None:
    """Refuse two ways of saying where to start."""
    if not 0 <= arguments.seed < 2**31:
        raise UsageError(f"--seed must be from 0 to 2147483647. Received: {arguments.seed}")
    flags = {"latents": arguments.latents is not None}
    flags |= {name: bool(getattr(arguments, name, ())) for name in ("samples", "a", "b", "c")}
    given = [f"--{name}" for name, is_given in flags.items() if is_given]
    if flags["latents"] and len(given) > 1:
        raise UsageError(f"{' and '.join(given)} both say where to start: give one of them")
    if given and arguments.seed != OfLatents(source="").seed:
        raise UsageError(f"--seed would do nothing with {given[0]}: leave it out")
    if given and getattr(arguments, "num_images", None) is not None:
        raise UsageError(f"--num-images is of --seed and would do nothing with {given[0]}: leave it out")


def _output(arguments: Picture, kind: str) -> Path:
    """Where the picture goes; refused now rather than after it was drawn if nothing can be written there."""
    ending = ".gif" if isinstance(arguments, History) else ".png"
    output = arguments.output or Path(f"{Path(arguments.source).resolve().name}-{kind}{ending}")
    if output.suffix.lower() != ending:
        raise UsageError(f"--output must end with {ending}. Received: {output}")
    with files.writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.is_dir() or not os.access(output.parent, os.W_OK):
            raise UsageError(f"--output must be a file that can be written. Received: {output}")
    return output


KINDS: dict[str, tuple[type[Picture], Callable[[Any, Path, dict[str, Any]], None]]] = {
    "grid": (Grid, _drawn(draw_grid)),
    "per-class": (PerClass, _drawn(draw_per_class)),
    "interpolate": (Interpolate, _drawn(draw_interpolate)),
    "arithmetic": (Arithmetic, _drawn(draw_arithmetic)),
    "neighbours": (Neighbours, _drawn(draw_neighbours)),
    "truncation": (Truncation, _drawn(draw_truncation)),
    "directions": (Directions, _drawn(draw_directions)),
    "features": (Features, _drawn(draw_features)),
    "history": (History, write_history),
}

if __name__ == "__main__":
    sys.exit(command.run(main))
