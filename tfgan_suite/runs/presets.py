"""Named configurations, each with its source and what to expect of it.

Seconds per step were measured by `python results/preset_rates.py` on two x86-64 cores without a GPU, TensorFlow 2.21.0.
Those of `rpgan`, `r3gan`, `reacgan` and their `-shapes` presets are estimates until it is run for them; the `-shapes`
settings of the last two have not been trained to the end either.
"""

from __future__ import annotations

import dataclasses

from tfgan_suite.runs.config import Config


@dataclasses.dataclass(frozen=True)
class Preset:
    """A configuration with its paper and its duration.

    Args:
        config: the configuration.
        paper: where its numbers come from.
        about: what it is, in one line.
        seconds_per_step: on two CPU cores.
    """

    config: Config
    paper: str
    about: str
    seconds_per_step: float

    def minutes(self) -> str:
        """The expected duration in words."""
        steps = self.steps()
        if steps is None:
            return f"{self.seconds_per_step:.2g} s a step on two CPU cores; GPU not measured"
        minutes = steps * self.seconds_per_step / 60
        duration = f"{minutes:.2g}" if minutes < 60 else f"{minutes:,.0f} ({minutes / 60:,.0f} hours)"
        return f"{duration} on two CPU cores; GPU not measured"

    def steps(self) -> int | None:
        """Generator updates, or None where they depend on the number of images in a folder."""
        if self.config.steps is None and self.config.dataset not in _TRAINING_IMAGES:
            return None
        return self.config.steps_for(_TRAINING_IMAGES.get(self.config.dataset, 0))


_TRAINING_IMAGES = {"cifar10": 50_000, "shapes": 50_000}

_FRANK = "Frank and Juracek, Recent Advances in GANs, section 4.2"
_FENG = "Feng et al., ICLR Reproducibility of SNGAN"
_GUNNLAUGSSON = "Gunnlaugsson et al., Evaluation of Spectral Normalization for GANs Using Inception Score"
_HUANG = "Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN (2024)"
_MIYATO = "Miyato et al., Spectral Normalization for GANs (2018)"

_CIFAR10 = Config(dataset="cifar10", epochs=100, batch_size=64, latent_dim=128, checkpoint_every=1000)


def _cifar10(variant: str, rates: float | tuple[float, float], betas: tuple[float, float], **fields: object) -> Config:
    """A configuration for CIFAR-10 at full width; `rates` are those of the generator and the discriminator, or one."""
    generator, discriminator = rates if isinstance(rates, tuple) else (rates, rates)
    if "steps" in fields:
        fields["epochs"] = None
    return dataclasses.replace(
        _CIFAR10,
        variant=variant,
        generator_learning_rate=generator,
        discriminator_learning_rate=discriminator,
        beta_1=betas[0],
        beta_2=betas[1],
        **fields,  # type: ignore[arg-type]
    )


def _shapes(variant: str, rates: float | tuple[float, float], betas: tuple[float, float], **fields: object) -> Config:
    """2,000 steps on `shapes`, narrow enough for two CPU cores, with rates fit for that width."""
    small = {"dataset": "shapes", "width": 0.25, "latent_dim": 32, "batch_size": 32, "steps": 2000, "ema_decay": 0.998}
    return _cifar10(variant, rates, betas, **{**small, **fields})


# Seconds per step, and the papers' methods in the small; rates and strengths are fit for the width and the few steps.
_ON_SHAPES = {
    "dcgan": (0.0313, _shapes("dcgan", (2e-3, 1e-3), (0.0, 0.99), batch_size=64)),
    "lsgan": (0.0319, _shapes("lsgan", 2e-3, (0.5, 0.99), batch_size=64)),
    "wgan": (0.0528, _shapes("wgan", 5e-4, (0.5, 0.99), optimizer="rmsprop", discriminator_steps=5)),
    "wgan-gp": (0.0363, _shapes("wgan_gp", 1e-3, (0.0, 0.9), discriminator_steps=3)),
    "dragan": (0.0198, _shapes("dragan", 2e-3, (0.5, 0.9), options={"penalty_weight": 1.0})),
    "r1": (0.0201, _shapes("r1", 1e-3, (0.0, 0.99), options={"penalty_weight": 1.0})),
    "rpgan": (0.05, _shapes("rpgan", 1e-3, (0.0, 0.99))),
    "r3gan": (0.35, _shapes("r3gan", 1e-3, (0.0, 0.99), width=1 / 24, batch_size=16, options={"penalty_weight": 1.0})),
    "sngan": (0.0477, _shapes("sngan", (2e-3, 4e-3), (0.0, 0.9), width=0.1875)),
    "ebgan": (0.0346, _shapes("ebgan", 1e-3, (0.5, 0.999), options={"margin": 0.2})),
    "began": (0.0479, _shapes("began", 1e-3, (0.5, 0.999), width=0.125, options={"gamma": 0.9, "lambda_k": 0.1})),
    "acgan": (0.0328, _shapes("acgan", 1e-3, (0.5, 0.999), options={"dropout": 0.2})),
    "vtgan": (0.0383, _shapes("vtgan", 1e-3, (0.5, 0.99))),
    "reacgan": (0.25, _shapes("reacgan", (1e-3, 2e-3), (0.0, 0.9), width=0.125, discriminator_steps=2)),
    "cgan": (0.0334, _shapes("cgan", 1e-3, (0.0, 0.9), width=0.125, options={"normalization": "spectral"})),
    "sagan": (0.153, _shapes("sagan", (1e-3, 2e-3), (0.0, 0.9), width=0.125, discriminator_steps=2)),
    "biggan": (0.144, _shapes("biggan", (1e-3, 2e-3), (0.0, 0.9), width=0.125, discriminator_steps=2)),
}

_DCGAN = _cifar10("dcgan", 2e-4, (0.5, 0.999), epochs=40, batch_size=128, latent_dim=100)
_FENG_28 = {"image_size": 28, "epochs": 300}
_FENG_SN = {**_FENG_28, "options": {"spectral_generator": True}}  # "all layers", its section 3

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
            options={"architecture": "strided"},
        ),
        paper=f"{_MIYATO}, networks of DCGAN",
        about="spectrally normalized DCGAN at a quarter of the width on the built-in shapes",
        seconds_per_step=0.0242,
    ),
    "dcgan": Preset(
        _DCGAN,
        paper=f"{_FRANK}: vanilla GAN; Radford et al. (2016)",
        about="DCGAN on CIFAR-10: Adam 2e-4, batch 128, one update each, 40 epochs",
        seconds_per_step=0.428,
    ),
    "dcgan-108": Preset(
        dataclasses.replace(_DCGAN, dataset="folder", image_size=108, epochs=190),
        paper=f"{_GUNNLAUGSSON}: vanilla DCGAN, 190 epochs",
        about="DCGAN for photographs of 108x108 pixels in --data-dir: 190 epochs",
        seconds_per_step=6.41,
    ),
    "lsgan": Preset(
        _cifar10("lsgan", 1e-3, (0.5, 0.999), epochs=190),
        paper=f"Mao et al. (2017): Adam 1e-3, batch 64; {_GUNNLAUGSSON}: the 190 epochs of its DCGAN",
        about="least squares with a, b, c = 0, 1, 1; --loss least_squares_pearson for -1, 1, 0",
        seconds_per_step=0.223,
    ),
    "wgan": Preset(
        _cifar10("wgan", 5e-5, (0.5, 0.99), optimizer="rmsprop", discriminator_steps=5),
        paper=f"{_FRANK}: WGAN; Arjovsky et al. (2017)",
        about="weight clipping at 0.01: RMSprop 5e-5, batch 64, five critic updates, 100 epochs",
        seconds_per_step=0.575,
    ),
    "wgan-gp": Preset(
        _cifar10("wgan_gp", 1e-4, (0.0, 0.9), discriminator_steps=5),
        paper=f"{_FRANK}: improved WGAN; Gulrajani et al. (2017)",
        about="gradient penalty 10: Adam 1e-4, batch 64, five critic updates, 100 epochs",
        seconds_per_step=0.707,
    ),
    "dragan": Preset(
        _cifar10("dragan", 1e-4, (0.5, 0.9)),
        paper="Kodali et al., On Convergence and Stability of GANs (2017)",
        about="gradient penalty 10 around the real images: Adam 1e-4, batch 64, 100 epochs",
        seconds_per_step=0.274,
    ),
    "r1": Preset(
        _cifar10("r1", 1e-4, (0.5, 0.99), optimizer="rmsprop"),
        paper="Mescheder et al., Which Training Methods for GANs do actually Converge? (2018)",
        about="gradient penalty gamma 10 on real images: RMSprop 1e-4, batch 64, 100 epochs",
        seconds_per_step=0.234,
    ),
    "rpgan": Preset(
        _cifar10("rpgan", 2e-4, (0.0, 0.99)),
        paper=f"{_HUANG}: its loss and Adam on the networks of DCGAN, the 100 epochs of r1; gamma 1",
        about="relativistic pairing, penalties on real and generated images: Adam 2e-4, batch 64, 100 epochs",
        seconds_per_step=0.4,
    ),
    "r3gan": Preset(
        # constants where the paper has schedules: the rate, gamma and beta_2 that it begins or ends with; an average
        # of half-life 5 million images, 0.5 ** (512 / 5e6); 250 million images in all
        _cifar10("r3gan", 2e-4, (0.0, 0.99), steps=488_281, batch_size=512, latent_dim=64, ema_decay=0.99993),
        paper=f"{_HUANG}: CIFAR-10, without its schedules of rate, gamma, beta_2 and average",
        about="inverted residual blocks, 768 channels, gamma 0.05: Adam 2e-4, batch 512, 488,281 steps",
        seconds_per_step=760.0,
    ),
    "sngan": Preset(
        _cifar10("sngan", 2e-4, (0.5, 0.999), steps=100_000),
        paper=f"{_MIYATO}, table 3 and setting C",
        about="standard CNN, hinge: Adam 2e-4, batch 64, one update each, 100,000 steps",
        seconds_per_step=0.835,
    ),
    "sngan-resnet": Preset(
        _cifar10("sngan", 2e-4, (0.0, 0.9), steps=50_000, discriminator_steps=5, options={"architecture": "resnet"}),
        paper=f"{_MIYATO}, table 4; without the decay of the rate",
        about="residual networks, hinge: Adam 2e-4, batch 64, five discriminator updates, 50,000 steps",
        seconds_per_step=8.07,
    ),
    "sngan-reptiles": Preset(
        dataclasses.replace(
            _cifar10("sngan", 2e-4, (0.5, 0.999), epochs=190, loss="non_saturating"), dataset="folder", image_size=108
        ),
        paper=f"{_GUNNLAUGSSON}: DCGAN with spectral normalization, the epochs of its DCGAN",
        about="spectral normalization with the cross-entropy loss, 108x108 photographs in --data-dir",
        seconds_per_step=10.6,
    ),
    "sngan-ttur": Preset(
        _cifar10("sngan", (1e-3, 4e-3), (0.5, 0.9), **_FENG_SN),
        paper=f"{_FENG}: two time scales; Heusel et al. (2017)",
        about="rates 0.001 for the generator and 0.004 for the discriminator, 28x28, 300 epochs",
        seconds_per_step=0.493,
    ),
    "sngan-a": Preset(
        _cifar10("sngan", 1e-3, (0.5, 0.9), **_FENG_SN),
        paper=f"{_FENG}, setting A",
        about="Adam 0.001, betas 0.5 and 0.9, 28x28; --variant wgan_gp, began or ebgan for its other rows",
        seconds_per_step=0.506,
    ),
    "sngan-b": Preset(
        _cifar10("sngan", 1e-3, (0.5, 0.999), **_FENG_SN),
        paper=f"{_FENG}, setting B",
        about="Adam 0.001, betas 0.5 and 0.999, 28x28",
        seconds_per_step=0.53,
    ),
    "sngan-c": Preset(
        _cifar10("sngan", 2e-3, (0.5, 0.999), **_FENG_SN),
        paper=f"{_FENG}, setting C",
        about="Adam 0.002, betas 0.5 and 0.999, 28x28",
        seconds_per_step=0.556,
    ),
    "baseline-bn": Preset(
        _cifar10("sngan", 1e-3, (0.5, 0.9), **_FENG_28, options={"normalization": "batch"}),
        paper=f"{_FENG}: BN",
        about="batch normalization in the discriminator in the place of spectral, otherwise sngan-a",
        seconds_per_step=0.534,
    ),
    "baseline-ln": Preset(
        _cifar10("sngan", 1e-3, (0.5, 0.9), **_FENG_28, options={"normalization": "layer"}),
        paper=f"{_FENG}: LN",
        about="layer normalization in the discriminator in the place of spectral, otherwise sngan-a",
        seconds_per_step=0.484,
    ),
    "ebgan": Preset(
        _cifar10("ebgan", 2e-4, (0.5, 0.999), latent_dim=100),
        paper="Zhao et al., Energy-based GANs (2017); its margins are not for CIFAR-10, so 1 per pixel here",
        about="autoencoder, pulling-away term 0.1: Adam 2e-4, batch 64, 100 epochs",
        seconds_per_step=0.343,
    ),
    "began": Preset(
        _cifar10("began", 1e-4, (0.5, 0.999), batch_size=16, latent_dim=64),
        paper="Berthelot et al., BEGAN (2017)",
        about="autoencoder in equilibrium, gamma 0.5: Adam 1e-4, batch 16, 100 epochs",
        seconds_per_step=0.33,
    ),
    "acgan": Preset(
        _cifar10("acgan", 2e-4, (0.5, 0.999), steps=50_000, batch_size=100, latent_dim=100),
        paper="Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs (2017), table 2",
        about="source and class heads, dropout 0.5: Adam 2e-4, batch 100, 50,000 steps",
        seconds_per_step=0.425,
    ),
    "vtgan": Preset(
        _cifar10("vtgan", 2e-4, (0.5, 0.999), epochs=500, batch_size=100, latent_dim=100),
        paper="Sridhar, Variably Trained GANs (2019), tables 3.2 and 3.3; it gives no rates: AC-GAN's",
        about="AC-GAN with minibatch discrimination and label smoothing 0.1, 500 epochs",
        seconds_per_step=0.404,
    ),
    "reacgan": Preset(
        _cifar10(
            "reacgan",
            2e-4,
            (0.5, 0.999),
            steps=100_000,
            discriminator_steps=5,
            latent_dim=80,
            ema_decay=0.9999,
        ),
        paper="Kang et al., Rebooting ACGAN (2021): CIFAR-10, on the networks of BigGAN",
        about="D2D-CE and hinge: Adam 2e-4, batch 64, five discriminator updates, 100,000 steps",
        seconds_per_step=17.0,
    ),
    "cgan": Preset(
        _cifar10("cgan", 2e-4, (0.0, 0.9), options={"generator_conditioning": "cbn_linear"}),
        paper="Dogan, Qualitative Assessment of GAN Architectures (2021), its best; it gives no rates",
        about="hinge, linear conditional batch normalization and projection: Adam 2e-4, batch 64, 100 epochs",
        seconds_per_step=0.889,
    ),
    "sagan": Preset(
        _cifar10("sagan", (1e-4, 4e-4), (0.0, 0.9), steps=100_000),
        paper="Zhang et al., Self-Attention GANs (2019); its batch of 256 and 1,000,000 steps are for ImageNet",
        about="self-attention, spectral in both networks, rates 1e-4 and 4e-4, batch 64, 100,000 steps",
        seconds_per_step=3.17,
    ),
    "biggan": Preset(
        _cifar10("biggan", 2e-4, (0.0, 0.999), epochs=500, batch_size=50, discriminator_steps=4, ema_decay=0.9999),
        paper="Brock et al. (2019), rates, batch, updates and epochs of the authors for CIFAR-10",
        about="wide residual networks, hinge, projection: Adam 2e-4, batch 50, four discriminator updates, 500 epochs",
        seconds_per_step=9.98,
    ),
    **{
        f"{name}-shapes": Preset(
            config,
            paper=f"the method of the preset {name}, in a width that suits two CPU cores",
            about="2,000 steps on the built-in shapes",
            seconds_per_step=seconds,
        )
        for name, (seconds, config) in _ON_SHAPES.items()
    },
}
