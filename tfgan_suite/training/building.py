"""From a configuration to a compiled model, the same for training, resuming and exporting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from data_tools.errors import UsageError
from models_zoo import load_variant
from tfgan_suite.runs.config import Config, Option
from tfgan_suite.training.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from models_zoo.gan import GAN


def make_deterministic(settings: Config) -> None:
    """Let a GPU use only kernels that repeat to the bit, if `settings.deterministic`; has no effect on a CPU."""
    import tensorflow as tf

    if settings.deterministic and tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def strategy_of(settings: Config, join: Callable[[], tf.distribute.Strategy] | None = None) -> tf.distribute.Strategy:
    """The `tf.distribute.Strategy` that `settings.distribute` names.

    Args:
        join: gives that of several workers.

    Raises:
        UsageError: if the batch cannot be shared out equally.
    """
    import tensorflow as tf

    if settings.distribute == "multiworker" and join is not None:
        strategy = join()
    elif settings.distribute == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    else:
        strategy = tf.distribute.get_strategy()
    if settings.batch_size % strategy.num_replicas_in_sync:
        raise UsageError(
            f"--batch-size must be a multiple of the {strategy.num_replicas_in_sync} replicas. "
            f"Received: {settings.batch_size}"
        )
    return strategy


def build(settings: Config) -> GAN:
    """The compiled variant with freshly drawn weights, the same for the same configuration.

    To be called in the scope of the strategy that will train it.

    Raises:
        UsageError: for a size, loss, width or option that the variant cannot have.
    """
    import keras

    variant = load_variant(settings.variant)
    network_options, training_options = options_of(settings)
    keras.utils.set_random_seed(settings.seed)
    policy = "float32" if settings.mixed_precision == "none" else f"mixed_{settings.mixed_precision}"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        networks = variant.networks(
            settings.image_size,
            settings.channels,
            settings.latent_dim,
            settings.width,
            settings.num_classes,
            **network_options,
        )
        gan = variant(
            *networks,
            loss=settings.loss,
            discriminator_steps=settings.discriminator_steps,
            ema_decay=settings.ema_decay,
            seed=settings.seed,
            num_classes=settings.num_classes,
            name=settings.variant,
            **training_options,
        )
    except ValueError as error:
        raise UsageError(f"--variant {settings.variant}: {error}") from None
    finally:
        keras.config.set_dtype_policy(before)
    gan.compile(
        _optimizer(settings, settings.generator_learning_rate, "generator"),
        _optimizer(settings, settings.discriminator_learning_rate, "discriminator"),
        jit_compile=settings.jit_compile,
    )
    return gan


def options_of(settings: Config) -> tuple[dict[str, Option], dict[str, Option]]:
    """All options of the variant, those of `settings` in the place of their defaults: of its networks, and of itself.

    Raises:
        UsageError: for an option that the variant does not have, or a value of another kind than its default.
    """
    groups = load_variant(settings.variant).options()
    defaults = groups[0] | groups[1]
    for name, value in settings.options.items():
        if name not in defaults:
            raise UsageError(
                f"--options of {settings.variant} must be among {', '.join(sorted(defaults))}. Received: {name}"
            )
        kind = type(defaults[name])
        number = isinstance(value, int) and kind is float and not isinstance(value, bool)
        if type(value) is not kind and not number:
            raise UsageError(f"--options: {name} must be a value like {defaults[name]!r}. Received: {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"--options: {name} must be a finite number. Received: {value}")
    chosen = {name: type(defaults[name])(value) for name, value in settings.options.items()}
    network, training = ({name: chosen.get(name, default) for name, default in group.items()} for group in groups)
    return network, training


def _optimizer(settings: Config, rate: float, network: str) -> keras.optimizers.Optimizer:
    make = OPTIMIZERS[settings.optimizer]
    return make(rate, settings.beta_1, settings.beta_2, f"{network}_{settings.optimizer}")
