"""Small GANs of every variant at some step, with weights that look trained, and looks into their networks.

Loaded by `conftest.py` as the module `small_gans`.
"""

import inspect

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from models_zoo import load_variant, randomness
from models_zoo.inputs import is_conditional
from models_zoo.spectral_normalization import SpectralNormalization

SIZE, BATCH, CLASSES, LATENTS, WIDTH = 16, 4, 5, 12, 0.05
SEED, STEP = 11, 3
RATE = 0.5
REAL_LABELS = tf.constant([0, 3, 1, 4])
CONDITIONAL = ("r3gan", "acgan", "vtgan", "reacgan", "cgan", "sagan", "biggan")
PAIRED_BY_CLASS = ("R3GAN",)  # generated images are of the classes of the real ones


def real_images(size=SIZE, count=BATCH):
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)), tf.float32)


def pair(name, size=SIZE, **options):
    keras.utils.set_random_seed(0)
    return load_variant(name).networks(size, 3, LATENTS, WIDTH, CLASSES, **options)


def build(name, networks=None, size=SIZE, rate=RATE, stir=True, **options):
    """A variant at some step, with weights that look trained: small initial ones would make every step small."""
    gan = load_variant(name)(*pair(name, size, **(networks or {})), num_classes=CLASSES, seed=SEED, **options)
    if stir:
        stirred(gan.generator, 1)
        stirred(gan.discriminator, 2)
        gan.ema_generator.set_weights(gan.generator.get_weights())
    gan.step.assign(STEP)
    gan.compile(keras.optimizers.SGD(rate, name="g"), keras.optimizers.SGD(rate, name="d"))
    return gan


def stirred(network, seed):
    rng = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        value = variable.numpy()
        if value.ndim < 2:
            variable.assign(value + rng.uniform(0.1, 0.5, value.shape))
        elif variable.path.endswith("embeddings"):
            variable.assign(value + 0.3 * rng.standard_normal(value.shape))
        else:
            gain = 0.1 if variable.path.endswith("_narrow/kernel") else 1  # sums of many blocks would grow and grow
            variable.assign(gain * rng.standard_normal(value.shape) * np.sqrt(2 / np.prod(value.shape[:-1])))
    for layer in spectral_layers(network):
        power_iteration(layer, 3)


def everything_in(network):
    """All layers, those inside of other layers too."""
    return [layer for layer in network._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]


def spectral_layers(network):
    return [layer for layer in everything_in(network) if isinstance(layer, SpectralNormalization)]


def matrix_of(layer, kernel=None):
    """The kernel of a spectral normalization, or another one of its shape, with one row per output channel."""
    inner = layer.layer
    kernel = (
        np.asarray(inner.embeddings if isinstance(inner, layers.Embedding) else inner.kernel)
        if kernel is None
        else kernel
    )
    kernel = np.moveaxis(kernel, -2 if isinstance(inner, layers.Conv2DTranspose) else -1, 0)
    return kernel.reshape(len(kernel), -1).astype(np.float64)


def power_iteration(layer, iterations=1):
    """Algorithm 1 of Miyato et al. (2018)."""
    w, u = matrix_of(layer), layer.vector.numpy().astype(np.float64)
    for _ in range(iterations):
        v = w.T @ u / np.linalg.norm(w.T @ u)
        u = w @ v / np.linalg.norm(w @ v)
    layer.vector.assign(u)


def snapshot(network):
    return [variable.numpy().copy() for variable in network.variables]


def unmoved(network, before):
    return all(np.array_equal(v.numpy(), old) for v, old in zip(network.variables, before, strict=True))


def feed(network, first, labels):
    return network([first, labels] if is_conditional(network) else first, training=True)


def draws(latents_use, labels_use, index=0):
    latents = randomness.normal([BATCH, LATENTS], randomness.key(SEED, STEP, latents_use, index))
    return latents, randomness.labels(BATCH, CLASSES, randomness.key(SEED, STEP, labels_use, index))


def asked(gan, drawn):
    """The classes that a GAN asks its generator for."""
    return REAL_LABELS if type(gan).__name__ in PAIRED_BY_CLASS else drawn


def compared(gan, images=None):
    """What `generator_step` takes beside the batch size: the real images and labels that some variants compare with."""
    images = real_images() if images is None else images
    return (images, REAL_LABELS) if "real" in inspect.signature(gan.generator_loss).parameters else ()


def generated(gan, index=0):
    """The generated images of a discriminator update, and their labels."""
    latents, labels = draws(randomness.DISCRIMINATOR_LATENTS, randomness.DISCRIMINATOR_LABELS, index)
    labels = asked(gan, labels)
    return feed(gan.generator, latents, labels), labels


def bare_and_wrapped(network):
    """Names of the layers with a kernel or table, by whether a spectral normalization stands around them."""
    wrapped = [layer.layer for layer in spectral_layers(network)]
    kinds = (layers.Conv2D, layers.Conv2DTranspose, layers.Dense, layers.Embedding)
    bare = [x for x in everything_in(network) if isinstance(x, kinds) and not any(x is w for w in wrapped)]
    return bare, wrapped


def change_of(network, before):
    """Global norm of the change of the trainable weights."""
    pairs = zip(network.variables, before, strict=True)
    return np.sqrt(sum(np.sum(np.square(v.numpy() - old)) for v, old in pairs if v.trainable))
