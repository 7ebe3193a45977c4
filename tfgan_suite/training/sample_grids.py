"""The sample grid of a run, always from the same latents and classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tfgan_suite.images import pictures
from tfgan_suite.images.sampler import Sampler
from tfgan_suite.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from models_zoo.gan import GAN

_GRID_IMAGES = 64
_GRID_SEED = 1
_MOST_COLUMNS = 10


def grid_drawer(gan: GAN, run: RunFolder) -> Callable[[int], None]:
    """A function of the step that draws the sample grid of the averaged generator, always from the same latents.

    Of a conditional generator, a column per class, of the first ten classes.
    """
    sampler = Sampler(gan.ema_generator, gan.num_classes)
    columns, labels, count = None, None, _GRID_IMAGES
    if sampler.conditional:
        columns = min(gan.num_classes, _MOST_COLUMNS)
        count = columns * round(_GRID_IMAGES / columns)
        labels = np.arange(count) % columns

    def draw(step: int) -> None:
        images = sampler.images(count, _GRID_SEED, labels)
        pictures.save_png(pictures.grid(images, columns), run.sample_grid(step))

    return draw
