"""The optimizers of both networks; `OPTIMIZERS` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

# epsilon as in Kingma and Ba (2015) and in PyTorch; Keras' own default is 1e-7, and its RMSprop adds it under the root,
# where the 1e-8 of the others is 1e-16: the gradients of a WGAN's generator are as small as 1e-5


def adam(rate: float, beta_1: float, beta_2: float, name: str) -> keras.optimizers.Optimizer:
    """Kingma and Ba, Adam: A Method for Stochastic Optimization (2015)."""
    import keras

    return keras.optimizers.Adam(rate, beta_1, beta_2, epsilon=1e-8, name=name)


def rmsprop(rate: float, beta_1: float, beta_2: float, name: str) -> keras.optimizers.Optimizer:
    """Tieleman and Hinton, lecture 6.5 (2012); it has no first moment, so `beta_1` does nothing."""
    import keras

    return keras.optimizers.RMSprop(rate, rho=beta_2, epsilon=1e-16, name=name)


OPTIMIZERS = {"adam": adam, "rmsprop": rmsprop}
