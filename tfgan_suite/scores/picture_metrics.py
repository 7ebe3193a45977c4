"""Metrics of the pictures themselves as pure float64 functions: MS-SSIM and the sliced Wasserstein distance."""

from __future__ import annotations

import numpy as np

WINDOW, _SIGMA = 11, 1.5
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_PATCH, SMALLEST_LEVEL = 7, 16


def ms_ssim_scales(image_size: int) -> int:
    """How many scales the window of 11 pixels fits: 2 at 32 pixels, 4 at 108, at most 5.

    Raises:
        ValueError: for images smaller than the window.
    """
    scales = 0
    while image_size >= WINDOW and scales < len(_WEIGHTS):
        scales, image_size = scales + 1, -(-image_size // 2)
    if scales == 0:
        raise ValueError(f"MS-SSIM needs images of {WINDOW} pixels or more. Received: {image_size}")
    return scales


def ms_ssim(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Multi-scale structural similarity of pairs of images, in [0, 1]; 1 for equal ones.

    The window is a Gaussian of 11 taps and deviation 1.5, without padding; of the five published weights those of the
    first `ms_ssim_scales` scales are used, divided by their sum. Between scales 2 x 2 pixels are averaged, an odd edge
    repeated. Negative factors count as 0.

    Source: Wang et al., Multi-scale Structural Similarity for Image Quality Assessment (2003), eq. 7; as a measure of
    diversity: Odena et al. (2017), section 4.

    Args:
        one, other: uint8 [N, S, S, C].

    Returns:
        float64 [N].
    """
    x, y = (np.moveaxis(np.asarray(images, np.float64), 3, 1) for images in (one, other))
    scales = ms_ssim_scales(x.shape[2])
    weights = np.array(_WEIGHTS[:scales]) / sum(_WEIGHTS[:scales])
    result = np.ones(x.shape[:2])
    for scale, weight in enumerate(weights):
        luminance, contrast = _ssim_factors(x, y)
        factor = luminance * contrast if scale == scales - 1 else contrast
        result *= np.maximum(factor.mean(axis=(2, 3)), 0.0) ** weight
        x, y = _halved(x), _halved(y)
    return result.mean(axis=1)


def mean_ms_ssim(images: np.ndarray, pairs: int, seed: int) -> tuple[float, float]:
    """Mean and population standard deviation of MS-SSIM over random pairs of different images.

    Args:
        images: uint8 [N, S, S, C], N at least 2.
        pairs: how many; each pair is drawn anew.
    """
    if len(images) < 2:
        raise ValueError(f"MS-SSIM needs 2 images or more. Received: {len(images)}")
    rng = np.random.default_rng(seed)
    first = rng.integers(len(images), size=pairs)
    second = (first + rng.integers(1, len(images), size=pairs)) % len(images)
    parts = [
        ms_ssim(images[first[i : i + 100]], images[second[i : i + 100]]) for i in range(0, pairs, 100)
    ]  # in parts, for the memory
    values = np.concatenate(parts)
    return float(values.mean()), float(values.std())


def sliced_wasserstein(
    images: np.ndarray,
    reference: np.ndarray,
    *,
    patches: int = 64,
    directions: int = 128,
    repeats: int = 4,
    seed: int = 0,
) -> dict[str, float]:
    """Sliced Wasserstein distance between the patches of two sets of images, times 1,000, per level and on average.

    Of every level of the Laplacian pyramid, from the full size down to 16 pixels, `patches` patches of 7 x 7 pixels are
    taken from each image, normalised per channel over the set, and projected on random directions; the distance is the
    mean absolute difference of the sorted projections.

    Source: Karras et al., Progressive Growing of GANs (2018), section 5.

    Args:
        images, reference: uint8 [N, S, S, C] of the same shape.

    Returns:
        `{"32": ..., "16": ..., "average": ...}`, keyed by the pixels of the level.

    Raises:
        ValueError: for other shapes, or images under 16 pixels.
    """
    if images.shape != reference.shape:
        raise ValueError(f"both sets must have the same shape. Received: {images.shape} and {reference.shape}")
    if images.shape[1] < SMALLEST_LEVEL:
        raise ValueError(f"the images must have {SMALLEST_LEVEL} pixels or more. Received: {images.shape[1]}")
    rng = np.random.default_rng(seed)
    distances = {}
    for one, other in zip(_laplacian_pyramid(images), _laplacian_pyramid(reference), strict=True):
        size = one.shape[1]
        corners = rng.integers(size - _PATCH + 1, size=(2, 2, len(one), patches))
        a, b = _patches(one, *corners[0]), _patches(other, *corners[1])
        values = []
        for _ in range(repeats):
            axes = rng.normal(size=(a.shape[1], directions))
            axes /= np.linalg.norm(axes, axis=0)
            values.append(np.abs(np.sort(a @ axes, axis=0) - np.sort(b @ axes, axis=0)).mean())
        distances[str(size)] = 1000 * float(np.mean(values))
    return {**distances, "average": float(np.mean(list(distances.values())))}


def _ssim_factors(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance and contrast-structure of images [N, C, S, S] with values 0 to 255 (Wang et al., eq. 1-3)."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    taps = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / _SIGMA) ** 2)
    taps /= taps.sum()
    size = x.shape[2]
    blur = np.zeros((size - WINDOW + 1, size))
    for i in range(len(blur)):
        blur[i, i : i + WINDOW] = taps

    def mean(values: np.ndarray) -> np.ndarray:
        return blur @ values @ blur.T

    mean_x, mean_y = mean(x), mean(y)
    products = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    covariance, variances = mean(x * y) - products, mean(x**2 + y**2) - squares
    return (2 * products + c1) / (squares + c1), (2 * covariance + c2) / (variances + c2)


def _halved(x: np.ndarray) -> np.ndarray:
    n, channels, size, _ = x.shape
    odd = size % 2
    x = np.pad(x, ((0, 0), (0, 0), (0, odd), (0, odd)), mode="symmetric")
    return x.reshape(n, channels, (size + odd) // 2, 2, (size + odd) // 2, 2).mean(axis=(3, 5))


def _laplacian_pyramid(images: np.ndarray) -> list[np.ndarray]:
    """Levels [N, S, S, C], float32 for their size, from the finest; the last is what is left, not a difference."""
    level = np.asarray(images, np.float32)
    pyramid = []
    while level.shape[1] // 2 >= SMALLEST_LEVEL:
        size = level.shape[1]
        down = _gaussian(size)[::2]
        smaller = np.einsum("ij,njkc,lk->nilc", down, level, down, optimize=True).astype(np.float32)
        spread = np.zeros((size, len(down)))
        spread[::2] = np.eye(len(down))
        up = 2 * _gaussian(size) @ spread
        pyramid.append(level - np.einsum("ij,njkc,lk->nilc", up, smaller, up, optimize=True).astype(np.float32))
        level = smaller
    return [*pyramid, level]


def _gaussian(size: int) -> np.ndarray:
    """The filter (1, 4, 6, 4, 1) / 16 on a line of `size` pixels, reflected at its ends, as a matrix."""
    matrix = np.zeros((size, size))
    for offset, tap in zip(range(-2, 3), np.array([1, 4, 6, 4, 1]) / 16, strict=True):
        columns = np.abs(np.arange(size) + offset)
        columns = np.where(columns >= size, 2 * (size - 1) - columns, columns)
        np.add.at(matrix, (np.arange(size), columns), tap)
    return matrix


def _patches(level: np.ndarray, tops: np.ndarray, lefts: np.ndarray) -> np.ndarray:
    """Patches at the corners [N, patches], normalised per channel over all of them, [N * patches, 49 * C]."""
    windows = np.lib.stride_tricks.sliding_window_view(level, (_PATCH, _PATCH), axis=(1, 2))
    chosen = windows[np.arange(len(level))[:, None], tops, lefts].astype(np.float64)  # [N, patches, C, 7, 7]
    chosen -= chosen.mean(axis=(0, 1, 3, 4), keepdims=True)
    deviation = chosen.std(axis=(0, 1, 3, 4), keepdims=True)
    chosen /= np.where(deviation > 0, deviation, 1)
    return chosen.reshape(-1, level.shape[3] * _PATCH**2)
