"""What is searched: named parameters with ranges or choices, on top of a preset. Plain Python, for `--help`.

A parameter is a field of `Config`, an option of the variant, or a name of its own whose choices are sets of settings.
A parameter with a condition exists only where the one it depends on has one of the named values.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data_tools.errors import UsageError
from tfgan_suite.runs import config
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.presets import PRESETS

Value = bool | int | float | str
Point = dict[str, Value]
Condition = tuple[str, tuple[Value, ...]]  # (a parameter, the values of it with which this one exists)


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; uniform in the logarithm if `log`, whole numbers if `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    when: Condition | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a range goes from a number to a larger one. Received: {self.low} to {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0. Received: {self.low}")
        if self.whole and (self.low != int(self.low) or self.high != int(self.high)):
            raise ValueError(f"a range of whole numbers has whole ends. Received: {self.low} to {self.high}")

    def at(self, fraction: float) -> Value:
        """The value that lies `fraction`, in [0, 1), of the way; whole numbers all have the same share."""
        low, high = self.low, self.high + self.whole
        if self.log:
            value = math.exp(math.log(low) + fraction * (math.log(high) - math.log(low)))
        else:
            value = low + fraction * (high - low)
        value = min(max(value, self.low), self.high)  # rounding may have left the range
        return int(value) if self.whole else value

    def holds(self, value: Value) -> bool:
        """Whether `value` lies within."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of `values`; where `settings` has an entry of the value, these settings go with it."""

    values: tuple[Value, ...]
    settings: Mapping[Value, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    when: Condition | None = None

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len(set(map(repr, self.values))) != len(self.values):
            raise ValueError(f"choices are two or more different values. Received: {list(self.values)}")

    def at(self, fraction: float) -> Value:
        """The value that lies `fraction`, in [0, 1), of the way."""
        return self.values[min(int(fraction * len(self.values)), len(self.values) - 1)]

    def holds(self, value: Value) -> bool:
        """Whether `value` is one of them."""
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in self.values)


Parameter = Range | Choice


@dataclasses.dataclass(frozen=True)
class Space:
    """Parameters on top of a preset.

    Args:
        about: what it asks, in one line.
        source: paper.
        base: name in `PRESETS`.
        fixed: settings on top of `base`, the same for all trials.
        parameters: by name; one that another depends on stands before it.
        default: the value of each parameter in the configuration that all are compared with; where a parameter has
            none, it is that of `base` and `fixed`.
        modules: the parameters that `confirm` sets back one at a time; all choices if empty.
    """

    about: str
    source: str
    base: str
    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    default: Point = dataclasses.field(default_factory=dict)
    modules: tuple[str, ...] = ()

    def active(self, point: Point) -> Point:
        """`point` without the parameters whose condition does not hold, in the order of the space."""
        kept: Point = {}
        for name, parameter in self.parameters.items():
            if parameter.when is None or kept.get(parameter.when[0]) in parameter.when[1]:
                kept[name] = point[name]
        return kept

    def settings(self, point: Point) -> dict[str, Any]:
        """The settings of a point, as `fit --config` takes them: fields of `Config`, the variant's options under
        `options`."""
        chosen: dict[str, Any] = {**PRESETS[self.base].config.as_dict(), "epochs": None}
        options = dict(chosen.pop("options"))
        for name, value in self._layers(point):
            if name == "options":
                options.update(value)
            elif name in _FIELDS:
                if name == "variant" and value != chosen["variant"]:
                    options = {}
                chosen[name] = value
            else:
                options[name] = value
        return {**chosen, "options": options}

    def _layers(self, point: Point) -> Iterable[tuple[str, Any]]:
        yield from self.fixed.items()
        for name, value in self.active(point).items():
            parameter = self.parameters[name]
            if isinstance(parameter, Choice) and parameter.settings:
                yield from parameter.settings[value].items()
            else:
                yield name, value

    def default_point(self) -> Point:
        """The configuration that all are compared with, as a point; parameters that it has no value for are left out.

        Raises:
            UsageError: for a value that lies outside the space.
        """
        base = PRESETS[self.base].config.as_dict()
        known = {**base, **base["options"], **self.fixed, **self.fixed.get("options", {}), **self.default}
        point: Point = {}
        for name, parameter in self.parameters.items():
            if parameter.when is not None and point.get(parameter.when[0]) not in parameter.when[1]:
                continue
            if name not in known:
                raise UsageError(f"the search space needs a default for {name}: give it under 'default'")
            if not parameter.holds(known[name]):
                raise UsageError(f"the default of {name} is outside of its range or choices. Received: {known[name]!r}")
            point[name] = known[name]
        return point

    def complete(self, point: Point) -> Point:
        """`point` with a value for the parameters that it leaves out, which have no effect in it."""
        return {name: point.get(name, parameter.at(0.0)) for name, parameter in self.parameters.items()}


_FIELDS = {field.name for field in dataclasses.fields(Config)}
_RATE = Range(1e-4, 4e-3, log=True)


def check_names(space: Space, options: Iterable[str]) -> None:
    """Raises UsageError for a parameter or setting that is neither of `Config` nor among a variant's `options`."""
    names = [*space.fixed, *space.fixed.get("options", {})]
    for name, parameter in space.parameters.items():
        settings = parameter.settings if isinstance(parameter, Choice) else {}
        if not settings:
            names.append(name)
        elif "variant" not in {inner for chosen in settings.values() for inner in chosen}:
            names += [inner for chosen in settings.values() for inner in chosen]
    known = [*sorted(_FIELDS), *sorted(options)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"{name} is no setting and no option of the variant: {hint}")


def read(path: Path) -> Space:
    """A space from a JSON file.

    Its keys are `about`, `base` (a preset), `fixed` (settings), `default` (a point), `modules`, and `parameters`: name
    to `{"low": 1, "high": 9, "log": false, "whole": true}`, to `{"choices": [...]}` or to
    `{"settings": {"A": {"beta_1": 0.5}, ...}}`; each may have `"when": {"other": [values]}`.

    Raises:
        UsageError: saying which entry came and what was expected.
    """
    return from_record({"about": path.stem, "source": path.name, **config.load_json(path)}, str(path))


def from_record(record: dict[str, Any], path: str) -> Space:
    """A space from what `as_record` gives or a file holds; `path` is for the messages.

    Raises:
        UsageError: as `read`.
    """
    known = ("about", "source", "base", "fixed", "default", "modules", "parameters")
    _require_known(record, known, path)
    base = record.get("base", "quickstart")
    if base not in PRESETS:
        near = difflib.get_close_matches(str(base), PRESETS, 1)
        raise UsageError(f"{path}: 'base' must be a preset{_or(near)}. Received: {base!r}")
    entries = record.get("parameters")
    if not isinstance(entries, dict) or not entries:
        raise UsageError(f"{path}: 'parameters' must name one parameter or more. Received: {entries!r}")
    for key, kind in (("fixed", dict), ("default", dict), ("modules", list), ("about", str)):
        if not isinstance(record.get(key, kind()), kind):
            raise UsageError(f"{path}: {key!r} must be {_KINDS[kind]}. Received: {record[key]!r}")
    parameters: dict[str, Parameter] = {}
    for name, entry in entries.items():
        parameters[name] = _parameter(name, entry, parameters, f"{path}: {name}")
    for name in record.get("modules", ()):
        if name not in parameters:
            raise UsageError(f"{path}: 'modules' must be parameters{_or(_near(name, parameters))}. Received: {name!r}")
    _require_known(record.get("default", {}), tuple(parameters), f"{path}: 'default'")
    return Space(
        about=str(record.get("about", "")),
        source=str(record.get("source", "")),
        base=base,
        parameters=parameters,
        fixed=record.get("fixed", {}),
        default=record.get("default", {}),
        modules=tuple(record.get("modules", ())),
    )


_KINDS = {dict: "an object", list: "a list", str: "a text"}


def _parameter(name: str, entry: Any, before: Mapping[str, Parameter], place: str) -> Parameter:
    if not isinstance(entry, dict):
        raise UsageError(f"{place} must be an object with low and high, or choices. Received: {entry!r}")
    _require_known(entry, ("low", "high", "log", "whole", "choices", "settings", "when"), place)
    when = _condition(entry.get("when"), before, place)
    try:
        if "settings" in entry:
            chosen = entry["settings"]
            if not isinstance(chosen, dict) or not all(isinstance(one, dict) for one in chosen.values()):
                raise ValueError(f"settings must be an object of objects. Received: {chosen!r}")
            return Choice(tuple(chosen), chosen, when)
        if "choices" in entry:
            if not isinstance(entry["choices"], list) or not all(isinstance(one, Value) for one in entry["choices"]):
                raise ValueError(f"choices must be a list of numbers, texts, true and false: {entry['choices']!r}")
            return Choice(tuple(entry["choices"]), when=when)
        low, high = _end(entry, "low"), _end(entry, "high")
        for flag in ("log", "whole"):
            if not isinstance(entry.get(flag, False), bool):
                raise ValueError(f"{flag} must be true or false. Received: {entry[flag]!r}")
        return Range(low, high, entry.get("log", False), entry.get("whole", False), when)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None


def _end(entry: Mapping[str, Any], name: str) -> float:
    value = entry.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"low and high must be numbers. Received: {name}={value!r}")
    return value


def _condition(entry: Any, before: Mapping[str, Parameter], place: str) -> Condition | None:
    if entry is None:
        return None
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UsageError(f"{place}: 'when' must name one parameter and its values. Received: {entry!r}")
    ((name, values),) = entry.items()
    if name not in before:
        raise UsageError(f"{place}: 'when' must name a parameter that stands before{_or(_near(name, before))}. "
                         f"Received: {name!r}")  # fmt: skip
    values = values if isinstance(values, list) else [values]
    if not all(before[name].holds(value) for value in values):
        raise UsageError(f"{place}: 'when' asks {name} for what it never is. Received: {values!r}")
    return name, tuple(values)


def _near(name: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(str(name), list(known), 1)


def _or(near: list[str]) -> str:
    return f" (did you mean {near[0]}?)" if near else ""


def _require_known(record: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for name in record:
        if name not in known:
            raise UsageError(f"{place} has no {name!r}{_or(_near(name, known))}: it takes {', '.join(known)}")


def as_record(space: Space) -> dict[str, Any]:
    """What `read` reads, for the report and for joining a study from elsewhere."""
    parameters: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        if isinstance(parameter, Range):
            entry: dict[str, Any] = {
                "low": parameter.low, "high": parameter.high, "log": parameter.log, "whole": parameter.whole,
            }  # fmt: skip
        elif parameter.settings:
            entry = {"settings": {str(value): dict(chosen) for value, chosen in parameter.settings.items()}}
        else:
            entry = {"choices": list(parameter.values)}
        if parameter.when is not None:
            entry["when"] = {parameter.when[0]: list(parameter.when[1])}
        parameters[name] = entry
    return {
        "about": space.about,
        "source": space.source,
        "base": space.base,
        "fixed": dict(space.fixed),
        "default": dict(space.default),
        "modules": list(space.modules),
        "parameters": parameters,
    }


_FENG_SETTINGS: dict[Value, Mapping[str, Any]] = {
    "A": {"generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3, "beta_1": 0.5, "beta_2": 0.9},
    "B": {"generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3, "beta_1": 0.5, "beta_2": 0.999},
    "C": {"generator_learning_rate": 2e-3, "discriminator_learning_rate": 2e-3, "beta_1": 0.5, "beta_2": 0.999},
}
_FENG_METHODS: dict[Value, Mapping[str, Any]] = {
    "sngan": {"variant": "sngan", "options": {"spectral_generator": True}},
    "batch_norm": {"variant": "sngan", "options": {"normalization": "batch"}},
    "layer_norm": {"variant": "sngan", "options": {"normalization": "layer"}},
    "wgan_gp": {"variant": "wgan_gp"},
    "lsgan": {"variant": "lsgan"},
    "began": {"variant": "began"},
    "ebgan": {"variant": "ebgan"},
}
_RATES = (1e-4, 2e-4, 3e-4)

SPACES = {
    "conditional": Space(
        about="which ways to feed the class, and which other modules, help a conditional GAN",
        source="Dogan, Qualitative Assessment of GAN Architectures for Image Generation (2021), section III-B",
        base="cgan",
        parameters={
            "generator_conditioning": Choice(("concat", "hidden_concat", "cbn_embedding", "cbn_linear")),
            "generator_concat_layer": Range(0, 3, whole=True, when=("generator_conditioning", ("hidden_concat",))),
            "discriminator_conditioning": Choice(("concat", "hidden_concat", "projection", "auxiliary")),
            "discriminator_concat_layer": Range(
                1, 3, whole=True, when=("discriminator_conditioning", ("hidden_concat",))
            ),
            "embedding_dim": Range(8, 256, log=True, whole=True),
            "normalization": Choice(("none", "spectral")),
            "spectral_generator": Choice((False, True)),
            "attention": Choice((False, True)),
            "latent_dim": Range(50, 300, whole=True),
            "kernel_size": Choice((3, 4, 5)),
            "slope": Range(0.0, 0.3),
            "base_channels": Range(10, 512, log=True, whole=True),
            "generator_learning_rate": _RATE,
            "discriminator_learning_rate": _RATE,
            "beta_1": Choice((0.0, 0.5)),
            "beta_2": Choice((0.9, 0.999)),
            "discriminator_steps": Choice((1, 2)),
        },
        default={
            "generator_conditioning": "concat",
            "discriminator_conditioning": "concat",
            "embedding_dim": 32,
            "normalization": "none",
            "spectral_generator": False,
            "attention": False,
            "latent_dim": 128,
            "kernel_size": 4,
            "slope": 0.2,
            "base_channels": 512,
            "generator_learning_rate": 1e-3,
            "discriminator_learning_rate": 1e-3,
            "beta_1": 0.0,
            "beta_2": 0.9,
            "discriminator_steps": 1,
        },
        modules=(
            "generator_conditioning",
            "discriminator_conditioning",
            "embedding_dim",
            "normalization",
            "spectral_generator",
            "attention",
        ),
    ),  # fmt: skip
    "abc": Space(
        about="seven methods, each with three settings of Adam",
        source="Feng et al., ICLR Reproducibility of SNGAN, section 4",
        base="sngan",
        fixed={"image_size": 28},
        parameters={
            "method": Choice(tuple(_FENG_METHODS), _FENG_METHODS),
            "setting": Choice(tuple(_FENG_SETTINGS), _FENG_SETTINGS),
        },
        default={"method": "sngan", "setting": "B"},
    ),
    "acgan": Space(
        about="27 points: both rates of AC-GAN and the dropout of its discriminator",
        source="Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs (2017), appendix",
        base="acgan",
        parameters={
            "generator_learning_rate": Choice(_RATES),
            "discriminator_learning_rate": Choice(_RATES),
            "dropout": Choice((0.2, 0.35, 0.5)),
        },
        default={"dropout": 0.5},
    ),
    "rates": Space(
        about="rates, decays and update ratio of any variant: --base names its preset",
        source="Lucic et al., Are GANs Created Equal? (2018), section 5",
        base="sngan",
        parameters={
            "generator_learning_rate": Range(1e-5, 1e-2, log=True),
            "discriminator_learning_rate": Range(1e-5, 1e-2, log=True),
            "beta_1": Choice((0.0, 0.5, 0.9)),
            "beta_2": Choice((0.9, 0.99, 0.999)),
            "discriminator_steps": Choice((1, 2, 3, 5)),
        },
    ),
}
