"""Real workers over loopback, undisturbed, stopped and killed: all end as the undisturbed run does, to the bit."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from PIL import Image

from data_tools.errors import UsageError
from tfgan_suite.runs import checkpoints
from tfgan_suite.training import workers as workers_module
from tfgan_suite.training.workers import Workers, workers_of

SMALL = ["--variant", "dcgan", "--image-size", "16", "--width", "0.1", "--latent-dim", "4", "--dataset", "folder",
         "--data-dir", "../photos", "--batch-size", "8", "--checkpoint-every", "20", "--log-every", "10",
         "--sample-every", "35", "--classifier", "shapes", "--num-images", "20"]  # fmt: skip
LIMIT = 120  # seconds that a run may take before it counts as hung


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Crew:
    """Workers of one run; `program` are the arguments of Python, those of the command for all if not given."""

    def __init__(self, folder, *arguments, count=2, each=None, program=("-m", "tfgan_suite.fit")):
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self.output = folder.parent / f"output-{time.monotonic_ns()}"
        self.output.mkdir()
        self.processes = [
            self._start(folder, rank, arguments, (each or {}).get(rank, ()), program) for rank in range(count)
        ]

    def _start(self, folder, rank, arguments, own, program):
        cluster = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": rank}}
        with open(self.output / f"{rank}.out", "w") as out, open(self.output / f"{rank}.err", "w") as error:
            return subprocess.Popen(
                [sys.executable, *program, "--distribute", "multiworker", *map(str, (*arguments, *own))],
                cwd=folder, env={**os.environ, "TF_CONFIG": json.dumps(cluster)}, stdout=out, stderr=error,
            )  # fmt: skip

    def said(self, rank):
        return (self.output / f"{rank}.err").read_text()

    def finish(self, *statuses, seconds=LIMIT):
        """Wait for the end of all; gives what each wrote to stderr."""
        try:
            for process in self.processes:
                process.wait(seconds)
        finally:
            self.kill()
        errors = [self.said(rank) for rank in range(len(self.processes))]
        assert [process.returncode for process in self.processes] == list(statuses), "\n".join(errors)
        assert not any("Traceback" in error or "This is a bug" in error for error in errors), "\n".join(errors)
        return errors

    def kill(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def wait_for(self, condition):
        while not condition():
            if any(process.poll() is not None for process in self.processes):
                self.kill()
                pytest.fail("a worker ended first:\n" + "\n".join(map(self.said, range(len(self.processes)))))
            time.sleep(0.005)


def logged(run):
    with contextlib.suppress(OSError, IndexError, ValueError):
        return json.loads((run / "log.jsonl").read_text().splitlines()[-1])["step"]
    return 0


def arrays(run):
    return checkpoints.read(checkpoints.newest_first(run / "checkpoints")[0])


def assert_same_end(run, other):
    ours, theirs = arrays(run), arrays(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    lines = [
        [{**json.loads(line), "seconds": 0} for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (run, other)
    ]
    assert lines[0] == lines[1]
    for picture in (run / "samples").iterdir():
        assert picture.read_bytes() == (other / "samples" / picture.name).read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An empty folder to run in, with pictures beside it."""
    folder = tmp_path_factory.mktemp("workers")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(15):
            picture = Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8))
            picture.save(folder / "photos" / name / f"{i}.png")
    (folder / "work").mkdir()
    return folder / "work"


def test_two_workers_stopped_then_killed_end_as_two_undisturbed(place):
    """SIGTERM to the one that does not write, later SIGKILL to it; the undisturbed run is scored on its way."""
    small = [*SMALL, "--steps", 60]
    Crew(place, *small, "--run-dir", "whole", "--evaluate-every", 30).finish(0, 0)
    assert {json.loads(line)["step"] for line in (place / "whole" / "metrics.jsonl").read_text().splitlines()} == {
        0, 30, 60,
    }  # fmt: skip
    stopped = Crew(place, *small, "--run-dir", "run")
    stopped.wait_for(lambda: logged(place / "run") >= 10)
    stopped.processes[1].terminate()
    errors = stopped.finish(143, 143)
    step = int(arrays(place / "run")["training/step"])
    for error in errors:
        assert f"stopped at step {step} of 60, saved. Go on with, on every worker,\n  python -m" in error
        assert "fit --resume run\n" in error
    killed = Crew(place, "--resume", "run")
    killed.wait_for(lambda: "run folder" in killed.said(0))
    killed.processes[1].kill()
    began = time.monotonic()
    error = killed.finish(1, -9)[0]
    assert time.monotonic() - began < 30
    assert f"worker 1 ({killed.addresses[1]}) is gone, so worker 0" in error and "fit --resume run\n" in error
    Crew(place, "--resume", "run").finish(0, 0)
    assert_same_end(place / "run", place / "whole")
    written = {path.name for path in place.iterdir()}
    assert written == {"whole", "run"}  # nothing of the worker that is not the chief


PLANS = ["undisturbed"] * 17 + ["evaluated"] * 3 + ["killed"] * 5 + ["stopped"] * 5
STEPS = 200


@pytest.fixture(scope="module")
def whole(place):
    Crew(place, *SMALL, "--steps", STEPS, "--run-dir", "of-200-steps").finish(0, 0)
    return place / "of-200-steps"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PLANS)))
def test_thirty_runs_of_two_workers(place, whole, number):
    plan, rng = PLANS[number], random.Random(number)  # of the victim and the moment
    run = place / f"run-{number}"
    more = ["--evaluate-every", 50] if plan == "evaluated" else []
    crew = Crew(place, *SMALL, "--steps", STEPS, "--run-dir", run.name, *more)
    if plan in ("killed", "stopped"):
        victim, moment = rng.randrange(2), rng.uniform(-60, 180)  # a quarter of them before the first step
        crew.wait_for(lambda: "run folder" in crew.said(0) and logged(run) >= moment)
        time.sleep(rng.uniform(0, 0.3))
        crew.processes[victim].send_signal(signal.SIGKILL if plan == "killed" else signal.SIGTERM)
        statuses = [1, 1] if plan == "killed" else [143, 143]
        if plan == "killed":
            statuses[victim] = -9
        began = time.monotonic()
        errors = crew.finish(*statuses)
        assert time.monotonic() - began < 30
        for rank, error in enumerate(errors):
            assert ("is gone" in error) == (plan == "killed" and rank != victim)
            assert re.search("stopped (at step|before)", error) if plan == "stopped" else True
        crew = Crew(place, "--resume", run.name)
    crew.finish(0, 0)
    assert_same_end(run, whole)
    shutil.rmtree(run)


@pytest.mark.slow
def test_another_number_of_workers_goes_on_and_says_so(place, whole):
    run = shutil.copytree(whole, place / "fewer")
    shutil.rmtree(run / "export")
    errors = Crew(place, "--resume", run.name, "--extend", STEPS + 20, count=1).finish(0)
    assert "note: replicas differ from the run's beginning, so it will not go on bit by bit" in errors[0]
    assert arrays(run)["training/step"] == STEPS + 20


@pytest.mark.slow
def test_of_three_workers_the_other_two_name_the_one_that_is_gone(place):
    arguments = [*SMALL, "--steps", 60, "--run-dir", "three"]
    arguments[arguments.index("--batch-size") + 1] = 9
    crew = Crew(place, *arguments, count=3)
    crew.wait_for(lambda: logged(place / "three") >= 10)
    crew.processes[2].kill()
    for error in crew.finish(1, 1, -9)[:2]:
        assert f"worker 2 ({crew.addresses[2]})" in error and "gone, so worker" in error
    Crew(place, "--resume", "three", count=3).finish(0, 0, 0)
    Crew(place, *arguments[:-1], "three-undisturbed", count=3).finish(0, 0, 0)
    assert_same_end(place / "three", place / "three-undisturbed")


@pytest.mark.slow
def test_workers_that_were_started_differently_refuse_to_begin(place):
    crew = Crew(place, *SMALL, "--run-dir", "odd", each={0: ["--steps", 20], 1: ["--steps", 30]})
    errors = crew.finish(2, 2)
    for error in errors:
        assert f"worker 1 ({crew.addresses[1]}) differs from worker 0 in its configuration" in error
    assert "(steps: 20 -> 30)" in errors[1]
    assert not (place / "odd").exists()


def program(patch):
    """Arguments of Python for the command with something in it replaced, as `patch` says."""
    lines = ["import sys", "from data_tools import command", "from tfgan_suite import fit", textwrap.dedent(patch)]
    return ("-c", "\n".join([*lines, "sys.exit(command.run(fit.main))"]))


SLOW_SCORE = """
import time
from tfgan_suite.training import session, workers
session.scorer = lambda *_: lambda run, step: step and [time.sleep(0.1) for _ in range({tenths})]
workers.LONGEST_WAIT = {wait}
"""


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_dies_while_the_chief_scores_is_noticed_in_time(place, victim):
    """The other one is busy, or waits; neither is inside a collective operation that could fail."""
    patched = program(SLOW_SCORE.format(tenths=1200, wait=600.0))
    crew = Crew(place, *SMALL, "--steps", 40, "--evaluate-every", 20, "--run-dir", f"busy-{victim}", program=patched)
    crew.wait_for(lambda: logged(place / f"busy-{victim}") == 20)
    time.sleep(3)
    crew.processes[victim].kill()
    began = time.monotonic()
    crew.processes[1 - victim].wait(LIMIT)
    assert time.monotonic() - began < 30
    error = crew.finish(*([-9, 1] if victim == 0 else [1, -9]))[1 - victim]
    assert f"worker {victim} ({crew.addresses[victim]}) is gone, so worker {1 - victim}" in error


@pytest.mark.slow
@pytest.mark.parametrize(("wait", "statuses"), [(60.0, (0, 0)), (2.0, (1, 1))])
def test_the_others_wait_for_the_chief_as_long_as_is_stated(place, wait, statuses):
    patched = program(SLOW_SCORE.format(tenths=150, wait=wait))
    crew = Crew(place, *SMALL, "--steps", 40, "--evaluate-every", 20, "--run-dir", f"wait-{wait}", program=patched)
    error = crew.finish(*statuses)[1]
    assert ("another worker did not answer for" in error) == (statuses == (1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_waits_for_others_ends_by_a_signal_or_by_its_limit(place, rank):
    patched = program("from tfgan_suite.training import workers\nworkers.LONGEST_START = 3.0")
    for program_, status in ((("-m", "tfgan_suite.fit"), -15), (patched, 1)):
        crew = Crew(place, *SMALL, "--steps", 20, program=program_)
        crew.processes[1 - rank].kill()
        deadline = time.monotonic() + LIMIT
        while f"worker {rank} ({crew.addresses[rank]}) waits for worker {1 - rank}" not in crew.said(rank):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if status == -15:
            time.sleep(1)
            crew.processes[rank].terminate()
        statuses = [-9, -9]
        statuses[rank] = status
        error = crew.finish(*statuses)[rank]
        assert ("the others did not come within 0.05 minutes" in error) == (status == 1)


CLUSTER = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}


def of(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))
    return workers_of("multiworker")


def test_the_chief_is_worker_0_or_the_chief_by_name(monkeypatch):
    found = of(monkeypatch, CLUSTER)
    assert (found.addresses, found.rank, found.is_chief) == (("a:1", "b:2"), 1, False)
    found = of(monkeypatch, {"cluster": {"worker": ["a:1"], "chief": ["c:3"]}, "task": {"type": "worker", "index": 0}})
    assert (found.addresses, found.rank, found.is_chief) == (("c:3", "a:1"), 1, False)
    found = of(monkeypatch, {"cluster": {"worker": ["a:1"], "chief": ["c:3"]}, "task": {"type": "chief", "index": 0}})
    assert found.is_chief and workers_of("none").is_chief and workers_of("none").alone


@pytest.mark.parametrize(
    "config",
    ["", "{", "[]", "[" * 100_000, {}, {**CLUSTER, "task": {"type": "worker", "index": 2}},
     {**CLUSTER, "task": {"type": "ps", "index": 0}}, {**CLUSTER, "task": {"type": "worker", "index": True}},
     {**CLUSTER, "cluster": {"worker": ["a", "b"]}}, {**CLUSTER, "cluster": {"worker": [1, 2]}}],
)  # fmt: skip
def test_what_does_not_describe_the_workers_is_refused(monkeypatch, config):
    with pytest.raises(UsageError, match="TF_CONFIG") as caught:
        of(monkeypatch, config)
    assert len(str(caught.value)) < 400


def test_a_process_alone_agrees_with_itself():
    alone = Workers()
    assert alone.agree(15, 7) == (15, 7) and alone.share(b"abc") == b"abc"


def test_an_address_answers_while_somebody_listens_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert workers_module._answers(address)
    assert not workers_module._answers(address)
