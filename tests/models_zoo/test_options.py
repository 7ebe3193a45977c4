"""Every option of every variant: an alternative to its default has an effect, wrong values are refused."""

import functools
import re

import numpy as np
import pytest
from small_gans import CLASSES, REAL_LABELS, WIDTH, build, everything_in, pair, real_images

from models_zoo import VARIANTS, load_variant

pytestmark = pytest.mark.usefixtures("short_warm_up")

SHARED = {"augment": "cutout", "discriminator_clip_norm": 0.001}
OPTIONS = {
    "dcgan": {},
    "lsgan": {},
    "wgan": {"normalization": "layer", "clip": 0.02},
    "wgan_gp": {"normalization": "layer", "penalty_weight": 1.0},
    "dragan": {"normalization": "layer", "penalty_weight": 1.0},
    "r1": {"normalization": "layer", "penalty_weight": 1.0},
    "rpgan": {"normalization": "layer", "penalty_weight": 2.0},
    "r3gan": {"penalty_weight": 1.0},
    "sngan": {"architecture": "resnet", "normalization": "batch", "spectral_generator": True, "stable_rank": 0.5},
    "ebgan": {"margin": 20.0, "pulling_away_weight": 0.5},
    "began": {"gamma": 0.7, "lambda_k": 0.01},
    "acgan": {"dropout": 0.0},
    "vtgan": {"label_smoothing": 0.0, "minibatch_kernels": 5, "minibatch_dim": 2},
    "reacgan": {
        "attention": False,
        "embedding_dim": 7,
        "class_weight": 2.0,
        "positive_margin": 0.5,
        "negative_margin": -0.1,
        "temperature": 0.25,
    },
    "cgan": {
        "spectral_generator": True,
        "attention": True,
        "generator_conditioning": "concat",
        "discriminator_conditioning": "concat",
        "generator_concat_layer": 2,
        "discriminator_concat_layer": 2,
        "embedding_dim": 5,
        "kernel_size": 3,
        "slope": 0.1,
        "base_channels": 100,
        "normalization": "spectral",
    },
    "sagan": {"attention": False, "stable_rank": 0.2},
    "biggan": {"attention": True, "stable_rank": 0.2},
}
NEEDS = {
    ("cgan", "generator_concat_layer"): {"generator_conditioning": "hidden_concat"},
    ("cgan", "discriminator_concat_layer"): {"discriminator_conditioning": "hidden_concat"},
    ("cgan", "embedding_dim"): {"generator_conditioning": "concat"},
}
EVERY_OPTION = [(name, option) for name in OPTIONS for option in (SHARED | OPTIONS[name])]


def test_the_table_of_options_is_complete():
    assert list(OPTIONS) == list(VARIANTS)
    for name, alternatives in OPTIONS.items():
        network, training = load_variant(name).options()
        assert set(SHARED | alternatives) == {*network, *training}, name
        assert not set(network) & set(training), name
        for option, default in (network | training).items():
            assert (SHARED | alternatives)[option] != default


@functools.cache
def outcome(name, given):
    """Structure of the networks, and all numbers after a step."""
    in_networks = load_variant(name).options()[0]
    networks = {option: value for option, value in given if option in in_networks}
    gan = build(name, networks, **{option: value for option, value in given if option not in in_networks})
    if name == "began":
        gan.k.assign(0.5)
    structure = [
        (type(layer).__name__, layer.name, [(v.path, tuple(v.shape)) for v in layer.variables])
        for network in (gan.generator, gan.discriminator)
        for layer in everything_in(network)
    ]
    logs = gan.train_step((real_images(), REAL_LABELS))
    state = [v.numpy() for key, v in gan.state().items() if not key.startswith("log/")]
    return structure, [np.asarray(logs[key]) for key in sorted(logs)], state


def differ(one, other):
    if one[0] != other[0]:
        return True
    pairs = [*zip(one[1], other[1], strict=True), *zip(one[2], other[2], strict=True)]
    return not all(np.allclose(x, y, rtol=1e-5, atol=1e-6) for x, y in pairs)


@pytest.mark.parametrize(("name", "option"), EVERY_OPTION)
def test_every_option_has_an_effect(name, option):
    needed = tuple(NEEDS.get((name, option), {}).items())
    alternative = (option, (SHARED | OPTIONS[name])[option])
    assert differ(outcome(name, needed), outcome(name, (*needed, alternative)))


@pytest.mark.parametrize("name", ["sngan", "acgan", "cgan"])
def test_the_default_given_by_name_has_no_effect(name):
    network, training = load_variant(name).options()
    assert not differ(outcome(name, ()), outcome(name, tuple((network | training).items())))


REFUSED = [
    ("dcgan", {"augment": "blur"}, "augment must be empty or names out of color, translation, cutout.*='blur'"),
    ("dcgan", {"augment": "color,color"}, "each once.*='color,color'"),
    ("dcgan", {"discriminator_clip_norm": -1.0}, "discriminator_clip_norm must be.*discriminator_clip_norm=-1.0"),
    ("lsgan", {"loss": "hinge"}, "loss must be one of least_squares, least_squares_pearson.*loss='hinge'"),
    ("wgan", {"clip": 0.0}, "clip must be positive. Received: clip=0.0"),
    ("wgan", {"normalization": "spectral"}, "normalization must be one of batch, layer, none.*'spectral'"),
    ("wgan", {"loss": "hinge"}, "loss must be one of wasserstein.*loss='hinge'"),
    ("ebgan", {"margin": 0.0}, "margin must be positive. Received: margin=0.0"),
    ("ebgan", {"pulling_away_weight": -0.1}, "pulling_away_weight must be 0 or more.*pulling_away_weight=-0.1"),
    ("began", {"gamma": 0.0}, "gamma must be in .0, 1.*gamma=0.0"),
    ("began", {"gamma": 1.1}, "gamma must be in .0, 1.*gamma=1.1"),
    ("began", {"lambda_k": 0.0}, "lambda_k must be positive. Received: lambda_k=0.0"),
    ("began", {"discriminator_steps": 2}, "discriminator_steps must be 1 in BEGAN.*discriminator_steps=2"),
    ("acgan", {"dropout": 1.0}, "dropout must be in .0, 1.*dropout=1.0"),
    ("acgan", {"dropout": -0.1}, "dropout must be in .0, 1.*dropout=-0.1"),
    ("vtgan", {"label_smoothing": 1.0}, "label_smoothing must be in .0, 1.*label_smoothing=1.0"),
    ("vtgan", {"label_smoothing": -0.1}, "label_smoothing must be in .0, 1.*label_smoothing=-0.1"),
    ("vtgan", {"minibatch_kernels": -1}, "minibatch_kernels must be 0 or more.*minibatch_kernels=-1"),
    ("vtgan", {"minibatch_dim": 0}, "minibatch_dim must be at least 1.*minibatch_dim=0"),
    ("r3gan", {"penalty_weight": -1.0}, "penalty_weight must be 0 or more. Received: penalty_weight=-1.0"),
    ("r3gan", {"loss": "hinge"}, "loss must be one of relativistic_pairing.*loss='hinge'"),
    ("reacgan", {"embedding_dim": 0}, "embedding_dim must be at least 1. Received: embedding_dim=0"),
    ("reacgan", {"class_weight": -0.5}, "class_weight must be 0 or more. Received: class_weight=-0.5"),
    ("reacgan", {"positive_margin": 1.1}, "positive_margin must be in .-1, 1.*positive_margin=1.1"),
    ("reacgan", {"negative_margin": -1.1}, "negative_margin must be in .-1, 1.*negative_margin=-1.1"),
    ("reacgan", {"temperature": 0.0}, "temperature must be positive. Received: temperature=0.0"),
    ("sngan", {"architecture": "dcgan"}, "architecture must be one of standard, resnet, strided.*'dcgan'"),
    ("sngan", {"stable_rank": 1.5}, "stable_rank must be in .0, 1.*stable_rank=1.5"),
    ("cgan", {"generator_conditioning": "projection"}, "generator_conditioning must be one of cbn_emb.*'projection'"),
    ("cgan", {"discriminator_conditioning": "cbn"}, "discriminator_conditioning must be one of projection.*'cbn'"),
    ("cgan", {"kernel_size": 2}, "kernel_size must be one of 3, 4, 5. Received: kernel_size=2"),
    ("cgan", {"kernel_size": 6}, "kernel_size must be one of 3, 4, 5. Received: kernel_size=6"),
    ("cgan", {"slope": -0.1}, "slope must be in .0, 0.3.*slope=-0.1"),
    ("cgan", {"slope": 0.31}, "slope must be in .0, 0.3.*slope=0.31"),
    ("cgan", {"base_channels": 9}, "base_channels must be from 10 to 512. Received: base_channels=9"),
    ("cgan", {"base_channels": 513}, "base_channels must be from 10 to 512. Received: base_channels=513"),
    ("cgan", {"embedding_dim": 0}, "embedding_dim must be at least 1. Received: embedding_dim=0"),
    ("cgan", {"normalization": "batch"}, "normalization must be one of none, spectral.*'batch'"),
    ("sagan", {"stable_rank": -0.1}, "stable_rank must be in .0, 1.*stable_rank=-0.1"),
    ("biggan", {"stable_rank": 2.0}, "stable_rank must be in .0, 1.*stable_rank=2.0"),
]
REFUSED += [
    (name, given, message)
    for name in ("wgan_gp", "dragan", "r1", "rpgan")
    for given, message in (
        ({"penalty_weight": -1.0}, "penalty_weight must be 0 or more. Received: penalty_weight=-1.0"),
        ({"normalization": "batch"}, "normalization must be one of none, layer.*'batch'"),
    )
]
REFUSED += [
    ("sngan", {"architecture": architecture, **given}, message)
    for architecture in ("standard", "resnet", "strided")
    for given, message in (
        ({"normalization": "instance"}, "normalization must be one of batch, layer, spectral, none.*'instance'"),
        ({"normalization": "batch", "stable_rank": 0.5}, "stable_rank needs spectral.*stable_rank=0.5"),
    )
]
REFUSED += [
    ("cgan", {f"{network}_conditioning": "hidden_concat", f"{network}_concat_layer": layer}, f"_concat_layer={layer}")
    for network, wrong in (("generator", (-1, 3)), ("discriminator", (0, 3)))
    for layer in wrong
]


@pytest.mark.parametrize(("name", "given", "message"), REFUSED)
def test_wrong_values_are_refused(name, given, message):
    in_networks = load_variant(name).options()[0]
    networks = {option: value for option, value in given.items() if option in in_networks}
    training = {option: value for option, value in given.items() if option not in in_networks}
    with pytest.raises(ValueError, match="Received: ") as error:
        load_variant(name)(*pair(name, **networks), num_classes=CLASSES, **training)
    assert re.search(message, str(error.value), re.DOTALL)


def test_biggan_wants_latents_for_each_block():
    with pytest.raises(ValueError, match="latent_dim must be at least 4.*Received: latent_dim=3"):
        load_variant("biggan").networks(32, 3, 3, WIDTH, CLASSES)
