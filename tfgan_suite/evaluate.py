"""Score images, every number with its whole protocol.

    python -m tfgan_suite.evaluate results/runs/0001-sngan-shapes-seed0
    python -m tfgan_suite.evaluate cifar10:train --classifier inception --splits 10

SOURCE is a run folder, a SavedModel, a folder of pictures, an `.npz`, or `dataset:split`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tfgan_suite import cli, files
from tfgan_suite.errors import SuiteError, UsageError

if TYPE_CHECKING:
    from tfgan_suite.open_source import Options
    from tfgan_suite.reference import Reference
    from tfgan_suite.scoring_network import ScoringNetwork
    from tfgan_suite.sources import Source

PROG = "python -m tfgan_suite.evaluate"
_INCEPTION_IMAGES, _OTHER_IMAGES = 50_000, 5_000  # of a generator, if --num-images does not say
MetricName = Literal[
    "score", "frechet", "kernel", "precision_recall", "density_coverage", "per_class", "classes", "ms_ssim",
    "sliced_wasserstein", "memorisation",
]  # fmt: skip


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
    resize: Literal["auto", "tf1", "clean", "bilinear", "none"] = "auto"
    """How images get the network's size; auto is TF-GAN's own rule (tf1) for Inception, clean is clean-fid's."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the network computes in."""
    kernel_protocol: Literal["subsets", "blocks"] = "subsets"
    """Of the kernel distance: 100 subsets of 1,000 images, or TF-GAN's blocks."""
    tfgan: bool = True
    """With Inception, also what TF-GAN's own functions say; keeps all outputs in memory, 12 kB for an image."""
    weights: Literal["ema", "raw"] = "ema"
    """Of a run: averaged weights, or those of the last step."""
    checkpoint: str = "newest"
    """Of a run: newest, best (on the selection split), or a step."""
    latent_seed: int = 1_000_003
    """Of a generator's latents."""
    shuffle_seed: int | None = 0
    """Of the order of stored images, on which the splits depend; None keeps their order."""
    values: Literal["tanh", "sigmoid", "bytes"] = "tanh"
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
    arguments = cli.parse(Arguments, argv, prog=PROG)
    cli.load_tensorflow()
    from data_tools.progress import counting
    from tfgan_suite import evaluation, open_source, reference, scoring_network
    from tfgan_suite.measures import METRICS, Protocol

    options = open_source.Options(
        weights=arguments.weights,
        checkpoint=arguments.checkpoint,
        data_dir=arguments.data_dir,
        image_size=arguments.image_size,
        shuffle_seed=arguments.shuffle_seed,
        latent_seed=arguments.latent_seed,
        values=arguments.values,
        report=cli.report,
    )
    for name in ("shuffle_seed", "latent_seed"):
        seed = getattr(arguments, name)
        if seed is not None and not 0 <= seed < 2**31:
            raise UsageError(f"--{name.replace('_', '-')} must be from 0 to 2147483647. Received: {seed}")
    path = Path(arguments.source)
    run = _settings_of_run(path) if open_source.is_run(path) else None
    output = _output(arguments, path if run is not None else Path())
    source = open_source.open_source(arguments.source, options)
    _refuse_idle(arguments, source, run)
    network = scoring_network.load(
        _classifier(arguments, run), resize=arguments.resize, inception=arguments.inception, dtype=arguments.dtype
    )
    of_step = "" if source.record["step"] is None else f", step {source.record['step']:,}, {arguments.weights} weights"
    cli.report(f"{source.name}{of_step}; {network.name} {network.fingerprint[:12]}, {network.resize}, {network.values}")
    metrics = _metrics(arguments, run)
    measured = tuple(name for name in metrics if name != "memorisation")
    if "memorisation" in metrics:
        training = _opened(arguments.training or _own(run, "train"), source, _for_run(options, run), "--training")
    wanted = Protocol(
        _num_images(arguments, source, network),
        measured,
        arguments.splits,
        arguments.kernel_protocol,
        tfgan=arguments.tfgan,
    )
    source.require(wanted.num_images)
    needs = evaluation.needs_of(measured, network, pictures="memorisation" in metrics, tfgan=arguments.tfgan)
    real = None
    if arguments.reference is not None or any(METRICS[name].compares or name == "classes" for name in measured):
        real = _reference(arguments, run, source, _for_run(options, run), network, needs)
    if arguments.save_reference is not None:
        if real is None:
            raise UsageError("--save-reference needs --reference")
        reference.save(real, network, arguments.save_reference)
    with counting(f"scoring {source.name}", wanted.num_images) as advance:
        lines, generated, common = evaluation.evaluate(
            source, network, real, wanted, needs=needs, advance=advance, report=cli.report
        )
    if "memorisation" in metrics:
        from tfgan_suite import memorisation

        with counting(f"features of {training.name}", training.size or 0) as advance:
            value, about = memorisation.check(
                generated.kept("images"), training, network, output.with_suffix(".neighbours.png"), advance
            )
        result = {**evaluation.ALONE, "metric": "authenticity", "value": value, "parameters": about}
        lines.append(evaluation.line(result, common))
    if arguments.output is None:
        for line in lines:
            files.append_json_line(output, line)
    else:
        files.replace_text(output, json.dumps(lines, indent=2) + "\n")
    show(lines)
    print(f"{'scores':40}{output}")


def show(lines: list[dict[str, Any]]) -> None:
    """The scores as a table."""
    for line in lines:
        text = f"{line['metric']:40}{line['value']:.4f}"
        if line["spread"] is not None:
            text += f" +- {line['spread']:.4f} ({line['spread_is']})"
        if line["at_half"] is not None:
            text += f"   at N/2 {line['at_half']:.4f}, extrapolated {line['extrapolated']:.4f}"
        print(text)


def _output(arguments: Arguments, folder: Path) -> Path:
    """Where the scores go; refused now rather than after an hour if nothing can be written there."""
    output = arguments.output or folder / "evaluation.jsonl"
    with files.writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.is_dir() or not os.access(output.parent, os.W_OK):
            raise UsageError(f"--output must be a file that can be written. Received: {output}")
    return output


def _refuse_idle(arguments: Arguments, source: Source, run: Any) -> None:
    """Refuse options that would do nothing for this kind of source."""
    if run is not None:
        idle: tuple[str, ...] = ("image_size", "values")
    elif source.size is None:
        idle = ("weights", "checkpoint", "image_size")
    else:
        idle = ("weights", "checkpoint", "latent_seed")
    blank = Arguments(source="")
    given = [f"--{name.replace('_', '-')}" for name in idle if getattr(arguments, name) != getattr(blank, name)]
    if given:
        raise UsageError(f"{', '.join(given)} would do nothing for {source.name}: leave it out")


def _for_run(options: Options, run: Any) -> Options:
    """The options with which a run's own dataset is opened."""
    if run is None or not run.data_dir or options.data_dir is not None:
        return options
    return dataclasses.replace(options, data_dir=Path(run.data_dir), data_dir_of=run.dataset)


def _settings_of_run(path: Path) -> Any:
    from tfgan_suite.run_folder import RunFolder

    return RunFolder(path).read_config()[0]


def _classifier(arguments: Arguments, run: Any) -> str:
    if arguments.classifier != "auto":
        return arguments.classifier
    if arguments.inception is not None:
        return "inception"
    if run is not None and run.classifier not in ("auto", "none"):
        return run.classifier
    dataset = run.dataset if run is not None else arguments.source.partition(":")[0]
    return "shapes" if dataset == "shapes" else "inception"


def _metrics(arguments: Arguments, run: Any) -> tuple[str, ...]:
    compared = arguments.reference is not None or run is not None
    chosen: tuple[str, ...] = arguments.metrics
    if not chosen:
        chosen = ("score", "frechet", "classes") if compared else ("score", "classes")
    if arguments.per_class:
        chosen += ("per_class",)
    return tuple(dict.fromkeys(chosen))


def _num_images(arguments: Arguments, source: Source, network: ScoringNetwork) -> int:
    if arguments.num_images is not None:
        return arguments.num_images
    if source.size is not None:
        return source.size
    return _INCEPTION_IMAGES if network.is_inception else _OTHER_IMAGES


def _own(run: Any, split: str) -> str | None:
    return None if run is None else f"{run.dataset}:{split}"


def _opened(text: str | None, source: Source, options: Options, flag: str) -> Source:
    """A finite source of images, made the size of those that are scored."""
    from tfgan_suite.open_source import open_source

    if text is None:
        raise UsageError(f"memorisation compares with the training images: give {flag} dataset:split")
    opened = open_source(text, dataclasses.replace(options, image_size=source.image_size))
    if opened.size is None:
        raise UsageError(f"{flag} must be a finite set of images, not a generator. Received: {text}")
    return opened


def _reference(
    arguments: Arguments, run: Any, source: Source, options: Options, network: ScoringNetwork, needs: Any
) -> Reference | None:
    from data_tools.images import NoSplitError
    from tfgan_suite import reference

    given = arguments.reference
    if given is None and run is None:
        return None
    if given is not None and reference.is_statistics(Path(given)):
        return reference.read(Path(given), network)
    try:
        opened = _opened(given or _own(run, "test"), source, options, "--reference")
    except NoSplitError:
        if given is not None:
            raise
        opened = _opened(_own(run, "train"), source, options, "--reference")
    if opened.image_size != source.image_size:
        raise SuiteError(
            f"{opened.name} has images of {opened.image_size} pixels, {source.name} of {source.image_size}: "
            f"give --image-size"
        )
    return reference.reference_of(opened, network, needs)


if __name__ == "__main__":
    sys.exit(cli.run(main))
