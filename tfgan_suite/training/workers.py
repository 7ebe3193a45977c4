"""The processes that train one run together, and what they agree on: the workers of `--distribute multiworker`.

Every worker computes the same steps on its own share of each batch, so all are always in the same state. Three things
could tear them apart, and each has its answer here. What a process decides by its own clock, files or signals is
decided by the chief, or added up, in one small reduction before each call (`Workers.agree`). What only the chief has,
its checkpoint above all, is handed to the others over the same wires (`Workers.share`), so that they need no common
disk. And a worker that is gone is noticed by all (`Workers.together`), be it that they are waiting for it or not.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from data_tools.command import report
from data_tools.errors import SuiteError, UsageError
from tfgan_suite.runs import checkpoints
from tfgan_suite.training.stop_signals import StopSignals

if TYPE_CHECKING:
    import keras

LONGEST_WAIT = 12 * 3600.0
"""Seconds that a worker waits for the others, such as for the chief's evaluation, before it gives up."""
LONGEST_START = 3600.0
"""Seconds that the workers wait for each other in the beginning."""
# TensorFlow itself takes a worker for dead after 10 seconds without a heartbeat, where it waits for it
_BETWEEN_LOOKS, _LOOK, _MISSES = 2.0, 4.0, 2  # of our own: seconds between two, for one, and how many must fail
_GRACE = 5.0  # for the main thread to end by itself
_CHUNK = 2**20  # bytes to a collective that hands over


class Workers:
    """All processes of a run; without arguments, a process that trains alone, which agrees with itself at no cost.

    Attributes:
        addresses: "host:port" of each worker, the chief's first.
        rank: this process's place in `addresses`.
        run: folder of the run, as the chief names it, once it is known.
    """

    def __init__(self, addresses: tuple[str, ...] = ("",), rank: int = 0) -> None:
        self.addresses, self.rank = addresses, rank
        self.run: Path | None = None
        self._strategy: tf.distribute.Strategy | None = None
        self._sums: dict[int, Callable[[tf.Tensor], tf.Tensor]] = {}

    @property
    def alone(self) -> bool:
        return len(self.addresses) == 1

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def join(self, signals: StopSignals) -> tf.distribute.Strategy:
        """The strategy over all workers, when all have come; a signal ends the wait.

        After `LONGEST_START` the process ends with a line that says so.

        Raises:
            SuiteError: if they cannot come together.
        """
        others = ", ".join(map(self.name, self._others))
        if others:
            report(f"{self.name(self.rank)} waits for {others}; Ctrl-C or SIGTERM ends it, nothing is lost")
        late = f"the others did not come within {LONGEST_START / 60:,.3g} minutes. Is one started on each address?"
        until = time.monotonic() + LONGEST_START
        # TensorFlow waits for ever and takes SIGTERM for itself, so it waits in a thread, and this one looks at both
        with signals.deadly() as stay_deadly, concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(tf.distribute.MultiWorkerMirroredStrategy)
            while not concurrent.futures.wait([waiting], timeout=0.2).done:
                stay_deadly()
                if time.monotonic() > until:
                    _end_now(late)
        try:
            self._strategy = waiting.result()
        except tf.errors.OpError as error:
            reason = error.message.strip().partition("\n")[0]
            raise SuiteError(f"{self.name(self.rank)} could not begin: {reason}") from None
        return self._strategy

    def name(self, rank: int) -> str:
        return f"worker {rank} ({self.addresses[rank]})"

    def agree(self, stop: int = 0, steps: int = 0) -> tuple[int, int]:
        """What all do next, the same on all of them; each waits until all have asked.

        Args:
            stop: number of the signal that this worker got; 0 for none.
            steps: of the next call, which the chief's own number decides.

        Returns:
            The signal to stop for, this worker's own before another's, and the number of steps.
        """
        if self.alone:
            return stop, steps
        wishes = np.zeros(len(self.addresses) + 1, np.int64)
        wishes[self.rank] = stop
        wishes[-1] = steps if self.is_chief else 0
        *stops, steps = map(int, self._sum(wishes))
        return stop or max(stops), steps

    def share(self, content: bytes | None) -> bytes:
        """The chief's bytes, on every worker; the others give None."""
        if self.alone:
            return content or b""
        size = self.agree(steps=len(content or b""))[1]
        parts = []
        for start in range(0, size, _CHUNK):
            mine = (content or b"")[start : start + _CHUNK].ljust(_CHUNK, b"\0")
            parts.append(self._sum(np.frombuffer(mine, np.int64)).tobytes())  # of the others: zeros
        return b"".join(parts)[:size]

    def share_state(self, state: Mapping[str, keras.Variable]) -> None:
        """Bring every worker to the chief's values of these variables, to the bit."""
        if self.alone:
            return
        own = checkpoints.arrays_of(state)
        content = self.share(b"".join(array.tobytes() for array in own.values()) if self.is_chief else None)
        if self.is_chief:
            return
        arrays, start = {}, 0
        for name, array in own.items():
            part = content[start : start + array.nbytes]
            arrays[name] = np.frombuffer(part, array.dtype).reshape(array.shape)
            start += array.nbytes
        checkpoints.restore(state, arrays, Path("the chief's state"))

    def require_same(self, what: str, mine: Mapping[str, Any]) -> None:
        """Refuse to begin if a worker differs from the chief.

        Raises:
            UsageError: on every worker, with what differs on the one that does.
        """
        if self.alone:
            return
        theirs = json.loads(self.share(json.dumps(mine).encode() if self.is_chief else None))
        mine = json.loads(json.dumps(mine))
        unlike = [f"{name}: {theirs.get(name)} -> {value}" for name, value in mine.items() if theirs.get(name) != value]
        wishes = np.zeros(len(self.addresses) + 1, np.int64)
        wishes[self.rank] = bool(unlike)
        found = [int(rank) for rank in np.flatnonzero(self._sum(wishes))]
        if found:
            details = "; ".join(unlike) or "its own message says where"
            raise UsageError(
                f"{', '.join(self.name(rank) for rank in found)} differs from worker 0 in its {what} ({details})\n"
                "Start every worker with the same command"
            )

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """While it is open, a worker that is gone ends this process too, within 30 seconds, with a line that names it.

        It is noticed in two ways: a collective operation fails, or a thread that looks after the others finds one gone
        while this worker is busy, or hangs; then the thread ends the process itself. What stands on the disk is
        always whole.

        Raises:
            SuiteError: if a collective operation failed because of another worker.
        """
        if self.alone:
            yield
            return
        ended = threading.Event()
        threading.Thread(target=self._look_after, args=(ended,), daemon=True, name="other-workers").start()
        try:
            yield
        except tf.errors.OpError as error:
            if not _of_others(error):
                raise
            ended.set()
            raise SuiteError(self._gone(self._named(error) or self._missing(error), error)) from None
        finally:
            ended.set()

    def how_to_go_on(self, run: Path | None) -> str:
        """What the user does to go on with a run; it is not known on every worker from the first second."""
        if run is None:
            return "Start every worker again with the same command"
        on_all = "" if self.alone else ", on every worker,"
        return f"Go on with{on_all}\n  python -m tfgan_suite.fit --resume {shlex.quote(str(run))}"

    @property
    def _others(self) -> list[int]:
        return [rank for rank in range(len(self.addresses)) if rank != self.rank]

    def _sum(self, vector: np.ndarray) -> np.ndarray:
        """The sum over all workers of an int64 vector."""
        strategy = self._strategy
        if strategy is None:
            raise RuntimeError("join() comes first")
        if len(vector) not in self._sums:
            devices = strategy.num_replicas_in_sync // len(self.addresses)

            def on_each(mine: tf.Tensor) -> tf.Tensor:
                context = tf.distribute.get_replica_context()
                first = tf.equal(context.replica_id_in_sync_group % devices, 0)  # of this worker's devices
                mine = tf.where(first, mine, tf.zeros_like(mine))
                options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=LONGEST_WAIT)
                return context.all_reduce(tf.distribute.ReduceOp.SUM, mine, options)

            @tf.function(input_signature=[tf.TensorSpec([len(vector)], tf.int64)], autograph=False)
            def total(mine: tf.Tensor) -> tf.Tensor:
                return strategy.experimental_local_results(strategy.run(on_each, args=(mine,)))[0]

            self._sums[len(vector)] = total
        return self._sums[len(vector)](tf.constant(vector)).numpy()

    def _missing(self, error: tf.errors.OpError) -> list[int]:
        """The workers whose addresses nobody answers at; one that is being killed may still do for a moment."""
        late = isinstance(error, tf.errors.DeadlineExceededError)
        until = time.monotonic() + (0 if late else _GRACE)
        while True:
            missing = [rank for rank in self._others if not _answers(self.addresses[rank])]
            if missing or time.monotonic() >= until:
                return missing
            time.sleep(0.1)

    def _named(self, error: tf.errors.OpError) -> list[int]:
        """The workers that TensorFlow says have stopped sending heartbeats; it does not always say which."""
        tasks = re.findall(r"^/job:(\w+)/replica:\d+/task:(\d+)$", error.message, re.MULTILINE)
        chiefs = _jobs(_cluster())["chief"]
        ranks = {int(index) + (len(chiefs) if job == "worker" else 0) for job, index in tasks}
        return sorted(ranks - {self.rank})

    def _gone(self, ranks: list[int], error: tf.errors.OpError | None = None) -> str:
        who = ", ".join(map(self.name, ranks)) or "another worker"
        what = "is gone" if len(ranks) < 2 else "are gone"
        if not ranks and isinstance(error, tf.errors.DeadlineExceededError):
            what = f"did not answer for {LONGEST_WAIT / 3600:,.3g} hours"
        return f"{who} {what}, so {self.name(self.rank)} stops, too. {self.how_to_go_on(self.run)}"

    def _look_after(self, ended: threading.Event) -> None:
        """The thread's work."""
        misses = dict.fromkeys(self._others, 0)
        while not ended.wait(_BETWEEN_LOOKS):
            for rank in misses:
                misses[rank] = 0 if _answers(self.addresses[rank]) else misses[rank] + 1
            gone = [rank for rank, count in misses.items() if count >= _MISSES]
            if gone and not ended.wait(_GRACE):
                _end_now(self._gone(gone))


def workers_of(distribute: str) -> Workers:
    """The workers that TF_CONFIG names if `distribute` is "multiworker"; else this process alone.

    Raises:
        UsageError: if TF_CONFIG is missing or does not describe the workers.
    """
    if distribute != "multiworker":
        return Workers()
    config = _cluster()
    jobs, task = _jobs(config), config["task"]
    rank = task["index"] + (len(jobs["chief"]) if task["type"] == "worker" else 0)
    return Workers((*jobs["chief"], *jobs["worker"]), rank)


def _cluster() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise UsageError("--distribute multiworker needs the environment variable TF_CONFIG of each worker")
    try:
        config = json.loads(text)
        jobs, task = _jobs(config), config["task"]
        known = task["type"] in jobs and type(task["index"]) is int and 0 <= task["index"] < len(jobs[task["type"]])
        addressed = all(re.fullmatch(r".+:\d+", address) for job in jobs.values() for address in job)
        if not known or not addressed or len(jobs["chief"]) > 1:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError(
            'TF_CONFIG must be like {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
            f" with an index of the list. Received: {text[:200]}"
        ) from None
    return config


def _jobs(config: dict[str, Any]) -> dict[str, list[str]]:
    """Addresses of the one chief, if it has a job of its own, and of the workers."""
    return {job: list(config["cluster"].get(job, ())) for job in ("chief", "worker")}


def _of_others(error: tf.errors.OpError) -> bool:
    """Whether an operation failed because of another worker."""
    lost = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    )
    return isinstance(error, lost) or "Collective ops is aborted" in error.message


def _end_now(message: str) -> None:
    """End the process though a thread of it may be inside TensorFlow, where nothing gets at it."""
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # which the progress bar hid
    with contextlib.suppress(OSError):
        os.write(2, f"{show_cursor}error: {message}\n".encode())
    os._exit(1)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK).close()
    except OSError:
        return False
    return True
