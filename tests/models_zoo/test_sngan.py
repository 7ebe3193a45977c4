"""SNGAN: which kernels are normalized, and when."""

import numpy as np
import pytest
from small_gans import BATCH, bare_and_wrapped, build, everything_in, pair, real_images, spectral_layers

pytestmark = pytest.mark.usefixtures("short_warm_up")


@pytest.mark.parametrize("architecture", ["standard", "resnet", "strided"])
def test_sngan_normalizes_every_kernel_of_the_discriminator(architecture):
    def kinds(network):
        return {type(layer).__name__ for layer in everything_in(network) if "Normalization" in type(layer).__name__}

    generator, discriminator = pair("sngan", architecture=architecture)
    bare, wrapped = bare_and_wrapped(discriminator)
    assert not bare and len(wrapped) == {"standard": 5 + 1, "resnet": 3 * 2 + 1 + 1, "strided": 2 + 1}[architecture]
    assert kinds(discriminator) == {"SpectralNormalization"}
    assert kinds(generator) == {"BatchNormalization"}
    generator = pair("sngan", architecture=architecture, spectral_generator=True)[0]
    assert not bare_and_wrapped(generator)[0] and spectral_layers(generator)
    for normalization, kind in (("batch", {"BatchNormalization"}), ("layer", {"LayerNormalization"}), ("none", set())):
        discriminator = pair("sngan", architecture=architecture, normalization=normalization)[1]
        assert kinds(discriminator) == kind


@pytest.mark.parametrize("architecture", ["standard", "resnet", "strided"])
def test_sngan_moves_singular_vectors_in_the_step_of_their_network_only(architecture):
    gan = build("sngan", {"architecture": architecture, "spectral_generator": True})

    def vectors():  # that of a single output is 1 or -1 for ever
        of = [[x.vector for x in spectral_layers(n)] for n in (gan.generator, gan.discriminator)]
        return [[v.numpy().copy() for v in network if v.shape[0] > 1] for network in of]

    def moved(before, after):
        return [not np.array_equal(one, other) for one, other in zip(before, after, strict=True)]

    (g, d), _ = vectors(), gan.discriminator_step(real_images())
    (g_then, d_then), _ = vectors(), gan.generator_step(BATCH)
    g_last, d_last = vectors()
    assert not any(moved(g, g_then)) and all(moved(d, d_then))
    assert all(moved(g_then, g_last)) and not any(moved(d_then, d_last))
