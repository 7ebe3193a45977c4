"""The Keras models: one file per variant; networks, layers, losses and penalties in one file each.

Importing this package is cheap: a variant's module, and with it TensorFlow, is imported by `load_variant`.
"""

from __future__ import annotations

import importlib

# name -> "module:class"
VARIANTS = {
    "dcgan": "models_zoo.dcgan:DCGAN",
    "lsgan": "models_zoo.lsgan:LSGAN",
    "wgan": "models_zoo.wgan:WGAN",
    "wgan_gp": "models_zoo.wgan_gp:WGANGP",
    "dragan": "models_zoo.dragan:DRAGAN",
    "r1": "models_zoo.r1:R1GAN",
    "rpgan": "models_zoo.rpgan:RpGAN",
    "r3gan": "models_zoo.r3gan:R3GAN",
    "sngan": "models_zoo.sngan:SNGAN",
    "ebgan": "models_zoo.ebgan:EBGAN",
    "began": "models_zoo.began:BEGAN",
    "acgan": "models_zoo.acgan:ACGAN",
    "vtgan": "models_zoo.vtgan:VTGAN",
    "reacgan": "models_zoo.reacgan:ReACGAN",
    "cgan": "models_zoo.cgan:CGAN",
    "sagan": "models_zoo.sagan:SAGAN",
    "biggan": "models_zoo.biggan:BigGAN",
}


def load_variant(name: str):
    """The class of a variant.

    Raises:
        ValueError: for a name that is not in `VARIANTS`.
    """
    if name not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}. Received: variant={name!r}")
    module, _, attribute = VARIANTS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
