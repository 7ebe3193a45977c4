"""Whether a training step can fit in this machine's memory.

A GPU that is full says so, but Linux ends a process that asks for more than there is without a word, and some kernels
abort. So what certainly cannot fit is refused before the first step; what is refused here is far from fitting.
"""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from data_tools.errors import SuiteError
from tfgan_suite.runs.config import Config

if TYPE_CHECKING:
    import keras

    from models_zoo.gan import GAN

ADVICE = "lower --batch-size, --width or --image-size"


def require_fits(settings: Config, gan: GAN) -> None:
    """Raises SuiteError if a step on the processor needs more than all the memory that is free."""
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        return
    least, free = least_bytes(settings, gan), free_bytes()
    if free is not None and least > free:
        raise SuiteError(
            f"does not fit in memory: a step of {settings.batch_size:,} images needs {least / 1e9:,.1f} GB at the very "
            f"least, and {free / 1e9:,.1f} GB are free: {ADVICE}"
        )


def least_bytes(settings: Config, gan: GAN) -> int:
    """Less than what the generator's update holds at once: twice what each convolution and product gives.

    The result and its activation, or its gradient. Measured were 3.2 (BEGAN) to 10.7 (WGAN-GP) times the results
    themselves, over eight of the small presets.
    """
    of_an_image = sum(_outputs(network) for network in (gan.generator, gan.discriminator))
    return 2 * settings.batch_size * of_an_image * (4 if settings.mixed_precision == "none" else 2)


def _outputs(network: keras.Model) -> int:
    """Numbers that the layers with a kernel give for one image."""
    count = 0
    for layer in network.layers:
        if any(len(weight.shape) > 1 for weight in layer.trainable_weights):
            shapes = layer.output if isinstance(layer.output, list) else [layer.output]
            for tensor in shapes:
                size = 1
                for side in tensor.shape[1:]:
                    size *= side or 1
                count += size
    return count


def free_bytes() -> int | None:
    """Memory that this process may still take: of the machine, its container and its own limit; None if unknown."""
    known = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        kilobytes = {name: int(number) for name, number, *_ in lines}
        known.append((kilobytes["MemAvailable:"] + kilobytes["SwapFree:"]) * 1024)
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # it is "max" where there is none
            known.append(int((Path("/sys/fs/cgroup") / limit).read_text()))  # what is used of it may be given back
    limit_of_process = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit_of_process != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            known.append(limit_of_process - pages * os.sysconf("SC_PAGE_SIZE"))
    return min(known, default=None)
