"""`shapes`: ten classes of drawn shapes, made from a seed, the same to the bit on every machine.

One bright shape in one of six colours on a plain dark background; position, size, rotation, colour and background
vary a little. It needs no download, so a fresh machine can train, score and test with it. It is for teaching and
testing and stands for no published benchmark.

Every pixel comes from additions, multiplications, divisions and square roots alone, which IEEE 754 rounds in one way
only, and every random number from the raw words of PCG64, whose stream NumPy guarantees. That is why the images do not
depend on the processor or on the library's version (a sine would).
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np

from data_tools import splits
from data_tools.errors import DataError
from data_tools.images import LabelledImages
from data_tools.resized import prepared

CLASS_NAMES = ("circle", "square", "triangle", "star", "plus", "ring", "heart", "crescent", "arrow", "hourglass")
NUM_IMAGES = {"train": 50_000, "test": 10_000, "selection": 5_000}

_SEEDS = {"train": 20_001, "test": 20_002, "selection": 20_003}
_COLOURS = np.array(
    [(235, 60, 50), (60, 200, 80), (70, 120, 250), (245, 210, 50), (225, 90, 220), (70, 220, 225)], dtype=np.float32
)
_BATCH = 256  # images drawn at once: small enough to stay in the processor's cache


def load(split: str, *, image_size: int = 32, channels: int = 3, data_dir: Path | None = None) -> LabelledImages:
    """Draw one split.

    Args:
        split: `"train"` (50,000 images), `"test"` (10,000) or `"selection"` (5,000), no image in two of them; classes
            are balanced to one image.
        image_size: pixels per side, at least 16.
        channels: 3, or 1 for grey.
        data_dir: must be None, as shapes are drawn, not read.

    Raises:
        DataError: for another split, a folder, or a size under 16, where the classes cannot be told apart.
    """
    if data_dir is not None:
        raise DataError(
            f"shapes are drawn, not read from a folder: leave it out, or choose the dataset 'folder' "
            f"or 'cifar10'. Received: data_dir={data_dir}"
        )
    splits.require("shapes", split, tuple(NUM_IMAGES))
    data = draw(NUM_IMAGES[split], seed=_SEEDS[split], image_size=image_size)
    return dataclasses.replace(data, images=prepared(data.images, image_size, channels))


def draw(num_images: int, *, seed: int, image_size: int = 32) -> LabelledImages:
    """Draw `num_images` shapes; image i depends on (seed, i) only, so a smaller set is the beginning of a larger one.

    Returns:
        images uint8 [num_images, image_size, image_size, 3], labels int32 [num_images].
    """
    if image_size < 16:
        raise DataError(f"shapes are drawn at 16 pixels or more, or they look alike. Received: image_size={image_size}")
    uniform = _uniform((num_images, 10), seed)
    labels = _balanced_labels(num_images)
    images = np.empty((num_images, image_size, image_size, 3), dtype=np.uint8)
    for label in range(len(CLASS_NAMES)):
        members = np.flatnonzero(labels == label)
        for start in range(0, len(members), _BATCH):
            chosen = members[start : start + _BATCH]
            images[chosen] = _draw_batch(label, uniform[chosen], image_size)
    return LabelledImages(images, labels, CLASS_NAMES)


def _uniform(shape: tuple[int, int], seed: int) -> np.ndarray:
    """float64 in [0, 1) from raw PCG64 words, whose values NumPy promises never to change."""
    words = np.random.PCG64(seed).random_raw(shape[0] * shape[1]).reshape(shape)
    return (words >> np.uint64(11)) * 2.0**-53


def _balanced_labels(num_images: int) -> np.ndarray:
    return (np.arange(num_images) % len(CLASS_NAMES)).astype(np.int32)


def _draw_batch(label: int, uniform: np.ndarray, image_size: int) -> np.ndarray:
    """Rows of `uniform`: position x and y, size, rotation, colour, brightness, background."""
    column = uniform.astype(np.float32)[:, :, None, None]
    centre_x, centre_y = 0.16 * column[:, 0] - 0.08, 0.16 * column[:, 1] - 0.08
    scale = 0.68 + 0.12 * column[:, 2]
    half_tangent = 0.12 * column[:, 3] - 0.06  # tan(angle / 2): about +-7 degrees
    cosine = (1 - half_tangent**2) / (1 + half_tangent**2)
    sine = 2 * half_tangent / (1 + half_tangent**2)

    y, x = _pixel_centres(image_size)
    x, y = (x - centre_x) / scale, (y - centre_y) / scale
    x, y = cosine * x + sine * y, cosine * y - sine * x
    distance = _DISTANCES[CLASS_NAMES[label]](x, y) * (scale * np.float32(image_size / 2))  # in pixels
    coverage = np.clip(np.float32(0.5) - distance, 0, 1)[..., None]

    colour = _COLOURS[(uniform[:, 4] * len(_COLOURS)).astype(np.int64)][:, None, None, :]
    colour = colour * (0.85 + 0.15 * column[:, 5, :, :, None])
    background = (12 + 36 * column[:, 6])[..., None]
    return np.floor(background + coverage * (colour - background) + np.float32(0.5)).astype(np.uint8)


@functools.cache
def _pixel_centres(image_size: int) -> tuple[np.ndarray, np.ndarray]:
    centres = ((np.arange(image_size) + 0.5) / image_size * 2 - 1).astype(np.float32)
    return centres[:, None], centres[None, :]


# Signed distances: negative inside, about one per unit of length near the outline, x to the right and y downwards,
# the shape filling most of [-1, 1] x [-1, 1]. Constants are written out because a sine may differ between machines.


def _box(x, y, half_width, half_height):
    return np.maximum(np.abs(x) - np.float32(half_width), np.abs(y) - np.float32(half_height))


def _disc(x, y, radius, centre_x=0.0, centre_y=0.0):
    x, y = x - np.float32(centre_x), y - np.float32(centre_y)
    return np.sqrt(x * x + y * y) - np.float32(radius)


def _half_plane(x, y, normal_x, normal_y, offset):
    return np.float32(normal_x) * x + np.float32(normal_y) * y - np.float32(offset)


def _circle(x, y):
    return _disc(x, y, 0.9)


def _square(x, y):
    return _box(x, y, 0.8, 0.8)


def _triangle(x, y):
    sides = _half_plane(np.abs(x), y, 0.894427, -0.447214, 0.42)
    return np.maximum(sides, y - np.float32(0.8))


def _star(x, y):
    """A pentagram: the points that lie inside at least four of its five lines."""
    normals = ((0.0, 1.0), (0.951057, 0.309017), (0.587785, -0.809017), (-0.587785, -0.809017), (-0.951057, 0.309017))
    lines = [_half_plane(x, y, nx, ny, 0.36) for nx, ny in normals]
    largest, second = np.maximum(lines[0], lines[1]), np.minimum(lines[0], lines[1])
    for line in lines[2:]:
        second = np.maximum(second, np.minimum(largest, line))
        largest = np.maximum(largest, line)
    return second


def _plus(x, y):
    return np.minimum(_box(x, y, 0.95, 0.3), _box(x, y, 0.3, 0.95))


def _ring(x, y):
    return np.abs(_disc(x, y, 0.7)) - np.float32(0.22)


def _heart(x, y):
    """A square standing on its corner, and a disc on each of its two upper sides."""
    x, y = np.abs(x), y - np.float32(0.08)
    square = _half_plane(x, np.abs(y), 0.707107, 0.707107, 0.565685)
    return np.minimum(square, _disc(x, y, 0.565685, 0.4, -0.4))


def _crescent(x, y):
    return np.maximum(_disc(x, y, 0.95, -0.05), -_disc(x, y, 0.8, 0.42))


def _arrow(x, y):
    """Points to the right."""
    shaft = _box(x + np.float32(0.4), y, 0.55, 0.22)
    head = np.maximum(_half_plane(x, np.abs(y), 0.707107, 0.707107, 0.66), -x)
    return np.minimum(shaft, head)


def _hourglass(x, y):
    waist = (np.abs(x) - np.float32(0.9) * np.abs(y)) * np.float32(0.743294) - np.float32(0.06)
    return np.maximum(waist, np.abs(y) - np.float32(0.85))


_DISTANCES = dict(
    zip(
        CLASS_NAMES,
        (_circle, _square, _triangle, _star, _plus, _ring, _heart, _crescent, _arrow, _hourglass),
        strict=True,
    )
)
