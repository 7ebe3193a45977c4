"""The folder of one run: where each thing stands, and how it is made, locked and cut back for a resume.

A run folder may come from somebody else, so what is in it is opened as data, and only what is in it: none of its parts
may be a link, or anything but a file or a folder (`require_own_parts`). The path to the folder is the user's own and
may well lead over links, to another disk for instance.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shlex
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data_tools import files
from data_tools.errors import Interrupted, SuiteError, UsageError
from tfgan_suite.runs import checkpoints, config
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.provenance import machine, versions

_FOLDERS = ("samples", "plots", "checkpoints")  # of every run, made at its beginning
_PARTS = (
    *_FOLDERS, "export", "tensorboard", "config.json", "log.jsonl", "metrics.jsonl", "evaluation.jsonl", ".lock"
)  # fmt: skip
_MOST_TEXT = 1 << 28  # bytes of the configuration or of a file of lines, which are read whole
_LARGEST = 1e300


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths of a run folder."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def evaluation(self) -> Path:
        """Scores that were taken after the training."""
        return self.path / "evaluation.jsonl"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint with the smallest distance to the selection split; not one of the newest."""
        return self.checkpoints / "best.npz"

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    def sample_grid(self, step: int) -> Path:
        """Where the sample grid of a step stands."""
        return self.samples / f"step-{step:06d}.png"

    def make_folders(self) -> None:
        """Make the folders that a run writes into, where they are missing."""
        with files.writing(self.path):
            for name in _FOLDERS:
                (self.path / name).mkdir(parents=True, exist_ok=True)

    def require_own_parts(self) -> None:
        """Refuse a run that is not wholly inside its folder: a part of it is a link, a pipe, a device.

        Raises:
            SuiteError: which names the part.
        """
        waiting = [self.path / name for name in _PARTS]
        while waiting:
            part = waiting.pop()
            try:
                mode = os.lstat(part).st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            if stat.S_ISDIR(mode):
                waiting += part.iterdir()
            elif not stat.S_ISREG(mode):
                what = "a link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
                raise SuiteError(
                    f"{part} is {what}, and a run is opened only if all of it is in its folder: put in its place what "
                    f"belongs there, or delete it"
                )
            elif part.parent == self.path and os.lstat(part).st_size > _MOST_TEXT:
                raise SuiteError(f"{part} has more than {_MOST_TEXT:,} bytes, which no run writes: it is not read")

    def log_lines(self) -> list[dict[str, Any]]:
        """The lines of `log.jsonl` that are whole: each with its step, all of its entries finite numbers."""
        lines = files.read_json_lines(self.log)
        return [line for line in lines if "seconds" in line and all(map(_is_number, line.values()))]

    def metric_lines(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` that are whole: each with its step, the metric's name and a finite value."""
        lines = files.read_json_lines(self.metrics)
        return [
            line
            for line in lines
            if _is_number(line.get("value"))
            and _is_name(line.get("metric"))
            and isinstance(line.get("reference"), str | None)
        ]

    def write_config(self, settings: Config, fingerprint: str, class_names: tuple[str, ...], replicas: int = 1) -> None:
        """Write `config.json` of a new run: the whole configuration, what the data is, versions and machine."""
        record = {
            "config": settings.as_dict(),
            "dataset_fingerprint": fingerprint,
            "class_names": list(class_names),
            "versions": versions(),
            "machine": machine(),
            "replicas": replicas,
        }
        files.replace_text(self.config_file, json.dumps(record, indent=2) + "\n")

    def update_config(self, settings: Config) -> None:
        """Replace the configuration in `config.json`, keeping what the run began with."""
        record = {**self.read_config()[1], "config": settings.as_dict()}
        files.replace_text(self.config_file, json.dumps(record, indent=2) + "\n")

    def read_config(self) -> tuple[Config, dict[str, Any]]:
        """The configuration, and the whole record of `config.json`, whose `class_names` are strings.

        Every command that takes a run reads its configuration first, so what is no run, or not wholly inside its
        folder, ends here.

        Raises:
            UsageError: if this is no run folder.
            SuiteError: see `require_own_parts`.
        """
        self.require_own_parts()
        if not self.config_file.is_file():
            if _is_unbegun(self.path) and any(self.path.iterdir()):
                raise UsageError(
                    f"{self.path} is of a run that ended before it began, with nothing to go on from: "
                    f"start it again with --run-dir {shlex.quote(str(self.path))}, or delete the folder"
                )
            raise UsageError(f"{self.path} is no run folder: it has no config.json")
        record = config.load_json(self.config_file)
        names = record.setdefault("class_names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UsageError(f"{self.config_file}: class_names must be a list of strings. Received: {str(names)[:80]}")
        return config.replace(Config(), config.settings_in(record), source=str(self.config_file)), record

    def cut_back(self, step: int, settings: Config) -> None:
        """Make the folder what it was at the checkpoint of `step` (-1: at the very beginning).

        What was written later goes: the resumed run writes it again, once. So do damaged checkpoints, leftovers of a
        kill, and the lines of an earlier end, if the run was lengthened and they are no whole interval.
        """
        self.make_folders()
        with files.writing(self.path):
            for folder in (self.path, self.checkpoints, self.samples, self.plots):
                files.remove_temporaries(folder)
            for path in checkpoints.newest_first(self.checkpoints):
                if checkpoints.step_of(path) > step:
                    path.unlink()
        end = settings.steps or 1
        for path, lines, every in (
            (self.log, self.log_lines(), settings.log_every),
            (self.metrics, self.metric_lines(), settings.evaluate_every or end),
        ):
            kept = [record for record in lines if record["step"] <= step]
            kept = [line for line in kept if line["step"] % every == 0 or line["step"] == end]
            text = "".join(json.dumps(record) + "\n" for record in kept)
            if path.exists() and path.read_bytes() != text.encode():
                files.replace_text(path, text)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from writing here until the block, or the process, ends, however it ends.

        Raises:
            SuiteError: if another process is at it.
        """
        busy = f"{self.path} is in use by another process: wait for it or stop it"
        with files.held(self.path / ".lock", busy):
            yield


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z0-9_]{1,80}", value) is not None


def require_new(path: Path) -> None:
    """Raises UsageError if `path` holds something, other than what a run leaves that never began."""
    if path.exists() and not _is_unbegun(path):
        raise UsageError(f"--run-dir must be new or empty; to go on with a run use --resume {shlex.quote(str(path))}")


def _is_unbegun(path: Path) -> bool:
    """Whether a folder holds nothing but what `create` and the lock make, before there is a configuration."""
    if not path.is_dir():
        return False
    made = [entry for entry in path.iterdir() if re.fullmatch(r"\.config\.json\.\d+\.tmp", entry.name) is None]
    return all(
        not entry.is_symlink()
        and ((entry.name in _FOLDERS and entry.is_dir() and not any(entry.iterdir())) or entry.name == ".lock")
        for entry in made
    )


@contextlib.contextmanager
def begun(run: RunFolder, steps_done: Callable[[], int]) -> Iterator[None]:
    """If the block fails before a step was made, delete what is there of the run, which is of no use to anybody.

    For new runs only, inside their lock. An interruption is no failure: such a run can be resumed.

    Raises:
        UsageError: if another process began a run here since the folder was made.
    """
    require_new(run.path)
    try:
        yield
    except Interrupted:
        raise
    except Exception:
        if steps_done() == 0:
            for name in _PARTS:
                part = run.path / name
                shutil.rmtree(part, ignore_errors=True)
                with contextlib.suppress(OSError):
                    part.unlink()
            with contextlib.suppress(OSError):
                run.path.rmdir()
        raise


def create(settings: Config, path: Path | None, parent: Path = Path("results/runs")) -> RunFolder:
    """Make the folder of a new run: `path`, or the next number under `parent`.

    Raises:
        UsageError: if `path` holds something already.
        SuiteError: if it cannot be made.
    """
    if path is not None:
        require_new(path)
        run = RunFolder(path)
        with files.writing(path):
            path.mkdir(parents=True, exist_ok=True)
    else:
        run = RunFolder(_next_numbered(settings, parent))
    run.make_folders()
    return run


def _next_numbered(settings: Config, parent: Path) -> Path:
    name = f"{settings.variant}-{settings.dataset}-seed{settings.seed}"
    with files.writing(parent):
        parent.mkdir(parents=True, exist_ok=True)
        taken = [int(match[1]) for entry in parent.iterdir() if (match := re.match(r"(\d{4,})-", entry.name))]
        number = max(taken, default=0)
        while True:
            number += 1
            path = parent / f"{number:04d}-{name}"
            with contextlib.suppress(FileExistsError):  # another process was faster
                path.mkdir()
                return path
