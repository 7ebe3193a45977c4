"""Scores while a run is trained, and the checkpoint that is best by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_tools
from data_tools import files
from data_tools.command import report
from data_tools.errors import NoSplitError, SuiteError, UsageError
from tfgan_suite.images.named_sources import Options, trained
from tfgan_suite.images.sampler import Sampler
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.scores import yardstick
from tfgan_suite.scores.metrics import Request
from tfgan_suite.scores.protocol import is_selection
from tfgan_suite.scores.scoring import needs_of, score

if TYPE_CHECKING:
    from models_zoo.gan import GAN


def scorer(
    settings: Config, gan: GAN, class_names: tuple[str, ...], resume: Path | None = None
) -> Callable[[RunFolder, int], None] | None:
    """A function that scores the averaged generator into `metrics.jsonl`, or None without a classifier.

    It compares with the test split, or with the training split of data that have no other: that is what is reported.
    Where scores are taken on the way, it also measures the distance to the selection split, and the checkpoint with the
    smallest is kept as `checkpoints/best.npz`; so no checkpoint is chosen by the images that it is judged by, but for
    data with a training split alone, where a line says so.

    Args:
        resume: the run that goes on, if one does; its scores must be by the same network.

    Raises:
        UsageError: for a network that cannot serve, or none where scores are to be taken on the way.
    """
    network = yardstick.network_for(settings.classifier, settings.dataset, otherwise=yardstick.NO_NETWORK)
    if network is None:
        if settings.evaluate_every:
            raise UsageError(
                f"--evaluate-every needs a network that scores {settings.dataset}: give --classifier a file made by "
                "python -m tfgan_suite.classifier, or 'inception'"
            )
        return None
    if resume is not None:
        yardstick.require_recorded(network, settings.classifier, RunFolder(resume))
    if "pool_3" not in network.outputs or "logits" not in network.outputs:
        raise UsageError(
            f"--classifier must have logits and features (pool_3). "
            f"Received: {settings.classifier} with {', '.join(network.outputs)}"
        )
    request = Request(settings.num_images, splits=1)
    needs = needs_of(request, network)
    options = yardstick.options_for(settings, Options(shuffle_seed=None, report=report))
    reported = yardstick.own_reference(settings, network, needs, options)
    selection = None
    if settings.evaluate_every:
        if reported.name == f"{settings.dataset}:train":
            _say_if_not_apart(settings)
        selection = yardstick.reference_to(f"{settings.dataset}:selection", network, needs, options)
    for real in (reported, selection):
        if real is not None and (real.num_images or 0) < 2:
            raise UsageError(f"a score needs 2 real images or more. Received: {real.num_images} of {real.name}")
    sampler = Sampler(gan.ema_generator, gan.num_classes)

    def measure(run: RunFolder, step: int) -> None:
        # not at the end of a part of an interval
        choosing = selection if settings.evaluate_every and step % settings.evaluate_every == 0 else None
        source = trained(sampler, settings, step, name=str(run.path), class_names=class_names)
        try:
            lines = score(source, network, reported, request, selection=choosing)
        except SuiteError as error:  # a generator that cannot be scored now may recover: its training goes on
            report(f"note: no score at step {step:,}: {error}")
            return
        if choosing is not None:
            _keep_if_best(run, gan, lines[-1])
        for line in lines:
            files.append_json_line(run.metrics, line)

    return measure


def _say_if_not_apart(settings: Config) -> None:
    form: dict[str, Any] = {"image_size": settings.image_size, "channels": settings.channels}
    try:
        data_dir = None if settings.data_dir is None else Path(settings.data_dir)
        data_tools.load_own(settings.dataset, "selection", data_dir=data_dir, **form)
    except NoSplitError:
        report(
            "no test and no selection split: the best checkpoint is chosen by images of the training split, "
            "on which scores are reported too"
        )


def _keep_if_best(run: RunFolder, gan: GAN, line: dict[str, Any]) -> None:
    """Write the best checkpoint if none of the selection lines so far is as good as this one."""
    earlier = [record["value"] for record in files.read_json_lines(run.metrics) if is_selection(record)]
    if line["value"] < min(earlier, default=float("inf")):
        checkpoints.write(run.best, checkpoints.arrays_of(gan.state()))
