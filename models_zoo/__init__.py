"""The Keras models: one file per variant; networks, layers and losses in one file each.

Importing this package is cheap: a variant's module, and with it TensorFlow, is imported by `load_variant`.
"""

from __future__ import annotations

import importlib

# name -> "module:class"
VARIANTS = {
    "dcgan": "models_zoo.dcgan:DCGAN",
    "sngan": "models_zoo.sngan:SNGAN",
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
