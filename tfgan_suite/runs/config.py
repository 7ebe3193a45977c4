"""The configuration of a run: one flat, typed, frozen record. Plain Python, so that `--help` needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from data_tools import DATASETS
from data_tools.errors import UsageError
from models_zoo import VARIANTS
from tfgan_suite.training.optimizers import OPTIMIZERS

Option = bool | int | float | str


def parse_options(texts: list[str]) -> dict[str, Option]:
    """`["penalty_weight=5", "normalization=layer"]` as a dict, with numbers and true or false as what they are.

    Raises:
        ValueError: for a text without "=".
    """
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name):
            raise ValueError(f"--options takes NAME=VALUE. Received: {text}")
        if name.replace("-", "_") in options:
            raise ValueError(f"--options takes each name once. Received: {name} twice")
        options[name.replace("-", "_")] = _natural(value)
    return options


def _natural(text: str) -> Option:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


_OPTIONS_FLAG: Any = tyro.constructors.PrimitiveConstructorSpec(
    nargs="*",
    metavar="[NAME=VALUE ...]",
    instance_from_str=parse_options,
    is_instance=lambda value: isinstance(value, dict),
    str_from_instance=lambda value: [f"{name}={option}" for name, option in value.items()],
)

if TYPE_CHECKING:
    Variant = str
    Dataset = str
    Optimizer = str
else:
    Variant = Literal[tuple(VARIANTS)]
    Dataset = Literal[tuple(DATASETS)]
    Optimizer = Literal[tuple(OPTIMIZERS)]
MOST_IMAGES = 10_000_000  # generated for a score
_MOST_STEPS, _MOST_EPOCHS, _MOST_MINUTES = 10**9, 10**6, 10**5
_WIDEST = 64
_LARGEST = 1e38  # of numbers that become float32
_WHOLE_NUMBERS = {
    "image_size": (1, 1024),
    "latent_dim": (1, 2**16),
    "batch_size": (1, 2**16),
    "discriminator_steps": (1, 1000),
    "num_classes": (2, 100_000),
    "steps": (1, _MOST_STEPS),
    "log_every": (1, _MOST_STEPS),
    "sample_every": (1, _MOST_STEPS),
    "checkpoint_every": (1, _MOST_STEPS),
    "evaluate_every": (0, _MOST_STEPS),
    "keep_checkpoints": (1, _MOST_STEPS),
    "num_images": (2, MOST_IMAGES),
    "seed": (0, 2**31 - 1),
}
Options = Annotated[dict[str, Option], _OPTIONS_FLAG]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides what a run computes and what it writes."""

    variant: Variant = "sngan"
    """The GAN to train."""
    dataset: Dataset = "shapes"
    """The training images."""
    data_dir: str | None = None
    """Where the dataset is: an official archive or file, its unpacked folder, or a folder of images."""
    image_size: int = 32
    """Pixels per side: a multiple of 4, from 16 on."""
    channels: int = 3
    """Of the images: 3, or 1 for grey."""
    width: float = 1.0
    """Multiplies the channels of every hidden layer."""
    latent_dim: int = 128
    """Dimension of the generator's input."""
    loss: str | None = None
    """Adversarial loss; the variant's own if not given."""
    options: Options = dataclasses.field(default_factory=dict)
    """What only this variant has, as name=value: --dry-run lists it with its defaults."""
    num_classes: int | None = None
    """Classes of a conditional variant; counted in the data if not given."""
    steps: int | None = None
    """Generator updates to train for."""
    epochs: float | None = None
    """Passes of the discriminator over the training images, instead of --steps."""
    batch_size: int = 64
    """Images per update."""
    discriminator_steps: int = 1
    """Discriminator updates per generator update."""
    optimizer: Optimizer = "adam"
    """Optimizer of both networks."""
    generator_learning_rate: float = 2e-4
    """Rate for the generator."""
    discriminator_learning_rate: float = 2e-4
    """Rate for the discriminator."""
    beta_1: float = 0.5
    """Adam's decay of the first moment, both networks; RMSprop has none."""
    beta_2: float = 0.999
    """Decay of the second moment, both networks."""
    ema_decay: float = 0.999
    """Decay of the average of the generator's weights that samples and exports use; 0 for none."""
    flip: bool = False
    """Mirror half of the real images at random."""
    seed: int = 0
    """Seed of everything random: weights, noise, data order, samples."""
    mixed_precision: Literal["none", "bfloat16"] = "none"
    """Compute in bfloat16; weights, losses and averages stay float32."""
    distribute: Literal["none", "mirrored", "multiworker"] = "none"
    """Spread each batch over all devices of this machine, or over the workers that TF_CONFIG names."""
    jit_compile: bool = False
    """Compile the step with XLA: other random numbers, slower on a CPU."""
    deterministic: bool = True
    """On a GPU, use only kernels that repeat to the bit, which exact resuming needs; a CPU's always do."""
    log_every: int = 50
    """Steps between lines of log.jsonl."""
    sample_every: int = 500
    """Steps between sample grids."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    checkpoint_minutes: float = 10.0
    """Minutes between checkpoints, if the steps between them take longer; 0: by steps alone."""
    keep_checkpoints: int = 3
    """Newest checkpoints kept."""
    evaluate_every: int = 0
    """Steps between scores, by which the best checkpoint is kept too; 0: a score at the end only."""
    classifier: str = "auto"
    """Network that scores: 'inception', 'shapes', a file made by tfgan_suite.classifier, a SavedModel or .keras file
    with logits and pool_3, or 'none'; 'auto' scores shapes only."""
    num_images: int = 5000
    """Generated images per score."""

    def __post_init__(self) -> None:
        for name, (least, most) in _WHOLE_NUMBERS.items():
            value = getattr(self, name)
            _require(self, name, value is None or least <= value <= most, f"from {least:,} to {most:,}")
        _require(self, "channels", self.channels in (1, 3), "1 or 3")
        _require(self, "width", 0 < self.width <= _WIDEST, f"a positive number, at most {_WIDEST}")
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            _require(self, name, 0 < getattr(self, name) <= _LARGEST, f"a positive number, at most {_LARGEST:g}")
        for name in ("beta_1", "beta_2", "ema_decay"):
            _require(self, name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        _require(
            self,
            "epochs",
            self.epochs is None or 0 < self.epochs <= _MOST_EPOCHS,
            f"positive, at most {_MOST_EPOCHS:,}",
        )
        for name, value in self.options.items():
            if isinstance(value, int | float) and abs(value) > _LARGEST:
                raise UsageError(f"--options: {name[:80]} must be at most {_LARGEST:g}. Received: {str(value)[:80]}")
        for name in ("data_dir", "classifier"):
            _require(self, name, "\0" not in (getattr(self, name) or ""), "a path, without a zero byte")
        if self.steps is not None and self.epochs is not None:
            raise UsageError("--steps and --epochs say the same thing: give one of them")
        if self.jit_compile and self.distribute != "none":
            raise UsageError("--jit-compile works on one device: leave out --distribute or --jit-compile")
        _require(
            self, "checkpoint_minutes", 0 <= self.checkpoint_minutes <= _MOST_MINUTES, f"from 0 to {_MOST_MINUTES:,}"
        )

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def images_per_step(self) -> int:
        """Real images that one step shows to the discriminator."""
        return self.batch_size * self.discriminator_steps

    def images_seen(self, step: int) -> int:
        """Real images shown to the discriminator in the first `step` steps."""
        return step * self.images_per_step

    def steps_for(self, num_images: int) -> int:
        """Generator updates in all, if the training split has `num_images` images: the last epoch is a whole one.

        Raises:
            UsageError: if neither steps nor epochs are given.
        """
        if self.epochs is not None:
            return math.ceil(self.epochs * num_images / self.images_per_step)
        if self.steps is None:
            raise UsageError("--steps or --epochs must say how long to train")
        return self.steps

    def require_batch_of(self, num_images: int) -> None:
        """Raises UsageError if a batch has more images than the training split."""
        if self.batch_size > num_images:
            raise UsageError(
                f"--batch-size must be at most {num_images:,}, the training images of {self.dataset}. "
                f"Received: {self.batch_size:,}"
            )


def _require(config: Config, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise UsageError(f"--{name.replace('_', '-')} must be {rule}. Received: {str(getattr(config, name))[:80]}")


def differences(old: Config, new: Config) -> list[str]:
    """One line per field that differs, `name: old -> new`."""
    pairs = ((name, value, new.as_dict()[name]) for name, value in old.as_dict().items())
    return [f"{name}: {before} -> {after}" for name, before, after in pairs if before != after]


def load_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        UsageError: for an unreadable file, or anything but an object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} must be a readable JSON file of settings ({error})") from None
    if not isinstance(record, dict):
        raise UsageError(f"{path} must hold a JSON object of settings. Received: {type(record).__name__}")
    return record


def settings_in(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a configuration: `record` itself, or its entry `config`, as in a run's `config.json`."""
    return record["config"] if isinstance(record.get("config"), dict) else record


def read_json(path: Path, base: Config) -> Config:
    """`base` with the fields that the JSON object in `path` gives; a run's `config.json` is accepted too.

    Raises:
        UsageError: for an unreadable file, an unknown field or a value of the wrong type.
    """
    return replace(base, settings_in(load_json(path)), source=str(path))


def replace(base: Config, values: dict[str, Any], *, source: str) -> Config:
    """`base` with `values`, each checked against the type of its field."""
    fields = {field.name: field for field in dataclasses.fields(Config)}
    kinds = typing.get_type_hints(Config)
    for name, value in values.items():
        if name not in fields:
            close = difflib.get_close_matches(name, fields, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{source} has an unknown field {name!r}{hint}")
        if not _fits(value, kinds[name]):
            raise UsageError(f"{source}: {name} must be {fields[name].type}. Received: {repr(value)[:80]}")
    options = values.get("options", {})  # beside those of the base, if they are of the same variant
    same = values.get("variant", base.variant) == base.variant
    values = {**values, "options": {**base.options, **options} if same else options}
    given = [name for name in ("steps", "epochs") if values.get(name) is not None]
    if len(given) == 1:  # one takes the place of the other
        values = {"steps": None, "epochs": None, **values}
    return dataclasses.replace(base, **values)


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a JSON value fits the type of a field (the few kinds that `Config` uses)."""
    kind = typing.get_origin(annotation)
    if kind is Literal:
        return isinstance(value, str) and value in typing.get_args(annotation)
    if kind is dict:
        return isinstance(value, dict) and all(isinstance(option, Option) for option in value.values())
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(annotation))
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is annotation
