"""One run from its configuration to its export: build, train or go on, score, draw, export."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

import data_tools
from data_tools import files
from data_tools.command import report
from data_tools.errors import SuiteError, UsageError
from models_zoo import load_variant
from tfgan_suite.reports import curves
from tfgan_suite.runs import provenance, run_folder
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.generator_export import export
from tfgan_suite.runs.opening import open_run
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.scores.protocol import is_selection
from tfgan_suite.training import loop
from tfgan_suite.training.building import build, make_deterministic, options_of, strategy_of
from tfgan_suite.training.memory_needed import require_fits
from tfgan_suite.training.sample_grids import grid_drawer
from tfgan_suite.training.scores_on_the_way import scorer
from tfgan_suite.training.stop_signals import StopSignals
from tfgan_suite.training.tensorboard_events import tensorboard_writer
from tfgan_suite.training.workers import Workers, workers_of

if TYPE_CHECKING:
    from data_tools.images import LabelledImages
    from models_zoo.gan import GAN

_DRY_RUN_CLASSES = 10
_NO_MORE_TO_STOP = "all steps are done and saved, the export is finished first"


def train_run(
    settings: Config,
    *,
    run_dir: Path | None = None,
    resume: Path | None = None,
    tensorboard: bool = False,
    signals: StopSignals | None = None,
) -> RunFolder | None:
    """Train, score and export. Everything that can be refused is refused before the run folder is made.

    Args:
        settings: the whole configuration; of a resumed run its own, with more steps if it is to be lengthened.
        run_dir: folder for a new run; the next number in `results/runs` if None.
        resume: a run to go on with, instead.
        tensorboard: whether to log for TensorBoard, too.
        signals: what listens for Ctrl-C and SIGTERM already; if None, it is done here.

    Returns:
        The run's folder; None on a worker that is not the chief.

    Raises:
        UsageError: for a configuration that cannot be trained.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP, when all is saved.
        SuiteError: for what went wrong on the way.
    """
    if signals is None:
        with StopSignals() as signals:
            return train_run(settings, run_dir=run_dir, resume=resume, tensorboard=tensorboard, signals=signals)
    began = time.monotonic()
    workers = workers_of(settings.distribute)
    strategy, conditional = _set_up(settings, workers, signals)
    with workers.together(), _until_all_are_ready(workers, signals):
        workers.require_same("configuration", settings.as_dict() | {"data_dir": None})
        data = None
        if conditional and settings.num_classes is None:  # which the networks are built for
            data = load(settings)
            check_conditional(data, settings)
            settings = dataclasses.replace(settings, num_classes=len(data.class_names))
        with strategy.scope():
            gan = build(settings)
        require_fits(settings, gan)
        data = data or load(settings)
        check_classes(data, settings)
        settings = resolved(settings, gan, len(data))
        workers.require_same("images", {"fingerprint": data.fingerprint()})
        training = _Training(settings, gan, data, strategy, workers, signals)
        if not workers.is_chief:
            training.follow()
            return None
        run = training.lead(run_dir, resume, tensorboard)
    report(f"{time.monotonic() - began:.0f} s in all")
    return run


@dataclasses.dataclass(frozen=True)
class _Training:
    """All that is ready for the first step, but the run folder, which is the chief's alone."""

    settings: Config
    gan: GAN
    data: LabelledImages
    strategy: tf.distribute.Strategy
    workers: Workers
    signals: StopSignals

    def lead(self, run_dir: Path | None, resume: Path | None, tensorboard: bool) -> RunFolder:
        """What the chief does, which is all there is to do in a run without other workers."""
        settings, gan, data = self.settings, self.gan, self.data
        score = scorer(settings, gan, data.class_names, resume)
        report(f"{settings.variant} on {len(data):,} images of {settings.dataset}, {settings.steps:,} steps")
        run = run_folder.create(settings, run_dir) if resume is None else RunFolder(resume)
        new = contextlib.nullcontext() if resume is not None else run_folder.begun(run, lambda: int(gan.step.numpy()))
        with run.lock(), new:
            replicas = self.strategy.num_replicas_in_sync
            if resume is None:
                run.write_config(settings, data.fingerprint(), data.class_names, replicas)
            else:
                run.cut_back(restore(resume, gan, data, settings, replicas), settings)
                run.update_config(settings)
            go_on = self.workers.how_to_go_on(run.path)
            self.signals.meaning = f"stopped before the first step. {go_on}"
            report(f"run folder {run.path}")
            self.workers.run = run.path
            self.workers.share(str(run.path).encode())
            self.workers.share_state(gan.state())
            watching = watchers(gan, settings, run, score, tensorboard)
            loop.train(gan, settings, data, run, watching, self.strategy, self.workers, self.signals)
            self.signals.note = _NO_MORE_TO_STOP
            self.signals.meaning = f"stopped after the last step, which is saved, and before the export. {go_on}"
            finish(gan, settings, run, data.class_names)
        self.workers.agree()
        return run

    def follow(self) -> None:
        """What every other worker does: the same steps, and nothing to show for them."""
        self.workers.run = Path(self.workers.share(None).decode())
        self.workers.share_state(self.gan.state())
        loop.train(self.gan, self.settings, self.data, None, [], self.strategy, self.workers, self.signals)
        self.signals.note = _NO_MORE_TO_STOP
        self.workers.agree()  # the chief has exported it


def watchers(
    gan: GAN, settings: Config, run: RunFolder, score: Callable[[RunFolder, int], None] | None, tensorboard: bool
) -> list[tuple[int, Callable[[int], None]]]:
    """What looks at the run on its way, each with its interval; of a new run, the beginning is looked at here."""
    draw = grid_drawer(gan, run)
    watching = [(settings.sample_every, draw)]
    if score is not None:
        watching.append((settings.evaluate_every or settings.steps or 1, lambda step: score(run, step)))
    if tensorboard:
        watching.append((settings.log_every, tensorboard_writer(run)))
    if int(gan.step.numpy()) == 0:
        draw(0)
        if score is not None and settings.evaluate_every:
            score(run, 0)
    return watching


def show(settings: Config) -> None:
    """Print what would be trained; without reading data, for ten classes if it cannot be known otherwise."""
    with StopSignals() as signals:
        strategy, conditional = _set_up(settings, workers_of(settings.distribute), signals)
    if conditional and settings.num_classes is None:
        report(f"note: the data are not read; {_DRY_RUN_CLASSES} classes are assumed, --num-classes changes that")
        settings = dataclasses.replace(settings, num_classes=_DRY_RUN_CLASSES)
    with strategy.scope():
        print_dry_run(settings, build(settings))


def load(settings: Config) -> LabelledImages:
    """The training split."""
    return data_tools.load(
        settings.dataset,
        "train",
        image_size=settings.image_size,
        channels=settings.channels,
        data_dir=settings.data_dir,
    )


def _set_up(settings: Config, workers: Workers, signals: StopSignals) -> tuple[tf.distribute.Strategy, bool]:
    """What the networks are built in, and whether they take classes."""
    make_deterministic(settings)
    strategy = strategy_of(settings, lambda: workers.join(signals))
    conditional = load_variant(settings.variant).conditional
    if settings.num_classes is not None and not conditional:
        raise UsageError(f"--num-classes is for conditional variants, which {settings.variant} is not")
    return strategy, conditional


def _until_all_are_ready(workers: Workers, signals: StopSignals) -> contextlib.AbstractContextManager[object]:
    """Of several workers, none leaves alone: a signal waits until they agree to stop."""
    if workers.alone:
        return contextlib.nullcontext()
    return signals.remembering("stopping before the first step, as soon as every worker is ready for it")


def check_conditional(data: LabelledImages, settings: Config) -> None:
    """Raises UsageError if the data have too few classes for a conditional variant."""
    if len(data.class_names) < 2:
        raise UsageError(
            f"--variant {settings.variant} learns classes and needs two or more. "
            f"Received: {settings.dataset} with one, {data.class_names[0]!r}\n"
            f"Put the images into a folder per class, or choose a variant without classes"
        )


def check_classes(data: LabelledImages, settings: Config) -> None:
    """Raises UsageError if the conditional variant was built for another number of classes than the data have."""
    if settings.num_classes is None:
        return
    check_conditional(data, settings)
    if settings.num_classes != len(data.class_names):
        raise UsageError(
            f"--num-classes must be {len(data.class_names)}, the classes of {settings.dataset}. "
            f"Received: {settings.num_classes}"
        )


def resolved(settings: Config, gan: GAN, num_images: int) -> Config:
    """`settings` with what depends on the data and the variant filled in: the steps, the loss and all options."""
    steps = settings.steps_for(num_images)
    settings.require_batch_of(num_images)
    network, training = options_of(settings)
    return dataclasses.replace(
        settings, steps=steps, epochs=None, loss=gan.adversarial_loss, options=network | training
    )


def print_dry_run(settings: Config, gan: GAN) -> None:
    """The configuration as JSON, options with their defaults, and the layer table of each network."""
    network, training = options_of(settings)
    filled = {"loss": gan.adversarial_loss, "options": network | training}
    print(json.dumps({**settings.as_dict(), **filled}, indent=2))
    for model in (gan.generator, gan.discriminator):
        model.summary(line_length=100, print_fn=print)


def restore(path: Path, gan: GAN, data: LabelledImages, settings: Config, replicas: int) -> int:
    """Bring `gan` to the run's newest readable checkpoint; gives its step, or -1 if there is none.

    Raises:
        SuiteError: if the training data are not the run's.
    """
    record = RunFolder(path).read_config()[1]
    if record.get("dataset_fingerprint") != data.fingerprint():
        raise SuiteError(
            f"the images of {settings.dataset} are not those that {path} was trained on: "
            f"give their place with --data-dir"
        )
    began = {"replicas": replicas, **record}  # older runs do not say on how many
    here = {"versions": provenance.versions(), "machine": provenance.machine(), "replicas": replicas}
    for name, now in here.items():
        if began.get(name) != now:
            report(f"note: {name} differ from the run's beginning, so it will not go on bit by bit as it would have")
    opened = open_run(path, gan=gan, may_be_new=True, report=report)
    if opened.checkpoint is None:
        report("no checkpoint yet: starting from the beginning")
        return -1
    done = ", which is all: use --extend N for more" if opened.step >= (settings.steps or 0) else ""
    report(f"resumed at step {opened.step:,} of {settings.steps:,}{done}")
    return opened.step


def finish(gan: GAN, settings: Config, run: RunFolder, class_names: tuple[str, ...]) -> None:
    """Draw the curves, export the averaged generator, and print where everything is."""
    measured = files.read_json_lines(run.metrics)
    curves.draw(files.read_json_lines(run.log), run.plots, settings.loss)
    curves.draw_metrics(measured, run.plots)
    scores = [line for line in measured if line["step"] == settings.steps and not is_selection(line)]
    exported = export(gan.ema_generator, run.export, settings=settings, class_names=class_names, scores=scores)
    for line in scores:
        print(f"{line['metric']:28}{line['value']:.3f}")
    print(f"{'sample grid':28}{run.sample_grid(settings.steps or 0)}")
    print(f"{'SavedModel':28}{exported}")
