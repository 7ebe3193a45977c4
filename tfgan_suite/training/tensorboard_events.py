"""The log of a run as TensorBoard reads it."""

from __future__ import annotations

import json
from collections.abc import Callable

import tensorflow as tf

from tfgan_suite.runs.run_folder import RunFolder


def tensorboard_writer(run: RunFolder) -> Callable[[int], None]:
    """A function of the step that copies the new lines of the log to TensorBoard's event file."""
    writer = tf.summary.create_file_writer(str(run.tensorboard))
    position = run.log.stat().st_size if run.log.exists() else 0

    def write(step: int) -> None:
        nonlocal position
        with open(run.log, encoding="utf-8") as log:
            log.seek(position)
            new = log.read()
            position = log.tell()
        for line in map(json.loads, new.splitlines()):
            for name, value in line.items():
                if name != "step":
                    with writer.as_default(line["step"]):
                        tf.summary.scalar(name, value)
        writer.flush()

    return write
