"""What numbers depend on besides the configuration: versions and the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from tfgan_suite import __version__

_PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def versions() -> dict[str, str | None]:
    """Versions of the suite, Python and the packages that numbers depend on, and the git revision if there is one."""
    revision = None
    root = Path(__file__).resolve().parents[2]
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        revision = found.stdout.strip() or None
    packages = {name: metadata.version(name) for name in _PACKAGES}
    return {"tfgan_suite": __version__, "git": revision, "python": platform.python_version(), **packages}


def machine() -> dict[str, Any]:
    """What the bits of a run depend on besides the configuration."""
    import tensorflow as tf

    return {
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
                 for gpu in tf.config.list_physical_devices("GPU")],
    }  # fmt: skip
