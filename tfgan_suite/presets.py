"""Named configurations, each with its source and what to expect of it."""

from __future__ import annotations

import dataclasses

from tfgan_suite.config import Config


@dataclasses.dataclass(frozen=True)
class Preset:
    """A configuration with its paper and a measured or stated duration."""

    config: Config
    paper: str
    minutes: str
    about: str


_DCGAN = Config(
    variant="dcgan",
    dataset="cifar10",
    epochs=40,
    batch_size=128,
    generator_learning_rate=2e-4,
    discriminator_learning_rate=2e-4,
    beta_1=0.5,
    latent_dim=100,
    checkpoint_every=1000,
)

PRESETS = {
    "quickstart": Preset(
        Config(
            variant="sngan",
            dataset="shapes",
            width=0.25,
            latent_dim=32,
            steps=2500,
            batch_size=32,
            generator_learning_rate=2e-3,
            discriminator_learning_rate=2e-3,
            beta_1=0.0,
            beta_2=0.9,
            ema_decay=0.998,
        ),
        paper="Miyato et al., Spectral Normalization for GANs (2018), networks of DCGAN",
        minutes="under 2 on two CPU cores",
        about="spectrally normalized DCGAN at a quarter of the width on the built-in shapes",
    ),
    "dcgan": Preset(
        _DCGAN,
        paper="Frank and Juracek, Recent Advances in GANs: vanilla GAN (DCGAN); Radford et al. (2016)",
        minutes="not measured on a GPU",
        about="DCGAN on CIFAR-10: Adam 2e-4, batch 128, one update each, 40 epochs",
    ),
    "dcgan-108": Preset(
        dataclasses.replace(_DCGAN, dataset="folder", image_size=108),
        paper="Gunnlaugsson et al., Evaluation of Spectral Normalization for GANs Using Inception Score: 108x108",
        minutes="not measured on a GPU",
        about="the same DCGAN for photographs of 108x108 pixels in --data-dir",
    ),
}
