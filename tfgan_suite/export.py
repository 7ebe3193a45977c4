"""Export the averaged generator of a run as a SavedModel that needs nothing but TensorFlow.

python -m tfgan_suite.export results/runs/0001-sngan-shapes-seed0 exported

import tensorflow as tf
generator = tf.saved_model.load("exported")
images = generator.signatures["sample"](num_images=tf.constant(16), seed=tf.constant(7))["uint8"]
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from data_tools import command
from tfgan_suite.console.quiet_tensorflow import load_tensorflow
from tfgan_suite.runs.opening import open_run


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Export the averaged generator of a run as a SavedModel, reloaded and compared before success is reported.

    Example: python -m tfgan_suite.export results/runs/0001-sngan-shapes-seed0 exported
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Run folder."""
    directory: Annotated[Path, tyro.conf.Positional]
    """Where to write the SavedModel: new, empty, or an earlier export."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    arguments = command.parse(Arguments, argv, prog="python -m tfgan_suite.export")
    load_tensorflow()
    from tfgan_suite.runs.generator_export import export

    with command.fitting("give the process more, this run was trained with more"):
        run = open_run(arguments.run, report=command.report)
        scores, names = run.scores(), run.class_names
        exported = export(run.generator(), arguments.directory, settings=run.settings, class_names=names, scores=scores)
    print(f"SavedModel  {exported}")


if __name__ == "__main__":
    sys.exit(command.run(main))
