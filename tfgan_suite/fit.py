"""Train a GAN.

    python -m tfgan_suite.fit

trains the preset `quickstart` on built-in images: under two minutes on two CPU cores, no download.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_tools import command
from data_tools.errors import UsageError
from tfgan_suite.console.quiet_tensorflow import load_tensorflow
from tfgan_suite.runs import config, run_folder
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.presets import PRESETS
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.training.stop_signals import StopSignals

PROG = "python -m tfgan_suite.fit"
if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[tuple(PRESETS)]


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
    preset: PresetName | None = None
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


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """The flags that decide what all others are put on top of.

    They are parsed first, by themselves, because tyro has to be told the defaults of the others, and shows them in
    `--help`.
    """

    preset: str | None = None
    config: Path | None = None
    resume: Path | None = None
    run_dir: Path | None = None
    variant: str | None = None
    classifier: str | None = None


def main(argv: list[str]) -> None:
    arguments = parse(argv)
    if arguments.list_presets:
        print(preset_table())
        return
    if arguments.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UsageError("--tensorboard needs the package tensorboard: pip install 'tfgan_suite[tensorboard]'")
    if arguments.run_dir is not None:
        run_folder.require_new(arguments.run_dir)
    with StopSignals() as signals:
        load_tensorflow()
        _train_or_show(arguments, signals)


def _train_or_show(arguments: Arguments, signals: StopSignals) -> None:
    from tfgan_suite.training import memory_needed, session

    with command.fitting(memory_needed.ADVICE):
        if arguments.dry_run:
            session.show(arguments.settings)
            return
        session.train_run(
            arguments.settings,
            run_dir=arguments.run_dir,
            resume=arguments.resume,
            tensorboard=arguments.tensorboard,
            signals=signals,
        )


def parse(argv: list[str]) -> Arguments:
    """Preset, then --config, then flags; with --resume, the run's own configuration and nothing else.

    Raises:
        UsageError: for flags that contradict each other, or that would change a resumed run.
    """
    chosen = command.parse_some(_Chosen, argv, prog=PROG)
    if chosen.resume is not None:
        base = RunFolder(chosen.resume).read_config()[0]
    elif chosen.preset is None or chosen.preset in PRESETS:
        base = PRESETS[chosen.preset or _preset_of(chosen)].config
    else:
        raise UsageError(f"--preset must be one of {', '.join(PRESETS)}. Received: {chosen.preset}")
    if chosen.config is not None and chosen.resume is None:
        base = config.read_json(chosen.config, base)

    # Steps and epochs come without a default here, so that giving one replaces the other; options, so that those given
    # are put beside the preset's, which hold for its variant only.
    blank = dataclasses.replace(base, steps=None, epochs=None, options={})
    arguments = command.parse(Arguments, argv, prog=PROG, default=Arguments(settings=blank))
    settings = arguments.settings
    if settings.variant == base.variant:
        settings = dataclasses.replace(settings, options={**base.options, **settings.options})
    if settings.steps is None and settings.epochs is None:
        settings = dataclasses.replace(settings, steps=base.steps, epochs=base.epochs)
    if arguments.resume is not None:
        settings = _resumed(arguments, chosen, base, settings)
    elif arguments.extend is not None:
        raise UsageError("--extend needs --resume DIR, the run to lengthen")
    return dataclasses.replace(arguments, settings=settings)


def _resumed(arguments: Arguments, chosen: _Chosen, base: Config, settings: Config) -> Config:
    """The run's own configuration, with more steps if asked for; anything else is refused."""
    from tfgan_suite.scores import yardstick  # which takes long to import for who only wants --help

    for name in ("preset", "config", "run_dir"):
        if getattr(chosen, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} cannot be given with --resume, which keeps what the run has")
    if chosen.classifier is None:
        yardstick.require_data(base.classifier, arguments.resume or Path())
    # images and a classifier's file are compared by their fingerprints, so they may have moved
    moved = dataclasses.replace(base, data_dir=settings.data_dir)
    if not yardstick.is_built_in(base.classifier) and not yardstick.is_built_in(settings.classifier):
        moved = dataclasses.replace(moved, classifier=settings.classifier)
    changed = config.differences(moved, settings)
    if changed:
        raise UsageError(f"--resume keeps the run's configuration, but these differ: {'; '.join(changed)}")
    if arguments.extend is None:
        return settings
    if arguments.extend < (base.steps or 0):
        raise UsageError(f"--extend must be at least the run's {base.steps} steps. Received: {arguments.extend}")
    return dataclasses.replace(settings, steps=arguments.extend)


def _preset_of(chosen: _Chosen) -> str:
    """The preset to start from where none is named: of a variant alone, its own small one."""
    own = f"{chosen.variant}-shapes".replace("_", "-")
    if chosen.config is None and own in PRESETS and chosen.variant != PRESETS["quickstart"].config.variant:
        return own
    return "quickstart"


def preset_table() -> str:
    """One block per preset: what it is, its source, and how long it takes."""
    return "\n".join(
        f"{name}\n  {preset.about}\n  source:  {preset.paper}\n  minutes: {preset.minutes()}"
        for name, preset in PRESETS.items()
    )


if __name__ == "__main__":
    sys.exit(command.run(main))
