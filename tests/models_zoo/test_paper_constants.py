"""Every constant that a paper states, in one table per paper, beside what the built variant has.

The tables are written out from the papers and from their departures that the variants' docstrings name; none of them is
computed from the package. Networks are those for 32x32 at width 1, three channels, ten classes. How a line reads stands
in `layer_tables.words`.
"""

import numpy as np
import pytest
from layer_tables import beginnings, deviation_of, full, table

from models_zoo import VARIANTS, load_variant
from models_zoo.spectral_normalization import SpectralNormalization

pytestmark = pytest.mark.usefixtures("short_warm_up")

BATCH_NORM = "batch norm 0.9 1e-05"
NORMAL = {"": 0.02}
GLOROT = {"": "glorot"}
ORTHOGONAL = {"": "orthogonal"}

# Radford et al. (2016), section 3 and figure 1: slope 0.2, deviation 0.02; kernels of 4, momentum 0.9
DCGAN_GENERATOR = [
    "dense 8192 unbiased", BATCH_NORM, "relu",
    "deconv 4/2 256 unbiased", BATCH_NORM, "relu",
    "deconv 4/2 128 unbiased", BATCH_NORM, "relu",
    "deconv 4/2 3", "tanh",
]  # fmt: skip


def dcgan_discriminator(norm):
    """Its own, or with layer normalization in the place of batch normalization, or with none."""
    bias = "" if norm == [] else " unbiased"
    return [
        "conv 4/2 64", "leaky 0.2",
        f"conv 4/2 128{bias}", *norm, "leaky 0.2",
        f"conv 4/2 256{bias}", *norm, "leaky 0.2",
        "flatten", "dense 1", "linear",
    ]  # fmt: skip


DCGAN = dcgan_discriminator([BATCH_NORM])
WITHOUT_NORM = dcgan_discriminator([])  # Gulrajani et al. (2017), section 4
WITH_LAYER_NORM = dcgan_discriminator(["layer norm 1e-05 (1, 2, 3)"])

# Miyato et al. (2018), table 3: slope 0.1, one power iteration, all layers
SNGAN_GENERATOR = [
    "dense 8192 unbiased", BATCH_NORM, "relu",
    "deconv 4/2 256 unbiased", BATCH_NORM, "relu",
    "deconv 4/2 128 unbiased", BATCH_NORM, "relu",
    "deconv 4/2 64 unbiased", BATCH_NORM, "relu",
    "conv 3/1 3", "tanh",
]  # fmt: skip
SNGAN_DISCRIMINATOR = [
    "sn1 conv 3/1 64", "leaky 0.1", "sn1 conv 4/2 128", "leaky 0.1",
    "sn1 conv 3/1 128", "leaky 0.1", "sn1 conv 4/2 256", "leaky 0.1",
    "sn1 conv 3/1 256", "leaky 0.1", "sn1 conv 4/2 512", "leaky 0.1",
    "sn1 conv 3/1 512", "leaky 0.1",
    "flatten", "sn1 dense 1", "linear",
]  # fmt: skip
STRIDED_DISCRIMINATOR = [
    "sn1 conv 4/2 128", "leaky 0.2", "sn1 conv 4/2 256", "leaky 0.2", "sn1 conv 4/2 512", "leaky 0.2",
    "flatten", "sn1 dense 1", "linear",
]  # fmt: skip


# Miyato et al. (2018), table 4; SAGAN and BigGAN are made of the same blocks
def resnet_generator(norm=BATCH_NORM, sn="", embedding=(), attention=()):
    block = [
        norm, "relu", "up 2", f"{sn}conv 3/1 256",
        norm, "relu", f"{sn}conv 1/1 256", f"{sn}conv 3/1 256", "up 2",
    ]  # fmt: skip
    first = [f"{sn}dense 4096", *embedding]
    return [*first, *block, *block, *attention, *block, BATCH_NORM, "relu", f"{sn}conv 3/1 3", "tanh"]


def resnet_discriminator(channels, head, attention=()):
    conv, shortcut = f"sn1 conv 3/1 {channels}", f"sn1 conv 1/1 {channels}"
    halved = ["mean 2", "mean 2", shortcut]
    return [
        conv, "relu", conv, *halved, *attention,
        "relu", conv, "relu", conv, *halved,
        "relu", conv, "relu", conv,
        "relu", conv, "relu", conv,
        "relu", "sum", *head, "sn1 dense 1", "linear",
    ]  # fmt: skip


# Huang et al. (2024): 768 channels, inside twice as many, groups of 16, two blocks for each size, slope 0.2
R3GAN_BLOCKS = [
    "conv 1/1 1536", "leaky 0.2", "conv 3/1 1536 by 16", "leaky 0.2", "conv 1/1 768 unbiased",
] * 2  # fmt: skip
R3GAN_GENERATOR = [
    "embedding 10 64", "dense 768 unbiased", "map 4",
    *R3GAN_BLOCKS, "smooth double", *R3GAN_BLOCKS, "smooth double", *R3GAN_BLOCKS, "smooth double", *R3GAN_BLOCKS,
    "conv 1/1 3 unbiased", "linear",
]  # fmt: skip
R3GAN_DISCRIMINATOR = [
    "conv 1/1 768 unbiased",
    *R3GAN_BLOCKS, "smooth half", *R3GAN_BLOCKS, "smooth half", *R3GAN_BLOCKS, "smooth half", *R3GAN_BLOCKS,
    "map product", "dense 64 unbiased", "embedding 10 64", "linear",
]  # fmt: skip
# section 3: gain sqrt(2 / (1 + 0.2^2)) L^(-1/4), L = 8 blocks, the last convolution of each from zero
R3GAN_GAIN = np.sqrt(2 / 1.04) * 8**-0.25
R3GAN_KERNELS = {
    "widen/kernel": R3GAN_GAIN / np.sqrt(768), "grouped/kernel": R3GAN_GAIN / np.sqrt(9 * 16), "narrow/kernel": "zeros",
}  # fmt: skip
OF_R3GAN_GENERATOR = {
    **R3GAN_KERNELS, "class_embedding/embeddings": 1.0, "project/kernel": 128**-0.5, "basis/basis": 1.0,
    "to_image/kernel": 768**-0.5,
}  # fmt: skip
OF_R3GAN_DISCRIMINATOR = {
    **R3GAN_KERNELS, "from_image/kernel": 3**-0.5, "features/kernel": 1 / 4, "logits/kernel": 768**-0.5,
    "class_embedding/embeddings": 1 / 8,
}  # fmt: skip

# Zhao et al. (2017): an autoencoder out of DCGAN's layers
EBGAN_DISCRIMINATOR = [
    "conv 4/2 64", "leaky 0.2",
    "conv 4/2 128 unbiased", BATCH_NORM, "leaky 0.2",
    "conv 4/2 256 unbiased", BATCH_NORM, "leaky 0.2",
    "deconv 4/2 128 unbiased", BATCH_NORM, "relu",
    "deconv 4/2 64 unbiased", BATCH_NORM, "relu",
    "deconv 4/2 3", "flatten", "linear",
]  # fmt: skip

# Berthelot et al. (2017), figure 1: n = 64, ELU, 3x3 convolutions, subsampling by stride 2
BEGAN_DECODER = [
    "dense 4096",
    "conv 3/1 64", "elu 1", "conv 3/1 64", "elu 1", "up 2",
    "conv 3/1 64", "elu 1", "conv 3/1 64", "elu 1", "up 2",
    "conv 3/1 64", "elu 1", "conv 3/1 64", "elu 1",
    "conv 3/1 3", "linear",
]  # fmt: skip
BEGAN_ENCODER = [
    "conv 3/1 64", "elu 1",
    "conv 3/1 64", "elu 1", "conv 3/1 64", "elu 1", "conv 3/2 128", "elu 1",
    "conv 3/1 128", "elu 1", "conv 3/1 128", "elu 1", "conv 3/2 192", "elu 1",
    "conv 3/1 192", "elu 1", "conv 3/1 192", "elu 1",
    "flatten", "dense 64",
]  # fmt: skip

# Odena et al. (2017), table 2: slope 0.2, dropout 0.5, deviation 0.02
ACGAN_GENERATOR = [
    "dense 6144", "relu",
    "deconv 5/2 192", BATCH_NORM, "relu",
    "deconv 5/2 96", BATCH_NORM, "relu",
    "deconv 5/2 3", "tanh",
]  # fmt: skip
ACGAN_DISCRIMINATOR = [
    "conv 3/2 16", "leaky 0.2", "dropout 0.5",
    "conv 3/1 32", BATCH_NORM, "leaky 0.2", "dropout 0.5",
    "conv 3/2 64", BATCH_NORM, "leaky 0.2", "dropout 0.5",
    "conv 3/1 128", BATCH_NORM, "leaky 0.2", "dropout 0.5",
    "conv 3/2 256", BATCH_NORM, "leaky 0.2", "dropout 0.5",
    "conv 3/1 512", BATCH_NORM, "leaky 0.2", "dropout 0.5",
    "flatten", "dense 10", "dense 1", "linear", "linear",
]  # fmt: skip

# Sridhar (2019), figures 3.2 and 3.3, section 3.6: batch normalization after the activation, 30 kernels
VTGAN_GENERATOR = [
    "uniform", "dense 2048", "leaky 0.2",
    "deconv 5/2 256", "leaky 0.2", BATCH_NORM,
    "deconv 5/2 128", "leaky 0.2", BATCH_NORM,
    "deconv 5/2 64", "leaky 0.2", BATCH_NORM,
    "deconv 5/2 3", "tanh",
]  # fmt: skip
VTGAN_DISCRIMINATOR = [
    "conv 5/2 16", "leaky 0.2",
    "conv 5/1 32", "leaky 0.2", BATCH_NORM,
    "conv 3/2 64", "leaky 0.2", BATCH_NORM,
    "conv 5/1 128", "leaky 0.2", BATCH_NORM,
    "conv 3/2 256", "leaky 0.2", BATCH_NORM,
    "conv 3/1 512", "leaky 0.2",
    "flatten", "minibatch 30 3", "dense 10", "dense 1", "linear", "linear",
]  # fmt: skip


# Dogan (2021), tables I and II
def cgan_generator(norm, embedding=()):
    return [
        "dense 8192",
        "deconv 4/2 512", *embedding, norm, "leaky 0.2",
        "deconv 4/2 256", norm, "leaky 0.2",
        "deconv 4/2 128", norm, "leaky 0.2",
        "conv 3/1 3", "tanh",
    ]  # fmt: skip


CGAN_BODY = ["conv 4/2 128", "leaky 0.2", "conv 4/2 256", "leaky 0.2", "conv 4/2 512", "leaky 0.2"]
BY_LABEL, BY_VECTOR = "batch norm of labels 0.9 1e-05", "batch norm of vectors 0.9 1e-05"
TABLES_OF_CLASSES = {"gain/embeddings": "ones", "bias/embeddings": "zeros"}
LINEAR_NORMS = {"gain/kernel": "orthogonal", "bias/kernel": "orthogonal", "class_embedding/embeddings": 1.0}
GLOROT_HEADS = {"class_embedding/embeddings": "glorot", "logits/kernel": "glorot"}

REACGAN_HEAD = ["sn1 dense 512", "sn1 dense 1", "embedding 10 512", "unit", "linear", "unit"]

# case: variant, latents, options, layers of the generator and of the discriminator, how their kernels begin
CASES = {
    "dcgan": ("dcgan", 100, {}, DCGAN_GENERATOR, DCGAN, NORMAL, NORMAL),
    "lsgan": ("lsgan", 100, {}, DCGAN_GENERATOR, DCGAN, NORMAL, NORMAL),
    "wgan": ("wgan", 100, {}, DCGAN_GENERATOR, DCGAN, NORMAL, NORMAL),
    "wgan_gp": ("wgan_gp", 128, {}, DCGAN_GENERATOR, WITHOUT_NORM, NORMAL, NORMAL),
    "wgan_gp, layer": (
        "wgan_gp", 128, {"normalization": "layer"}, DCGAN_GENERATOR, WITH_LAYER_NORM,
        NORMAL, {"gamma": "ones", "beta": "zeros", "": 0.02},
    ),
    "dragan": ("dragan", 100, {}, DCGAN_GENERATOR, WITHOUT_NORM, NORMAL, NORMAL),
    "r1": ("r1", 128, {}, DCGAN_GENERATOR, WITHOUT_NORM, NORMAL, NORMAL),
    "rpgan": ("rpgan", 128, {}, DCGAN_GENERATOR, WITHOUT_NORM, NORMAL, NORMAL),
    "r3gan": (
        "r3gan", 64, {}, R3GAN_GENERATOR, R3GAN_DISCRIMINATOR, OF_R3GAN_GENERATOR, OF_R3GAN_DISCRIMINATOR,
    ),
    "sngan": ("sngan", 128, {}, SNGAN_GENERATOR, SNGAN_DISCRIMINATOR, NORMAL, NORMAL),
    "sngan, resnet": (
        "sngan", 128, {"architecture": "resnet"}, resnet_generator(), resnet_discriminator(128, []), GLOROT, GLOROT,
    ),
    "sngan, strided": (
        "sngan", 128, {"architecture": "strided"}, DCGAN_GENERATOR, STRIDED_DISCRIMINATOR, NORMAL, GLOROT,
    ),
    "ebgan": ("ebgan", 100, {}, DCGAN_GENERATOR, EBGAN_DISCRIMINATOR, NORMAL, NORMAL),
    "began": ("began", 64, {}, ["uniform", *BEGAN_DECODER], [*BEGAN_ENCODER, *BEGAN_DECODER], GLOROT, GLOROT),
    "acgan": ("acgan", 110, {}, ACGAN_GENERATOR, ACGAN_DISCRIMINATOR, NORMAL, NORMAL),
    "vtgan": (
        "vtgan", 100, {}, VTGAN_GENERATOR, VTGAN_DISCRIMINATOR,
        NORMAL, {"minibatch_discrimination/kernel": np.sqrt(2 / (8192 + 90)), "": 0.02},
    ),
    "cgan": (
        "cgan", 100, {}, cgan_generator(BY_LABEL), [*CGAN_BODY, "sum", "embedding 10 512", "dense 1", "linear"],
        {**TABLES_OF_CLASSES, "": 0.02}, {**GLOROT_HEADS, "": 0.02},
    ),
    "cgan, linear and auxiliary": (
        "cgan", 100, {"generator_conditioning": "cbn_linear", "discriminator_conditioning": "auxiliary"},
        cgan_generator(BY_VECTOR, ["embedding 10 32"]),
        [*CGAN_BODY, "flatten", "dense 10", "dense 1", "linear", "linear"],
        {**LINEAR_NORMS, "": 0.02}, {**GLOROT_HEADS, "": 0.02},
    ),
    # Zhang et al. (2019)
    "sagan": (
        "sagan", 128, {}, resnet_generator(BY_LABEL, "sn1 ", attention=["attention sn"]),
        resnet_discriminator(128, ["sn1 embedding 10 128"], ["attention sn"]),
        {**TABLES_OF_CLASSES, "": "glorot"}, GLOROT,
    ),
    # Brock et al. (2019), appendix B
    "biggan": (
        "biggan", 128, {}, resnet_generator("batch norm of vectors sn 0.9 1e-05", "sn1 ", ["embedding 10 128"]),
        resnet_discriminator(256, ["sn1 embedding 10 256"]), ORTHOGONAL, ORTHOGONAL,
    ),
    # Kang et al. (2021), on the networks of BigGAN with attention at 16x16
    "reacgan": (
        "reacgan", 80, {},
        resnet_generator(
            "batch norm of vectors sn 0.9 1e-05", "sn1 ", ["embedding 10 128"], attention=["attention sn"]
        ),
        resnet_discriminator(256, REACGAN_HEAD, ["attention sn"])[:-2], ORTHOGONAL, ORTHOGONAL,
    ),
}  # fmt: skip


def test_every_variant_has_its_table():
    assert {case[0] for case in CASES.values()} == set(VARIANTS)


@pytest.mark.parametrize("case", CASES)
def test_layers_are_the_papers(case):
    """Kernels, strides, channels, slopes, momenta, epsilons, dropout, minibatch kernels, and their order."""
    name, latent_dim, options, *tables = CASES[case]
    for network, expected in zip(full(name, latent_dim, **options), tables[:2], strict=True):
        assert table(network) == expected


@pytest.mark.parametrize("case", CASES)
def test_kernels_begin_as_the_paper_says(case):
    """Within six standard errors of the deviation on either side, the mean within six of zero."""
    name, latent_dim, options, *_, of_generator, of_discriminator = CASES[case]
    networks = full(name, latent_dim, **options)
    for network, laws in zip(networks, (of_generator, of_discriminator), strict=True):
        for path, values in beginnings(network):
            law = next(law for ending, law in laws.items() if path.endswith(ending))
            expected = deviation_of(law, values.shape)
            found = np.sqrt(np.mean(np.square(values, dtype=np.float64)))
            assert found == pytest.approx(expected, rel=6 / np.sqrt(2 * values.size)), path
            assert law == "ones" or abs(values.mean(dtype=np.float64)) <= 6 * expected / np.sqrt(values.size), path


# Arjovsky (2017) and Gulrajani (2017), algorithm 1; Kodali (2017); Mescheder (2018), section 4.1; Zhao (2017);
# Berthelot (2017), sections 3.4 and 4; Sridhar (2019), section 3.7; Kang (2021), for CIFAR-10; Huang (2024), with the
# gamma that CIFAR-10 begins with; on DCGAN's networks, which the paper does not train, 1
OF_TRAINING = {
    "dcgan": {},
    "lsgan": {},
    "wgan": {"clip": 0.01},
    "wgan_gp": {"penalty_weight": 10.0},
    "dragan": {"penalty_weight": 10.0},
    "r1": {"penalty_weight": 10.0},
    "rpgan": {"penalty_weight": 1.0},
    "r3gan": {"penalty_weight": 0.05},
    "sngan": {},
    "ebgan": {"margin": 1.0, "pulling_away_weight": 0.1},
    "began": {"gamma": 0.5, "lambda_k": 0.001},
    "acgan": {},
    "vtgan": {"label_smoothing": 0.1},
    "reacgan": {"class_weight": 0.5, "positive_margin": 0.98, "negative_margin": 0.02, "temperature": 0.5},
    "cgan": {},
    "sagan": {},
    "biggan": {},
}
DEFAULT_LOSSES = {
    "dcgan": "non_saturating",
    "lsgan": "least_squares",
    "wgan": "wasserstein",
    "wgan_gp": "wasserstein",
    "dragan": "non_saturating",
    "r1": "non_saturating",
    "rpgan": "relativistic_pairing",
    "r3gan": "relativistic_pairing",
    "sngan": "hinge",
    "ebgan": "margin",
    "began": "equilibrium",
    "acgan": "non_saturating",
    "vtgan": "non_saturating",
    "reacgan": "hinge",
    "cgan": "hinge",
    "sagan": "hinge",
    "biggan": "hinge",
}


@pytest.mark.parametrize("name", VARIANTS)
def test_training_is_the_papers(name):
    """Options of training by default, read off the built model; the loss; one update of D, an average of 0.999."""
    gan = load_variant(name)(*load_variant(name).networks(16, 3, 8, 0.05, 10), num_classes=10)
    own = {option: getattr(gan, option) for option in OF_TRAINING[name]}
    assert own == OF_TRAINING[name]
    shared = {"augment": "", "discriminator_clip_norm": 0.0}
    assert gan.options()[1] == shared | OF_TRAINING[name]
    assert (gan.adversarial_loss, gan.discriminator_steps, gan.ema_decay) == (DEFAULT_LOSSES[name], 1, 0.999)


def test_spectral_normalization_iterates_once_a_step(monkeypatch):
    monkeypatch.undo()
    assert SpectralNormalization.WARM_UP == 20
    for case in ("sngan", "sagan", "biggan"):
        name, latent_dim, options, *_ = CASES[case]
        wrapped = [x for x in full(name, latent_dim, **options)[1].layers if isinstance(x, SpectralNormalization)]
        assert wrapped and {(x.power_iterations, x.stable_rank, x.update_in_call) for x in wrapped} == {(1, 0.0, False)}


def test_attention_looks_through_an_eighth_of_the_channels_and_begins_closed():
    """Zhang et al. (2019), section 3: C_bar = C / 8, gamma from 0."""
    for network, channels in zip(full("sagan", 128), (256, 128), strict=True):
        layer = network.get_layer("attention")
        inner = [convolution.layer.filters for convolution in (layer.f, layer.g, layer.h, layer.v)]
        assert inner == [channels // 8] * 3 + [channels] and float(layer.gamma.numpy()) == 0
