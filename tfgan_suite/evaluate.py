"""Score images, every number with its whole protocol.

    python -m tfgan_suite.evaluate results/runs/0001-sngan-shapes-seed0
    python -m tfgan_suite.evaluate cifar10:train --classifier inception --splits 10

SOURCE is a run folder, a SavedModel, a folder of pictures, an `.npz`, or `dataset:split`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from data_tools import command, files
from data_tools.errors import UsageError
from data_tools.progress import counting
from tfgan_suite.console.quiet_tensorflow import load_tensorflow
from tfgan_suite.images.pixels import RANGES
from tfgan_suite.images.sources import LATENT_SEED
from tfgan_suite.networks.input_rules import DTYPES, RESIZES
from tfgan_suite.runs import opening
from tfgan_suite.runs.config import MOST_IMAGES
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.scores.metrics import DEFAULT, KERNEL_PROTOCOLS, METRICS

PROG = "python -m tfgan_suite.evaluate"
_LESS_MEMORY = "lower --num-images, give --no-tfgan, which keeps no outputs, or fewer --metrics"
_INCEPTION_IMAGES, _OTHER_IMAGES = 50_000, 5_000  # of a generator, if --num-images does not say
if TYPE_CHECKING:
    from tfgan_suite.images.named_sources import Options
    from tfgan_suite.images.sources import Source
    from tfgan_suite.networks.scoring_network import ScoringNetwork
    from tfgan_suite.runs.config import Config
    from tfgan_suite.scores.metrics import Request

    MetricName = str
    ResizeRule = str
    Values = str
    Dtype = str
    KernelProtocol = str
    Weights = str
else:
    MetricName = Literal[tuple(METRICS)]
    ResizeRule = Literal["auto", *RESIZES, "none"]
    Values = Literal[tuple(RANGES)]
    Dtype = Literal[DTYPES]
    KernelProtocol = Literal[tuple(KERNEL_PROTOCOLS)]
    Weights = Literal[tuple(opening.WEIGHTS)]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Score a run folder, a SavedModel, a folder of pictures, an .npz file or dataset:split.

    Examples:
      python -m tfgan_suite.evaluate results/runs/0001-sngan-shapes-seed0
      python -m tfgan_suite.evaluate RUN --classifier inception --reference cifar10:train --num-images 50000
      python -m tfgan_suite.evaluate cifar10:train --classifier inception --splits 10
      python -m tfgan_suite.evaluate pictures --reference shapes:test --metrics score frechet kernel
    """

    source: Annotated[str, tyro.conf.Positional]
    """A run folder, a SavedModel, a folder of pictures, an .npz file, or dataset:split."""
    reference: str | None = None
    """What to compare with: dataset:split, a folder of pictures, or an .npz of pictures or of mu and sigma. Of a run,
    the test split of its dataset, or its training split if it has no other."""
    num_images: int | None = None
    """Score exactly so many; by default all there are, of a generator 50,000 for Inception and 5,000 for others."""
    splits: int = 10
    """Parts of the images that the classifier score is the mean of."""
    metrics: tuple[MetricName, ...] = ()
    """What to measure; by default score and classes, and frechet if there is a reference."""
    per_class: bool = False
    """Also the Frechet distance of each class and their mean."""
    classifier: str = "auto"
    """inception, shapes, an .npz of tfgan_suite.classifier, a .keras file or a SavedModel with logits and/or pool_3;
    auto: that of the run, shapes for shapes, else inception."""
    inception: Path | None = None
    """Folder or archive of TF-GAN's Inception module, instead of the downloaded one."""
    resize: ResizeRule = "auto"
    """How images get the network's size; auto is TF-GAN's own rule (tf1) for Inception, clean is clean-fid's."""
    dtype: Dtype = "float32"
    """What the network computes in."""
    kernel_protocol: KernelProtocol = "subsets"
    """Of the kernel distance: 100 subsets of 1,000 images, the same as torch-fidelity draws them (with --shuffle-seed
    None), or TF-GAN's blocks."""
    tfgan: bool = True
    """With Inception, also what TF-GAN's own functions say; keeps all outputs in memory, 12 kB for an image."""
    weights: Weights = "ema"
    """Of a run: averaged weights, or those of the last step."""
    checkpoint: str = opening.NEWEST
    """Of a run: newest, best (on the selection split), or a step."""
    latent_seed: int = LATENT_SEED
    """Of a generator's latents."""
    shuffle_seed: int | None = 0
    """Of the order of stored images, on which the splits of the score depend; None keeps their order."""
    values: Values = "tanh"
    """What floating-point pixels of SOURCE range over: [-1, 1], [0, 1] or [0, 255]."""
    image_size: int | None = None
    """Cut and resize stored pictures to this size; datasets are 32 pixels without it."""
    data_dir: Path | None = None
    """Where a dataset's files are."""
    training: str | None = None
    """For memorisation: the training images, dataset:split; of a run its own."""
    save_reference: Path | None = None
    """Write the reference's mean and covariance as mu and sigma to this .npz."""
    output: Path | None = None
    """JSON file for the scores; by default they are appended to evaluation.jsonl in the run folder, or here."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    arguments = command.parse(Arguments, argv, prog=PROG)
    for name in ("shuffle_seed", "latent_seed"):
        seed = getattr(arguments, name)
        if seed is not None and not 0 <= seed < 2**31:
            raise UsageError(f"--{name.replace('_', '-')} must be from 0 to 2147483647. Received: {str(seed)[:80]}")
    for name in ("num_images", "splits"):
        number = getattr(arguments, name)
        if number is not None and not 1 <= number <= MOST_IMAGES:
            raise UsageError(
                f"--{name.replace('_', '-')} must be from 1 to {MOST_IMAGES:,}. Received: {str(number)[:80]}"
            )
    load_tensorflow()
    with command.fitting(_LESS_MEMORY):
        measure(arguments)


def measure(arguments: Arguments) -> None:
    """Open what is named, score it, and write and show the scores."""
    from tfgan_suite.images import named_sources
    from tfgan_suite.scores import references, yardstick
    from tfgan_suite.scores.metrics import needs_of
    from tfgan_suite.scores.scoring import score

    path = Path(arguments.source)
    run = RunFolder(path).read_config()[0] if opening.is_run(path) else None
    output = _output(arguments, RunFolder(path if run is not None else Path()).evaluation)
    options = _options(arguments)
    source = named_sources.open_source(arguments.source, options)
    _refuse_idle(arguments, source, run)
    classifier = _classifier(arguments, run)
    network = yardstick.network_for(
        classifier,
        run.dataset if run is not None else arguments.source.partition(":")[0],
        otherwise="inception",
        inception=arguments.inception,
        resize=arguments.resize,
        dtype=arguments.dtype,
    )
    if network is None:
        raise UsageError("--classifier none scores nothing: leave it out, or give inception, shapes or a file")
    if classifier != arguments.classifier:
        yardstick.require_recorded(network, classifier, RunFolder(path))
    of_step = "" if source.record["step"] is None else f", step {source.record['step']:,}, {arguments.weights} weights"
    command.report(
        f"{source.name}{of_step}; {network.name} {network.fingerprint[:12]}, {network.resize}, {network.values}"
    )
    beside = yardstick.options_for(run, options) if run is not None else options
    beside = dataclasses.replace(beside, image_size=source.image_size)
    request = _request(arguments, run, source, network, beside, output)
    _refuse_before(arguments, source, run, network, request)
    needs = needs_of(request, network, source.class_names)
    reference = None
    if arguments.reference is not None:
        with _said_of("--reference"):
            reference = yardstick.reference_to(arguments.reference, network, needs, beside)
    elif run is not None and any(METRICS[name].compares or METRICS[name].may_compare for name in request.metrics):
        reference = yardstick.own_reference(run, network, needs, beside)
    if arguments.save_reference is not None and reference is not None:
        references.save(reference, network, arguments.save_reference)
    with counting(f"scoring {source.name}", request.num_images) as advance:
        lines = score(source, network, reference, request, advance=advance, report=command.report)
    if arguments.output is None:
        for line in lines:
            files.append_json_line(output, line)
    else:
        files.replace_text(output, json.dumps(lines, indent=2) + "\n")
    show(lines)
    print(f"{'scores':40}{output}")


def show(lines: list[dict[str, Any]]) -> None:
    """The scores as a table."""
    from tfgan_suite.scores.scoring import about_extrapolation

    for line in lines:
        text = f"{line['metric']:40}{line['value']:.4f}"
        if line["spread"] is not None:
            text += f" +- {line['spread']:.4f} ({line['spread_is']})"
        text += _error(line["error"])
        if line["at_half"] is not None:
            text += f"   at N/2 {line['at_half']:.4f}{_error(line['at_half_error'])}"
            text += f", extrapolated {line['extrapolated']:.4f}{_error(line['extrapolated_error'])}"
            text += "".join(f" ({words})" for words in [about_extrapolation(line)] if words)
        print(text)


def _error(error: float | None) -> str:
    return "" if error is None else f", error {error:.4f}"


def _output(arguments: Arguments, otherwise: Path) -> Path:
    """Where the scores go; refused now rather than after an hour if nothing can be written there."""
    output = arguments.output or otherwise
    for flag, path in (("--output", output), ("--save-reference", arguments.save_reference)):
        if path is not None:
            _refuse_unwritable(flag, path)
    return output


def _refuse_unwritable(flag: str, path: Path) -> None:
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() or not os.access(path.parent, os.W_OK):
            raise UsageError(f"{flag} must be a file that can be written. Received: {path}")


def _options(arguments: Arguments) -> Options:
    """The flags that say how sources are opened."""
    from tfgan_suite.images.named_sources import Options

    named = {field.name for field in dataclasses.fields(Options)} & {
        field.name for field in dataclasses.fields(Arguments)
    }
    return Options(**{name: getattr(arguments, name) for name in named}, report=command.report)


def _request(
    arguments: Arguments, run: Config | None, source: Source, network: ScoringNetwork, options: Options, output: Path
) -> Request:
    """What is measured; refused now if there are too few images, or no training images for memorisation."""
    from tfgan_suite.scores.metrics import Request
    from tfgan_suite.scores.yardstick import finite_source

    metrics, training = _metrics(arguments, run), None
    if "memorisation" in metrics:
        named = arguments.training or (f"{run.dataset}:train" if run is not None else None)
        if named is None:
            raise UsageError("memorisation compares with the training images: give --training dataset:split")
        with _said_of("--training"):
            training = finite_source(named, options, "--training")
    request = Request(
        _num_images(arguments, source, network),
        metrics,
        arguments.splits,
        arguments.kernel_protocol,
        tfgan=arguments.tfgan,
        training=training,
        picture=output.with_suffix(".neighbours.png"),
    )
    source.refuse_misfits()
    return request


@contextlib.contextmanager
def _said_of(flag: str) -> Iterator[None]:
    """What is said of a source that cannot be opened inside is said of this flag's."""
    try:
        yield
    except UsageError as error:
        raise UsageError(str(error).replace("SOURCE", flag)) from None


def _refuse_before(
    arguments: Arguments, source: Source, run: Config | None, network: ScoringNetwork, request: Request
) -> None:
    """Refuse before the pass over the reference what needs none."""
    from tfgan_suite.scores.metrics import check_source

    check_source(source, network, request)
    if arguments.save_reference is None:
        return
    if arguments.reference is None and run is None:
        raise UsageError("--save-reference needs --reference")
    if "pool_3" not in network.outputs:
        raise UsageError(f"--save-reference writes moments of features, which {network.name} does not give (pool_3)")


def _refuse_idle(arguments: Arguments, source: Source, run: Config | None) -> None:
    """Refuse options that would do nothing for this kind of source."""
    if run is not None:
        idle: tuple[str, ...] = ("image_size", "values")
    elif source.size is None:
        idle = ("weights", "checkpoint", "image_size")
    else:
        idle = ("weights", "checkpoint", "latent_seed")
    if arguments.training is not None and "memorisation" not in arguments.metrics:
        raise UsageError(
            "--training is for --metrics memorisation, which was not asked for: leave it out, or ask for it"
        )
    blank = Arguments(source="")
    given = [f"--{name.replace('_', '-')}" for name in idle if getattr(arguments, name) != getattr(blank, name)]
    if given:
        raise UsageError(f"{', '.join(given)} would do nothing for {source.name}: leave it out")


def _classifier(arguments: Arguments, run: Config | None) -> str:
    """That of the command, or else of the run, if it may be taken from there."""
    from tfgan_suite.scores import yardstick

    blank, own = Arguments(source="").classifier, None if run is None else run.classifier
    if arguments.classifier != blank or arguments.inception is not None or own in (None, "none"):
        return arguments.classifier
    yardstick.require_data(own, Path(arguments.source))
    return own


def _metrics(arguments: Arguments, run: Config | None) -> tuple[str, ...]:
    compared = arguments.reference is not None or run is not None
    chosen: tuple[str, ...] = arguments.metrics
    if not chosen:
        chosen = tuple(name for name in DEFAULT if compared or not METRICS[name].compares)
    if arguments.per_class:
        chosen += ("per_class",)
    return tuple(dict.fromkeys(chosen))


def _num_images(arguments: Arguments, source: Source, network: ScoringNetwork) -> int:
    if arguments.num_images is not None:
        return arguments.num_images
    if source.size is not None:
        return source.size
    return _INCEPTION_IMAGES if network.is_inception else _OTHER_IMAGES


if __name__ == "__main__":
    sys.exit(command.run(main))
