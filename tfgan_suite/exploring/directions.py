"""The directions in which a generator changes its images most, found in its first layer, without any data.

Source: Shen and Zhou, Closed-Form Factorization of Latent Semantics in GANs (2021). A first layer y = A z + b is
moved by A n when z moves by n; of all unit vectors n, the eigenvectors of A^T A with the largest eigenvalues move it
most (eq. 5 to 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_tools.errors import SuiteError

if TYPE_CHECKING:
    import keras


def factorised(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions [d, d], a row each, the strongest first, and how far each moves the layer, [d].

    The rows are the eigenvectors of A^T A, that is the right singular vectors of A; the numbers are its singular
    values. The sign of a direction, which the mathematics leaves open, is such that its largest entry is positive.

    Args:
        matrix: A, [outputs, d].
    """
    values, vectors = np.linalg.eigh(matrix.T.astype(np.float64) @ matrix.astype(np.float64))
    rows = vectors.T[::-1]
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    return rows * np.sign(largest)[:, None], np.sqrt(np.maximum(values[::-1], 0))


def first_layer(generator: keras.Model) -> tuple[str, np.ndarray]:
    """Name and matrix A [outputs, d] of the first layer with weights that the latents reach.

    A is what the layer gives for each unit vector less what it gives for zero latents, so it does not matter what
    stands before: beside a class, A is the part that the latents meet; behind a function of single latents that is odd
    (the uniform latents of BEGAN and VT-GAN), A is that of the layer times one number; spectrally normalized, A is
    divided by its norm. Where the latents are split, as in BigGAN, the directions move the part that the first layer
    takes.

    Raises:
        SuiteError: for a generator without such a layer.
    """
    import keras

    dim = generator.inputs[0].shape[-1]
    probes = np.concatenate([np.zeros((1, dim), np.float32), np.eye(dim, dtype=np.float32)])
    given = [probes, np.zeros(len(probes), np.int32)][: len(generator.inputs)]
    for layer in generator.layers:
        if not layer.weights:  # those of an averaged generator are not trainable
            continue
        layer_outputs = keras.Model(generator.inputs, layer.output)(given, training=False)
        outputs = np.asarray(layer_outputs, np.float64).reshape(len(probes), -1)
        matrix = (outputs[1:] - outputs[0]).T
        if matrix.any():  # a table of classes, or a learned start, does not see the latents
            return layer.name, matrix
    raise SuiteError("the generator has no layer with weights that its latents reach, so it has no directions")
