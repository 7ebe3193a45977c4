"""TF-GAN's own evaluation functions; this is the only module that imports `tensorflow_gan`.

`import tensorflow_gan` fails on TensorFlow 2.16 and later, where `tf.estimator` is gone, so only the two modules with
the evaluation functions are imported, under parent packages that are left empty. Importing this module imports nothing.

The functions here take outputs that a network has computed already and give what TF-GAN gives, deviations included;
the exact values come from `feature_metrics` and `moments`. `modules` gives TF-GAN's modules themselves, whose general
functions (`classifier_score`, `frechet_classifier_distance`, ...) take a classifier function, with a `ScoringNetwork`

    lambda images: network(tf.cast(images, tf.uint8))["pool_3"]

and float32 images in 0..255, because TF-GAN takes for granted that outputs have the type of the images."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import logging
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from data_tools.errors import SuiteError

_PARENTS = ("tensorflow_gan", "tensorflow_gan.python", "tensorflow_gan.python.eval")
# module -> package; the last is what TensorFlow Probability imports without asking for it
_NEEDED = {
    "tensorflow_gan": "tensorflow-gan",
    "tensorflow_probability": "tensorflow-probability",
    "tf_keras": "tf-keras",
}


class Modules(NamedTuple):
    """TF-GAN's `classifier_metrics` and `sliced_wasserstein`."""

    classifier_metrics: types.ModuleType
    sliced_wasserstein: types.ModuleType


@functools.lru_cache(maxsize=1)
def modules() -> Modules:
    """TF-GAN's two modules of evaluation functions, imported at the first call.

    Raises:
        SuiteError: if TF-GAN, or something that it imports without asking for it, is missing or does not fit.
    """
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise SuiteError(f"TF-GAN's evaluation functions need {', '.join(missing)}: pip install {' '.join(missing)}")
    try:
        with importable():
            return Modules(*(importlib.import_module(f"{_PARENTS[-1]}.{name}") for name in Modules._fields))
    except (ImportError, AttributeError) as error:
        raise SuiteError(
            f"TF-GAN's evaluation functions cannot be imported ({error}): "
            f"pip install --upgrade {' '.join(_NEEDED.values())}"
        ) from error


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Inside, TF-GAN's modules can be imported one by one, because its packages are registered without running their
    `__init__.py`. Afterwards `sys.modules` is without them, so that nobody finds an empty `tensorflow_gan` there.

    A TF-GAN that was imported before, by whatever means, is used as it is.
    """
    if _PARENTS[0] in sys.modules:
        yield
        return
    try:
        for name in _PARENTS:
            spec = importlib.util.find_spec(name)
            if spec is None:
                raise ImportError(f"{name} is not there")
            sys.modules[name] = importlib.util.module_from_spec(spec)
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == _PARENTS[0]]:
            del sys.modules[name]


def inception_score(logits: Any) -> float:
    """TF-GAN's `classifier_score_from_logits`, of all images at once: it knows no splits.

    Deviations: float64 inside, but the result is rounded to the type of the logits, float32; a class whose probability
    underflows to 0 for every image gives NaN.

    Args:
        logits: [N, classes].
    """
    return float(modules().classifier_metrics.classifier_score_from_logits(_matrix(logits)))


def frechet_distance(features: Any, reference: Any) -> float:
    """TF-GAN's `frechet_classifier_distance_from_activations`.

    Deviations: float64 inside, but rounded to float32 for float32 features; eigenvalues below an absolute 1e-10 count
    as they are instead of by their root, so that small features give wrong values (12.8 times wrong at a thousandth of
    the usual scale; +2.6e-3 at 2,048 dimensions), and the result can be slightly negative.

    Args:
        features, reference: [N, d] and [M, d], two rows or more each.
    """
    function = modules().classifier_metrics.frechet_classifier_distance_from_activations
    return float(function(_matrix(reference), _matrix(features)))


def kernel_distance(features: Any, reference: Any, max_block_size: int = 1024) -> tuple[float, float]:
    """TF-GAN's `kernel_classifier_distance_and_std_from_activations`: the mean over blocks, and its standard error.

    Deviations: all of it in the type of the features, float32 (about 1e-4 relative); the images are cut into blocks
    in the order given, so they must be shuffled; the standard error is NaN for a single block.

    Args:
        features, reference: [N, d] and [M, d].
        max_block_size: images in a block at most.
    """
    function = modules().classifier_metrics.kernel_classifier_distance_and_std_from_activations
    with _quiet():
        mean, error = function(_matrix(reference), _matrix(features), max_block_size=max_block_size)
    return float(mean), float(error)


def sliced_wasserstein(real: Any, fake: Any, *, seed: int = 0, **options: Any) -> list[tuple[float, float]]:
    """TF-GAN's `sliced_wasserstein_distance`: for each level of the pyramid, the finest first, the distance of real
    from real images, which is its noise, and of real from fake ones.

    Deviations: projections are drawn from TensorFlow's global generator and patches from NumPy's, both of which are set
    to `seed` here (NumPy's is put back afterwards, TensorFlow's cannot be); patches are normalised one by one, not per
    channel over all patches as in the paper; a patch of one colour gives NaN; the side must be even at every level but
    the last.

    Args:
        real, fake: [N, S, S, 3], as many of one as of the other.
        seed: of patches and projections.
        options: TF-GAN's `resolution_min`, `patches_per_image`, `patch_size`, `random_sampling_count`,
            `random_projection_dim`, `use_svd`.
    """
    import tensorflow as tf

    function = modules().sliced_wasserstein.sliced_wasserstein_distance
    state = np.random.get_state()
    np.random.seed(seed)
    tf.random.set_seed(seed)
    try:
        with _quiet():
            distances = function(*(tf.constant(np.asarray(images, np.float32)) for images in (real, fake)), **options)
        return [(float(same), float(other)) for same, other in distances]
    finally:
        np.random.set_state(state)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the notes that TensorFlow writes about the old functions that TF-GAN calls."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _matrix(values: Any) -> Any:
    import tensorflow as tf

    values = tf.convert_to_tensor(values)
    if values.shape.rank != 2 or 0 in values.shape:
        raise ValueError(f"expected [N, d], N and d at least 1. Received: {list(values.shape)}")
    return values
