"""The training loop: compiled calls of several steps between points where something is written.

`keras.Model.fit` can neither resume exactly nor name the step at which a loss stopped being finite; this loop drives
the same `train_step` and does both. It holds no state of its own: what is not in `gan.state()` is a function of the
configuration and the step.
"""

from __future__ import annotations

import shlex
import signal
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

if TYPE_CHECKING:
    import keras

    from models_zoo.gan import GAN

_SECONDS_PER_CALL = 0.5
_MOST_STEPS_PER_CALL = 50


def train(
    gan: GAN,
    settings: Config,
    data: LabelledImages,
    run: RunFolder,
    watchers: list[tuple[int, Callable[[int], None]]],
    strategy: tf.distribute.Strategy | None = None,
) -> None:
    """Train from the present step of `gan` to `settings.steps`.

    Args:
        gan: a compiled model; its state is changed.
        settings: with `steps` set.
        data: the training split.
        run: where log and checkpoints go.
        watchers: pairs (every, function): `function(step)` is called after each multiple of `every` steps and after
            the last; sample grids and scores are made so.
        strategy: in whose scope `gan` was built; the default strategy if None.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, when all is saved.
        SuiteError: for a loss or gradient that is not finite, or a file that cannot be written.
    """
    total = settings.steps
    if total is None:
        raise ValueError("settings.steps must say how long to train. Received: steps=None")
    step = int(gan.step.numpy())
    run_steps = compiled_steps(gan, settings, strategy)
    intervals = [settings.log_every, settings.checkpoint_every, *(every for every, _ in watchers)]
    clock = time.monotonic() - _seconds_so_far(run)
    call_length = 1
    with TrainingProgress(step, total, settings.images_per_step) as progress, _Signals() as signals:
        while step < total:
            boundary = min([total, *((step // every + 1) * every for every in intervals)])
            count = min(call_length, boundary - step)
            began = time.monotonic()
            finite = bool(run_steps(*gather(data, settings, step, count)))
            call_length = _next_length(count, call_length, time.monotonic() - began)
            step = int(gan.step.numpy())
            logs = {name: float(tracker.result()) for name, tracker in gan.trackers.items()}
            if not finite:
                raise SuiteError(_not_finite(logs, step, run))
            logged = step % settings.log_every == 0 or step == total
            if logged:
                record = {"step": step, "images_seen": settings.images_seen(step), "seconds": time.monotonic() - clock}
                files.append_json_line(run.log, {**record, **logs})
            if step % settings.log_every == 0:  # a part of an interval at the end goes on if the run is lengthened
                for tracker in gan.trackers.values():
                    tracker.reset_state()
            progress.advance(step, logs if logged else None)
            for every, watch in watchers:
                if step % every == 0 or step == total:
                    watch(step)
                    progress.pause()
            if step % settings.checkpoint_every == 0 or step == total or signals.received:
                checkpoints.save(run.checkpoints, step, checkpoints.arrays_of(gan.state()), settings.keep_checkpoints)
                progress.pause()
            if signals.received and step < total:
                raise Interrupted(_stopped(step, total, run), signals.received)


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


def _stopped(step: int, total: int, run: RunFolder) -> str:
    return (
        f"stopped at step {step} of {total}, saved. Go on with\n"
        f"  python -m tfgan_suite.fit --resume {shlex.quote(str(run.path))}"
    )


def _not_finite(logs: dict[str, float], step: int, run: RunFolder) -> str:
    names = ", ".join(f"{name} is {value}" for name, value in logs.items() if not np.isfinite(value))
    saved = checkpoints.newest_first(run.checkpoints)
    last = f"the last good checkpoint is {saved[0]}" if saved else "there is no checkpoint yet"
    return f"training stopped at step {step}: {names}; {last}.\nTry a lower learning rate, another seed or loss"


def _seconds_so_far(run: RunFolder) -> float:
    records = files.read_json_lines(run.log)
    return records[-1]["seconds"] if records else 0.0


class _Signals:
    """Remembers the first SIGINT or SIGTERM while it is open; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.received = 0

    def __enter__(self) -> _Signals:
        self._before = {number: signal.signal(number, self._remember) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _frame: object) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
