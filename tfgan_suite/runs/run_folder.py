"""The folder of one run: where each thing stands, and how it is made, locked and cut back for a resume."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_tools import files
from data_tools.errors import UsageError
from tfgan_suite.runs import checkpoints, config
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.provenance import machine, versions


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
            for folder in (self.samples, self.plots, self.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)

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
        """The configuration, and the whole record of `config.json`.

        Raises:
            UsageError: if this is no run folder.
        """
        if not self.config_file.is_file():
            raise UsageError(f"{self.path} is no run folder: it has no config.json")
        record = config.load_json(self.config_file)
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
        for path, every in ((self.log, settings.log_every), (self.metrics, settings.evaluate_every or end)):
            kept = [record for record in files.read_json_lines(path) if record["step"] <= step]
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


def require_new(path: Path) -> None:
    """Raises UsageError if `path` holds something already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"--run-dir must be new or empty; to go on with a run use --resume {path}")


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
