"""Batch normalization whose gain and bias depend on a condition, a label or a vector."""

import keras
from keras import layers, ops

from models_zoo.spectral_normalization import wrapper


@keras.saving.register_keras_serializable("models_zoo")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Called on [x, condition]: normalize x [B, H, W, C] or [B, C], then multiply by a gain and add a bias.

    Gain and bias have one value per sample and channel:

    - With `num_classes`, the condition is integer labels [B] in [0, num_classes), and gain and bias are rows of two
      tables [num_classes, C] that start at ones and zeros, so a new layer is plain batch normalization (Dumoulin et
      al., A Learned Representation for Artistic Style, 2017, eq. 5; de Vries et al., Modulating early visual
      processing by language, 2017; used so by Miyato and Koyama, cGANs with Projection Discriminator, 2018).
    - Without, the condition is a vector [B, d], gain = 1 + W_g c and bias = W_b c, linear without bias, from
      orthogonal matrices (Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2019,
      section 3 and appendix B).

    The normalization is Keras's `BatchNormalization`: variance over the batch without Bessel's correction, statistics
    in float32, the batch's in training mode and the moving ones otherwise.

    Args:
        num_classes: number of classes, or None for a vector.
        momentum: of the moving statistics, new = momentum * old + (1 - momentum) * batch.
        epsilon: added to the variance.
        synchronized: whether the statistics of a training batch are those over all replicas.
        spectral: whether to wrap W_g and W_b each in a `SpectralNormalization` whose vector changes in `update` only.

    Raises:
        ValueError: for less than one class, for `spectral` together with `num_classes`, for anything but two inputs,
            and for x or a condition of another shape than above.
    """

    def __init__(self, num_classes=None, momentum=0.9, epsilon=1e-5, synchronized=False, spectral=False, **kwargs):
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes must be None or at least 1. Received: num_classes={num_classes}")
        if spectral and num_classes is not None:
            raise ValueError(
                f"spectral must be False with num_classes: tables of ones and zeros have no norm to keep. "
                f"Received: spectral={spectral}, num_classes={num_classes}"
            )
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.momentum = momentum
        self.epsilon = epsilon
        self.synchronized = synchronized
        self.spectral = spectral
        self.normalization = layers.BatchNormalization(
            momentum=momentum,
            epsilon=epsilon,
            center=False,
            scale=False,
            synchronized=synchronized,
            trainable=self.trainable,
            dtype=self.dtype_policy,
            name="normalization",
        )

    def build(self, input_shape):
        x_shape, condition_shape = _checked(input_shape, self.num_classes)
        self.normalization.build(x_shape)
        self.gain = self._per_channel(x_shape[-1], "ones", "gain")
        self.bias = self._per_channel(x_shape[-1], "zeros", "bias")
        self.gain.build(condition_shape)
        self.bias.build(condition_shape)

    def call(self, inputs, training=None):
        x, condition = inputs
        gain, bias = self.gain(condition), self.bias(condition)
        if self.num_classes is None:
            gain = 1 + gain
        shape = (-1, *[1] * (len(x.shape) - 2), x.shape[-1])
        return self.normalization(x, training=training) * ops.reshape(gain, shape) + ops.reshape(bias, shape)

    def update(self):
        """Run `update` of the two spectral normalizations, if there are any."""
        if self.spectral:
            self.gain.update()
            self.bias.update()

    def compute_output_shape(self, input_shape):
        return _checked(input_shape, self.num_classes)[0]

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
            "spectral": self.spectral,
        }

    def _per_channel(self, channels, initializer, name):
        """The layer from the condition to one value per channel."""
        policy = {"dtype": self.dtype_policy}
        if self.num_classes is not None:
            return layers.Embedding(self.num_classes, channels, embeddings_initializer=initializer, name=name, **policy)
        dense = layers.Dense(channels, use_bias=False, kernel_initializer="orthogonal", name=name, **policy)
        return wrapper(self.spectral, **policy)(dense)


def _checked(input_shape, num_classes):
    """The two shapes as tuples, if they are right."""
    try:
        x_shape, condition_shape = (tuple(shape) for shape in input_shape)
    except (TypeError, ValueError):
        raise ValueError(f"inputs must be [x, condition]. Received: input_shape={input_shape}") from None
    if len(x_shape) not in (2, 4) or x_shape[-1] is None:
        raise ValueError(f"x must be [B, H, W, C] or [B, C] with a known C. Received: x.shape={x_shape}")
    if num_classes is not None and len(condition_shape) != 1:
        raise ValueError(f"condition must be labels [B]. Received: condition.shape={condition_shape}")
    if num_classes is None and (len(condition_shape) != 2 or condition_shape[-1] is None):
        raise ValueError(
            f"condition must be a vector [B, d] with a known d. Received: condition.shape={condition_shape}"
        )
    return x_shape, condition_shape
