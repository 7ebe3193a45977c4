"""The training loop: compiled calls of several steps between points where something is written.

`keras.Model.fit` can neither resume exactly nor name the step at which a loss stopped being finite; this loop drives
the same `train_step` and does both. It holds no state of its own: what is not in `gan.state()` is a function of the
configuration and the step.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from data_tools import batches, files
from data_tools.errors import Interrupted, SuiteError
from data_tools.images import LabelledImages
from tfgan_suite.console.training_progress import TrainingProgress
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.training.stop_signals import StopSignals
from tfgan_suite.training.workers import Workers

if TYPE_CHECKING:
    import keras

    from models_zoo.gan import GAN

_SECONDS_PER_CALL = 0.5
_MOST_STEPS_PER_CALL = 50


def train(
    gan: GAN,
    settings: Config,
    data: LabelledImages,
    run: RunFolder | None,
    watchers: list[tuple[int, Callable[[int], None]]],
    strategy: tf.distribute.Strategy | None = None,
    workers: Workers | None = None,
    signals: StopSignals | None = None,
) -> None:
    """Train from the present step of `gan` to `settings.steps`.

    Args:
        gan: a compiled model; its state is changed.
        settings: with `steps` set.
        data: the training split.
        run: where log and checkpoints go; None on a worker that is not the chief, which writes nothing.
        watchers: pairs (every, function): `function(step)` is called after each multiple of `every` steps and after
            the last; sample grids and scores are made so, by the chief alone.
        strategy: in whose scope `gan` was built; the default strategy if None.
        workers: all processes of the run; this one alone if None.
        signals: what listens for them; if None, it is done here.

    Raises:
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP to any of the workers, when all is saved.
        SuiteError: for a loss or gradient that is not finite, or a file that cannot be written.
    """
    total, workers = settings.steps, workers or Workers()
    if total is None:
        raise ValueError("settings.steps must say how long to train. Received: steps=None")
    step, call_length = int(gan.step.numpy()), 1
    run_steps, records = compiled_steps(gan, settings, strategy), _Records(gan, settings, run, step)
    intervals = [settings.log_every, settings.checkpoint_every, *(every for every, _ in watchers)]
    go_on = workers.how_to_go_on(workers.run if run is None else run.path)
    with TrainingProgress(step, total, settings.images_per_step) as progress, contextlib.ExitStack() as stack:
        signals = signals or stack.enter_context(StopSignals())
        stack.enter_context(signals.remembering("stopping after the first step, which is saved"))
        signals.meaning = f"stopped at once, what came after the last checkpoint is lost. {go_on}"
        while step < total:
            boundary = min([total, *((step // every + 1) * every for every in intervals)])
            stop, count = workers.agree(signals.received, min(call_length, boundary - step))
            if stop:
                records.save(step)
                workers.agree()  # none says that it is saved before it is
                raise Interrupted(_stopped(step, total, go_on), stop)
            began = time.monotonic()
            finite = bool(run_steps(*gather(data, settings, step, count)))
            call_length = _next_length(count, call_length, time.monotonic() - began)
            step, signals.note = int(gan.step.numpy()), ""
            logs = {name: float(tracker.result()) for name, tracker in gan.trackers.items()}
            if not finite:
                raise SuiteError(_not_finite(logs, step, run))
            progress.advance(step, logs if records.log(step, logs) else None)
            for every, watch in watchers:
                if step % every == 0 or step == total:
                    watch(step)
                    progress.pause()
            if step % settings.checkpoint_every == 0 or step == total or records.due():
                records.save(step)
                progress.pause()


class _Records:
    """Log and checkpoints of a run; nothing is written if there is no run folder."""

    def __init__(self, gan: GAN, settings: Config, run: RunFolder | None, step: int) -> None:
        self._gan, self._settings, self._run = gan, settings, run
        self._saved_step, self._saved_at = step, time.monotonic()  # nothing new at the step that a run begins at
        self._clock = time.monotonic() - (0.0 if run is None else _seconds_so_far(run))

    def log(self, step: int, logs: dict[str, float]) -> bool:
        """Write a line and begin the next means, if it is time; whether it was."""
        whole, total = step % self._settings.log_every == 0, self._settings.steps
        if self._run is not None and (whole or step == total):
            seconds = time.monotonic() - self._clock
            record = {"step": step, "images_seen": self._settings.images_seen(step), "seconds": seconds}
            files.append_json_line(self._run.log, {**record, **logs})
        if whole:  # a part of an interval at the end goes on if the run is lengthened
            for tracker in self._gan.trackers.values():
                tracker.reset_state()
        return whole or step == total

    def due(self) -> bool:
        """Whether the last checkpoint is older than `checkpoint_minutes`."""
        minutes = self._settings.checkpoint_minutes
        return minutes > 0 and time.monotonic() - self._saved_at >= 60 * minutes

    def save(self, step: int) -> None:
        if self._run is not None and step != self._saved_step:
            arrays = checkpoints.arrays_of(self._gan.state())
            checkpoints.save(self._run.checkpoints, step, arrays, self._settings.keep_checkpoints)
        self._saved_step, self._saved_at = step, time.monotonic()


def compiled_steps(
    gan: GAN, settings: Config, strategy: tf.distribute.Strategy | None = None
) -> Callable[[np.ndarray, np.ndarray], tf.Tensor]:
    """A compiled function from images uint8 [K, n, H, W, C] and labels int32 [K, n] to "all was finite".

    It runs K steps, and stops after the first that logs a number that is not finite. How many steps one call runs
    changes nothing in their result.
    """
    strategy = strategy or tf.distribute.get_strategy()
    size, channels = gan.generator.output_shape[1], gan.generator.output_shape[3]
    rows = settings.images_per_step

    def step(images, labels):
        images, labels = share(images, settings), share(labels, settings)
        logs = gan.train_step((prepare(images, settings, gan.step), labels))
        return tf.reduce_all(tf.math.is_finite(tf.stack(list(logs.values()))))

    if settings.jit_compile:  # around a step, as around the loop XLA is far slower
        step = tf.function(step, jit_compile=True)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, rows, size, size, channels], tf.uint8),
            tf.TensorSpec([None, rows], tf.int32),
        ]
    )
    def run_steps(images, labels):
        finite = tf.constant(True)
        for k in tf.range(tf.shape(images)[0]):
            if finite:
                on_each = strategy.run(step, args=(images[k], labels[k]))
                finite = strategy.experimental_local_results(on_each)[0]  # logs are the same on all
        return finite

    return run_steps


def share(rows: tf.Tensor, settings: Config) -> tf.Tensor:
    """The part of a step's batch that this replica works on: an equal share of each discriminator update."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return rows
    own = settings.batch_size // replicas
    parts = tf.reshape(rows, [settings.discriminator_steps, replicas, own, *rows.shape[1:]])
    return tf.reshape(parts[:, context.replica_id_in_sync_group], [-1, *rows.shape[1:]])


def prepare(images: tf.Tensor, settings: Config, step: keras.Variable) -> tf.Tensor:
    """uint8 images as float32 in [-1, 1], half of them mirrored if `settings.flip`."""
    result = batches.from_uint8_in_graph(images)
    if not settings.flip:
        return result
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return batches.flipped(result, batches.flips(tf.shape(images)[0], settings.seed, step.value, replica))


def gather(data: LabelledImages, settings: Config, step: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The batches of `count` steps from `step` on: images [count, n, H, W, C] and labels [count, n]."""
    return batches.gather(data, settings.seed, step, settings.images_per_step, count)


def _next_length(count: int, length: int, seconds: float) -> int:
    """Steps per call such that a call takes about half a second: long enough to be fast, short enough for Ctrl-C."""
    if count < length:
        return length
    fitting = max(1, int(count * _SECONDS_PER_CALL / max(seconds, 1e-6)))
    return min(fitting, 2 * length, _MOST_STEPS_PER_CALL)


def _stopped(step: int, total: int, go_on: str) -> str:
    where = f"at step {step} of {total}, saved" if step else "before the first step"
    return f"stopped {where}. {go_on}"


def _not_finite(logs: dict[str, float], step: int, run: RunFolder | None) -> str:
    names = ", ".join(f"{name} is {value}" for name, value in logs.items() if not np.isfinite(value))
    saved = checkpoints.newest_first(run.checkpoints) if run is not None else []
    last = f"the last good checkpoint is {saved[0]}" if saved else "there is no checkpoint yet"
    if run is None:
        last = "worker 0 says what is saved"
    return f"training stopped at step {step}: {names}; {last}.\nTry a lower learning rate, another seed or loss"


def _seconds_so_far(run: RunFolder) -> float:
    records = files.read_json_lines(run.log)
    return records[-1]["seconds"] if records else 0.0
