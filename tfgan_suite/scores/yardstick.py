"""What images are measured by if nobody says: which network, which real images, and what of a run is believed."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

from data_tools.errors import NoSplitError, UsageError
from tfgan_suite.images.named_sources import Options, open_source
from tfgan_suite.images.sources import Source
from tfgan_suite.networks import scoring_network, small_classifiers
from tfgan_suite.networks.scoring_network import ScoringNetwork
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.scores import references
from tfgan_suite.scores.gathering import Needs
from tfgan_suite.scores.references import Reference

AUTO, NO_NETWORK = "auto", "none"


def network_for(
    classifier: str,
    dataset: str,
    *,
    otherwise: str,
    inception: Path | None = None,
    resize: str = "auto",
    dtype: str = "float32",
) -> ScoringNetwork | None:
    """The network that a command was told to score with; None for `"none"`.

    Args:
        classifier: see `scoring_network.load`; `"auto"` is the classifier that ships for `dataset`, or `otherwise`, or
            Inception if `inception` is given.
        dataset: what the images are of.
        otherwise: for a dataset without a classifier of its own.
        inception, resize, dtype: see `scoring_network.load`.
    """
    if classifier == AUTO:
        own = dataset if dataset in small_classifiers.BUILT_IN else otherwise
        classifier = own if inception is None else scoring_network.INCEPTION
    if classifier == NO_NETWORK:
        return None
    return scoring_network.load(classifier, resize=resize, inception=inception, dtype=dtype)


def require_data(classifier: str, run: Path) -> None:
    """Refuse to load, unasked, the program that a run names as its classifier.

    A run may come from somebody else, with all that is recorded in it, so no name, place or fingerprint in it can vouch
    for a network: what protects is that the network is data. The built-in ones are, and so is an `.npz` file of
    `tfgan_suite.classifier`: weights, for layers that are built here. A SavedModel or a `.keras` file is a program, and
    is loaded only where the user himself has named it.

    Args:
        classifier: the entry in the configuration of `run`.

    Raises:
        UsageError: which says how to name it.
    """
    if is_built_in(classifier) or Path(classifier).suffix == ".npz":
        return
    raise UsageError(
        f"{run} was scored with {classifier[:200]!r}, which is not loaded unasked, as it is a program and may come "
        f"from anybody: give --classifier {shlex.quote(classifier[:200])} if you know it, or another one"
    )


def require_recorded(network: ScoringNetwork, classifier: str, run: RunFolder) -> None:
    """Refuse a file in the place of the classifier that the scores of a run were taken with.

    Args:
        network: what was loaded for `classifier`; built-in networks change with versions only, and are not compared.

    Raises:
        UsageError: if the run has scores, and none is by this network.
    """
    recorded = {line.get("classifier_fingerprint") for line in run.metric_lines()}
    if recorded and network.fingerprint not in recorded and not is_built_in(classifier):
        raise UsageError(
            f"{classifier} has the fingerprint {network.fingerprint[:12]}, which is not that of the classifier of "
            f"{run.path}, {' or '.join(str(known)[:12] for known in recorded)}: give --classifier the file it was"
        )


def is_built_in(classifier: str) -> bool:
    """Whether this is a name, and not a file."""
    return classifier in (AUTO, NO_NETWORK, scoring_network.INCEPTION, *small_classifiers.BUILT_IN)


def options_for(run: Config, options: Options) -> Options:
    """The options with which a run's own dataset is opened: its channels, and its place unless another one is given."""
    options = dataclasses.replace(options, channels=run.channels, image_size=run.image_size)
    if not run.data_dir or options.data_dir is not None:
        return options
    return dataclasses.replace(options, data_dir=Path(run.data_dir), data_dir_of=run.dataset)


def own_reference(run: Config, network: ScoringNetwork, needs: Needs, options: Options) -> Reference:
    """What the scores of a run compare with: its dataset's test split, or its training split if it has no other."""
    try:
        return reference_to(f"{run.dataset}:test", network, needs, options)
    except NoSplitError:
        return reference_to(f"{run.dataset}:train", network, needs, options)


def reference_to(text: str, network: ScoringNetwork, needs: Needs, options: Options) -> Reference:
    """Statistics of what `text` names: a finite source, or stored `mu` and `sigma`.

    Args:
        options: with the `image_size` of what is compared with it, which the images get.
    """
    if references.is_statistics(Path(text)):
        return references.read(Path(text), network)
    return references.reference_of(finite_source(text, options, "--reference"), network, needs)


def finite_source(text: str, options: Options, flag: str) -> Source:
    """The source that `text` names, if it has an end; `flag` is for the message."""
    source = open_source(text, options)
    if source.size is None:
        raise UsageError(f"{flag} must be a finite set of images, not a generator. Received: {text}")
    return source
