"""Train a GAN.

    python -m tfgan_suite.fit

trains the preset `quickstart` on built-in images: under two minutes on two CPU cores, no download.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfgan_suite import cli, config, run_folder
from tfgan_suite.config import Config
from tfgan_suite.errors import SuiteError, UsageError
from tfgan_suite.presets import PRESETS, SECONDS_PER_STEP
from tfgan_suite.run_folder import RunFolder

if TYPE_CHECKING:
    from data_tools.images import LabelledImages

_DRY_RUN_CLASSES = 10
PROG = "python -m tfgan_suite.fit"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train a GAN. Without arguments: the preset quickstart, under two minutes on two CPU cores, no download.

    Examples:
      python -m tfgan_suite.fit
      python -m tfgan_suite.fit --preset dcgan --dataset cifar10
      python -m tfgan_suite.fit --preset dcgan --dataset folder --data-dir photos --width 0.25 --steps 2000
      python -m tfgan_suite.fit --resume results/runs/0001-sngan-shapes-seed0
    """

    settings: Config = dataclasses.field(default_factory=lambda: PRESETS["quickstart"].config)
    preset: str | None = None
    """Start from this named configuration; see --list-presets. Without it: quickstart, or of --variant X alone,
    X-shapes."""
    list_presets: bool = False
    """Show all presets with paper and minutes, and stop."""
    config: Path | None = None
    """JSON file of settings, on top of the preset; flags go on top of it."""
    run_dir: Path | None = None
    """Folder for this run; by default the next number in results/runs."""
    resume: Path | None = None
    """Go on with the run in this folder, exactly."""
    extend: int | None = None
    """With --resume: train to this many steps in all."""
    dry_run: bool = False
    """Print the whole configuration and the layer tables, train nothing."""
    tensorboard: bool = False
    """Also log for TensorBoard; needs the extra [tensorboard]."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    arguments = parse(argv)
    if arguments.list_presets:
        print(preset_table())
        return
    if arguments.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UsageError("--tensorboard needs the package tensorboard: pip install 'tfgan_suite[tensorboard]'")
    fit(arguments)


def parse(argv: list[str]) -> Arguments:
    """Preset, then --config, then flags; with --resume, the run's own configuration and nothing else.

    Raises:
        UsageError: for flags that contradict each other, or that would change a resumed run.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--preset", "--config", "--resume", "--run-dir", "--variant"):
        first.add_argument(name, nargs="?")
    chosen, _ = first.parse_known_args([_hyphenated(argument) for argument in argv])
    if chosen.resume is not None:
        base = RunFolder(Path(chosen.resume)).read_config()[0]
    elif chosen.preset is None or chosen.preset in PRESETS:
        base = PRESETS[chosen.preset or _preset_of(chosen)].config
    else:
        raise UsageError(f"--preset must be one of {', '.join(PRESETS)}. Received: {chosen.preset}")
    if chosen.config is not None and chosen.resume is None:
        base = config.read_json(Path(chosen.config), base)

    # Steps and epochs come without a default here, so that giving one replaces the other; options, so that those given
    # are put beside the preset's, which hold for its variant only.
    blank = dataclasses.replace(base, steps=None, epochs=None, options={})
    arguments = cli.parse(Arguments, argv, prog=PROG, default=Arguments(settings=blank))
    settings = arguments.settings
    if settings.variant == base.variant:
        settings = dataclasses.replace(settings, options={**base.options, **settings.options})
    if settings.steps is None and settings.epochs is None:
        settings = dataclasses.replace(settings, steps=base.steps, epochs=base.epochs)
    if arguments.resume is not None:
        for name in ("preset", "config", "run_dir"):
            if getattr(chosen, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} cannot be given with --resume, which keeps what the run has"
                )
        # the images are compared by their fingerprint, so they may have moved
        changed = config.differences(dataclasses.replace(base, data_dir=settings.data_dir), settings)
        if changed:
            raise UsageError(f"--resume keeps the run's configuration, but these differ: {'; '.join(changed)}")
        if arguments.extend is not None:
            if arguments.extend < (base.steps or 0):
                raise UsageError(
                    f"--extend must be at least the run's {base.steps} steps. Received: {arguments.extend}"
                )
            settings = dataclasses.replace(settings, steps=arguments.extend)
    elif arguments.extend is not None:
        raise UsageError("--extend needs --resume DIR, the run to lengthen")
    return dataclasses.replace(arguments, settings=settings)


def _preset_of(chosen: argparse.Namespace) -> str:
    """The preset to start from where none is named: of a variant alone, its own small one."""
    own = f"{chosen.variant}-shapes".replace("_", "-")
    if chosen.config is None and own in PRESETS and chosen.variant != PRESETS["quickstart"].config.variant:
        return own
    return "quickstart"


def _hyphenated(argument: str) -> str:
    """`--run_dir=x` as `--run-dir=x`, which tyro takes for the same."""
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else argument


def preset_table() -> str:
    """One block per preset: what it is, its source, and how long it takes."""
    return "\n".join(
        f"{name}\n  {preset.about}\n  source:  {preset.paper}\n  minutes: {preset.minutes(SECONDS_PER_STEP[name])}"
        for name, preset in PRESETS.items()
    )


def fit(arguments: Arguments) -> None:
    """Train, score and export. Everything that can be refused is refused before the run folder is made."""
    began = time.monotonic()
    if arguments.run_dir is not None:
        run_folder.require_new(arguments.run_dir)
    cli.load_tensorflow()
    import data_tools
    from models_zoo import load_variant
    from tfgan_suite import loop, watchers
    from tfgan_suite.building import build, is_chief, make_deterministic, strategy_of

    settings = arguments.settings
    data_dir = Path(settings.data_dir) if settings.data_dir is not None else None

    def load() -> LabelledImages:
        return data_tools.load(
            settings.dataset, "train", image_size=settings.image_size, channels=settings.channels, data_dir=data_dir
        )

    make_deterministic(settings)
    strategy = strategy_of(settings)
    data = None
    conditional = load_variant(settings.variant).conditional
    if settings.num_classes is not None and not conditional:
        raise UsageError(f"--num-classes is for conditional variants, which {settings.variant} is not")
    if conditional and settings.num_classes is None:
        if arguments.dry_run:
            cli.report(
                f"note: the data are not read; {_DRY_RUN_CLASSES} classes are assumed, --num-classes changes that"
            )
        else:
            data = load()
            check_conditional(data, settings)
        settings = dataclasses.replace(settings, num_classes=len(data.class_names) if data else _DRY_RUN_CLASSES)
    with strategy.scope():
        gan = build(settings)
    if arguments.dry_run:
        print_dry_run(settings, gan)
        return
    data = data or load()
    check_classes(data, settings)
    settings = resolved(settings, gan, len(data))
    if not is_chief(strategy):
        follow(arguments, settings, gan, data, strategy)
        return
    score = watchers.scorer(settings, gan, data_dir)
    cli.report(f"{settings.variant} on {len(data):,} images of {settings.dataset}, {settings.steps:,} steps")

    resumed = None if arguments.resume is None else RunFolder(arguments.resume)
    run = resumed or run_folder.create(settings, arguments.run_dir)
    with run.lock():
        if resumed is None:
            run.write_config(settings, data.fingerprint(), data.class_names)
        else:
            restore(run, gan, data.fingerprint(), settings)
            run.update_config(settings)
        cli.report(f"run folder {run.path}")
        draw = watchers.grid_drawer(gan, run)
        watching = [(settings.sample_every, draw)]
        if score is not None:
            watching.append((settings.evaluate_every or settings.steps or 1, lambda step: score(run, step)))
        if arguments.tensorboard:
            watching.append((settings.log_every, watchers.tensorboard_writer(run)))
        if int(gan.step.numpy()) == 0:
            draw(0)
            if score is not None and settings.evaluate_every:
                score(run, 0)
        loop.train(gan, settings, data, run, watching, strategy)
        finish(gan, settings, run, data.class_names)
    cli.report(f"{time.monotonic() - began:.0f} s in all")


def follow(arguments: Arguments, settings: Config, gan: Any, data: LabelledImages, strategy: Any) -> None:
    """What a worker that is not the chief does: the same steps, and nothing to show for them."""
    from tfgan_suite import loop

    if arguments.resume is not None:
        restore(RunFolder(arguments.resume), gan, data.fingerprint(), settings, cut_back=False)
    with tempfile.TemporaryDirectory() as folder:
        loop.train(gan, settings, data, run_folder.create(settings, Path(folder) / "worker"), [], strategy)


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


def resolved(settings: Config, gan: Any, num_images: int) -> Config:
    """`settings` with what depends on the data and the variant filled in: the steps, the loss and all options."""
    from tfgan_suite.building import options_of

    steps = settings.steps
    if settings.epochs is not None:
        steps = math.ceil(settings.epochs * num_images / (settings.batch_size * settings.discriminator_steps))
    if steps is None:
        raise UsageError("--steps or --epochs must say how long to train")
    network, training = options_of(settings)
    return dataclasses.replace(
        settings, steps=steps, epochs=None, loss=gan.adversarial_loss, options=network | training
    )


def print_dry_run(settings: Config, gan: Any) -> None:
    """The configuration as JSON, options with their defaults, and the layer table of each network."""
    from tfgan_suite.building import options_of

    network, training = options_of(settings)
    filled = {"loss": gan.adversarial_loss, "options": network | training}
    print(json.dumps({**settings.as_dict(), **filled}, indent=2))
    for network in (gan.generator, gan.discriminator):
        network.summary(line_length=100, print_fn=print)


def restore(run: RunFolder, gan: Any, fingerprint: str, settings: Config, *, cut_back: bool = True) -> None:
    """Bring `gan` to the newest readable checkpoint and, if `cut_back`, the logs too.

    Raises:
        SuiteError: if the training data are not the run's.
    """
    from tfgan_suite import checkpoints

    _, record = run.read_config()
    if record.get("dataset_fingerprint") != fingerprint:
        raise SuiteError(
            f"the images of {settings.dataset} are not those that {run.path} was trained on: "
            f"give their place with --data-dir"
        )
    for name, now in (("versions", run_folder.versions()), ("machine", run_folder.machine())):
        if record.get(name) != now:
            cli.report(
                f"note: {name} differ from the run's beginning, so it will not go on bit by bit as it would have"
            )
    found = checkpoints.newest(run.checkpoints, cli.report)
    if found is None:
        if cut_back:
            run.cut_back(-1, settings)
        cli.report("no checkpoint yet: starting from the beginning")
        return
    path, arrays = found
    checkpoints.restore(gan.state(), arrays, path)
    step = int(gan.step.numpy())
    if cut_back:
        run.cut_back(step, settings)
    done = ", which is all: use --extend N for more" if step >= (settings.steps or 0) else ""
    cli.report(f"resumed at step {step:,} of {settings.steps:,}{done}")


def finish(gan: Any, settings: Config, run: RunFolder, class_names: tuple[str, ...]) -> None:
    """Draw the curves, export the averaged generator, and print where everything is."""
    from tfgan_suite import files, plots
    from tfgan_suite.export import export
    from tfgan_suite.watchers import is_selection

    measured = files.read_json_lines(run.metrics)
    plots.draw(files.read_json_lines(run.log), run.plots)
    plots.draw_metrics(measured, run.plots)
    scores = [line for line in measured if line["step"] == settings.steps and not is_selection(line)]
    exported = export(gan.ema_generator, run.export, settings=settings, class_names=class_names, scores=scores)
    for line in scores:
        print(f"{line['metric']:28}{line['value']:.3f}")
    print(f"{'sample grid':28}{run.sample_grid(settings.steps or 0)}")
    print(f"{'SavedModel':28}{exported}")


if __name__ == "__main__":
    sys.exit(cli.run(main))
