"""What a network is made of, read off its layers: one line of words for each that computes something.

Loaded by `conftest.py` as the module `layer_tables`.
"""

import functools

import keras
import numpy as np
from keras import layers

from models_zoo import load_variant
from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.map_basis import MapBasis
from models_zoo.minibatch_discrimination import MinibatchDiscrimination
from models_zoo.networks import Dropout
from models_zoo.self_attention import SelfAttention
from models_zoo.spectral_normalization import SpectralNormalization

SIZE, CLASSES = 32, 10
SILENT = ("Add", "CategoryEncoding", "Concatenate", "Cropping2D", "Dot", "GetItem", "InputLayer")
SILENT += ("RepeatVector", "Reshape")
SINGLE = {
    "ReLU": "relu",
    "Flatten": "flatten",
    "SumOverMap": "sum",
    "UniformNoise": "uniform",
    "MapProduct": "map product",
    "SmoothHalving": "smooth half",
    "SmoothDoubling": "smooth double",
    "UnitNormalization": "unit",
}


@functools.cache
def full(name, latent_dim, **options):
    """Both networks of a variant for 32x32 at width 1, built once."""
    keras.utils.set_random_seed(0)
    return load_variant(name).networks(SIZE, 3, latent_dim, 1.0, CLASSES, **options)


def table(network):
    """The layers in order, as one word or a few each: "conv 4/2 64" has 4x4 kernels, stride 2 and 64 channels."""
    return [words(layer) for layer in network.layers if type(layer).__name__ not in SILENT]


def words(layer):
    if isinstance(layer, SpectralNormalization):
        return f"sn{layer.power_iterations} {words(layer.layer)}"
    if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose)):
        kind = "conv" if isinstance(layer, layers.Conv2D) else "deconv"
        (size, _), (stride, _) = layer.kernel_size, layer.strides
        assert layer.kernel_size == (size, size) and layer.strides == (stride, stride)
        assert layer.padding == "same" or size == stride == 1
        count = getattr(layer, "groups", 1)  # a deconvolution has none
        groups = f" by {layer.filters // count}" if count > 1 else ""
        return f"{kind} {size}/{stride} {layer.filters}{groups}" + ("" if layer.use_bias else " unbiased")
    if isinstance(layer, layers.Dense):
        return f"dense {layer.units}" + ("" if layer.use_bias else " unbiased")
    if isinstance(layer, layers.BatchNormalization):
        return f"batch norm {layer.momentum} {layer.epsilon}"
    if isinstance(layer, ConditionalBatchNormalization):
        of = "labels" if layer.num_classes else f"vectors{' sn' * layer.spectral}"
        return f"batch norm of {of} {layer.normalization.momentum} {layer.normalization.epsilon}"
    if isinstance(layer, layers.LayerNormalization):
        return f"layer norm {layer.epsilon} {tuple(layer.axis)}"
    if isinstance(layer, layers.LeakyReLU):
        return f"leaky {layer.negative_slope:g}"
    if isinstance(layer, layers.ELU):
        return f"elu {layer.alpha:g}"
    if isinstance(layer, layers.Embedding):
        return f"embedding {layer.input_dim} {layer.output_dim}"
    if isinstance(layer, Dropout):
        return f"dropout {layer.rate}"
    if isinstance(layer, MinibatchDiscrimination):
        return f"minibatch {layer.num_kernels} {layer.kernel_dim}"
    if isinstance(layer, SelfAttention):
        return f"attention{' sn' * layer.spectral}"
    if isinstance(layer, layers.Activation):
        return layer.activation.__name__
    if isinstance(layer, (layers.UpSampling2D, layers.AveragePooling2D)):
        (size, other) = layer.size if isinstance(layer, layers.UpSampling2D) else layer.pool_size
        assert size == other
        return f"{'up' if isinstance(layer, layers.UpSampling2D) else 'mean'} {size}"
    if isinstance(layer, MapBasis):
        return f"map {layer.side}"
    return SINGLE[type(layer).__name__]


def beginnings(network):
    """(path, values) of every kernel and table that is trained, as it begins."""
    return [(v.path, v.numpy()) for v in network.trainable_variables if len(v.shape) > 1]


def deviation_of(law, shape):
    """Root of the mean square that a kernel begins with: a number is that of a normal law around zero.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks (2010), eq. 16:
    2 / (fan in + fan out) is the variance; the columns or rows of an orthogonal matrix have the length 1.
    """
    if law == "glorot":
        return np.sqrt(2 / (np.prod(shape[:-2]) * (shape[-2] + shape[-1])))
    if law == "orthogonal":
        return np.sqrt(1 / max(np.prod(shape[:-1]), shape[-1]))
    return {"ones": 1.0, "zeros": 0.0}.get(law, law)
