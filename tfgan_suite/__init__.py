"""Train, score, compare and export generative adversarial networks."""

__version__ = "0.1.0"
