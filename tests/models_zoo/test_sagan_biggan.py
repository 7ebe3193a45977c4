"""SAGAN and BigGAN: what is normalized, attends, and depends on the class."""

import keras
import numpy as np
import pytest
from keras import layers
from small_gans import BATCH, CLASSES, LATENTS, REAL_LABELS, bare_and_wrapped, build, everything_in, pair

from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.self_attention import SelfAttention
from models_zoo.spectral_normalization import SpectralNormalization

pytestmark = pytest.mark.usefixtures("short_warm_up")


@pytest.mark.parametrize("name", ["sagan", "biggan"])
def test_spectral_normalization_is_everywhere_but_in_the_generators_tables(name):
    generator, discriminator = pair(name, size=32, attention=True)
    bare, wrapped = bare_and_wrapped(discriminator)
    assert not bare
    # four blocks of two convolutions, two shortcuts; attention; the two heads of the projection
    assert len(wrapped) == 4 * 2 + 2 + 4 + 2
    assert any(isinstance(layer, layers.Embedding) for layer in wrapped)
    bare, wrapped = bare_and_wrapped(generator)
    assert bare and all(isinstance(layer, layers.Embedding) for layer in bare)
    # dense, three blocks of two convolutions and a shortcut, one to the image; attention; W_g and W_b of six norms
    assert len(wrapped) == 1 + 3 * 3 + 1 + 4 + (12 if name == "biggan" else 0)


@pytest.mark.parametrize(("size", "side"), [(28, 14), (32, 16), (64, 32), (108, 27)])
def test_sagan_attends_at_the_largest_map_of_at_most_32_pixels(size, side, monkeypatch):
    monkeypatch.setattr(SpectralNormalization, "WARM_UP", 1)
    for network in pair("sagan", size=size):
        found = [layer for layer in everything_in(network) if isinstance(layer, SelfAttention)]
        assert [layer.output.shape[1:3] for layer in found] == [(side, side)]
        assert float(found[0].gamma.numpy()) == 0
    for network in pair("sagan", size=size, attention=False):
        assert not any(isinstance(layer, SelfAttention) for layer in everything_in(network))


def test_sagans_generator_looks_up_gains_and_biases_by_class():
    norms = [x for x in everything_in(pair("sagan")[0]) if isinstance(x, ConditionalBatchNormalization)]
    assert len(norms) == 2 * 2 and all(norm.num_classes == CLASSES for norm in norms)


def test_biggans_norms_share_one_embedding_and_have_latents_of_their_own():
    """At 32x32 three blocks: the first quarter of the latents is for the dense layer, each other for one block."""
    generator = build("biggan", size=32).generator
    norms = [x for x in everything_in(generator) if isinstance(x, ConditionalBatchNormalization)]
    assert [norm.name for norm in norms] == [f"block_{i}_norm_{j}" for i in range(3) for j in range(2)]
    conditions = [generator.get_layer(f"condition_{i}").output for i in range(3)]
    for norm in norms:
        assert norm.num_classes is None and norm.input[1] is conditions[int(norm.name[6])]

    seen = keras.Model(generator.inputs, [generator.get_layer("reshape").output, *conditions])
    latents, labels = np.random.default_rng(0).standard_normal((BATCH, LATENTS)).astype(np.float32), REAL_LABELS.numpy()
    first, *of_blocks = (x.numpy() for x in seen([latents, labels]))
    part = LATENTS // 4
    table = generator.get_layer("class_embedding").embeddings.numpy()
    for i, condition in enumerate(of_blocks):
        own = latents[:, (i + 1) * part : (i + 2) * part]
        np.testing.assert_array_equal(condition, np.concatenate([table[labels], own], axis=1))
    assert table.shape == (CLASSES, 128)
    for chunk in range(4):
        changed = latents.copy()
        changed[:, chunk * part : (chunk + 1) * part] += 1
        now = seen([changed, labels])
        moved = [not np.array_equal(x.numpy(), y) for x, y in zip(now, [first, *of_blocks], strict=True)]
        assert moved == [i == chunk for i in range(4)]
        assert not np.allclose(generator([changed, labels]), generator([latents, labels]), atol=1e-3)


def test_biggan_begins_with_orthogonal_kernels():
    for network, count in zip(pair("biggan"), (1 + 2 * 3 + 1 + 2 * 4, 3 * 2 + 1), strict=True):
        kernels = [v for v in network.trainable_variables if v.path.endswith("/kernel") and "logits" not in v.path]
        assert len(kernels) == count
        for variable in kernels:
            matrix = variable.numpy().reshape(-1, variable.shape[-1]).astype(np.float64)
            gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
            np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5, err_msg=variable.path)
