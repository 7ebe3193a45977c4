"""The pipeline beside the suite's loop, to the bit, and under plain `fit`."""

import dataclasses
import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_tools import batches, pipeline, shapes
from models_zoo import load_variant, randomness
from tfgan_suite.runs.config import Config
from tfgan_suite.training import loop

DCGAN, CGAN = load_variant("dcgan"), load_variant("cgan")
DATA = shapes.draw(50, seed=0, image_size=16)
SCALED = DATA.images.astype(np.float32) * np.float32(1 / 127.5) - 1
SETTINGS = Config(batch_size=8, seed=5)


def taken(count, data=DATA, **options):
    dataset = pipeline.dataset(data, **{"batch_size": 8, "seed": 5, **options})
    return [tuple(part.numpy() for part in batch) for batch in dataset.take(count)]


def of_loop(step, flip):
    """What the loop's compiled step feeds to `train_step` at `step`."""
    images, labels = loop.gather(DATA, SETTINGS, step, 1)
    at, prepared = prepared_by_the_loop(flip)
    at.assign(step)
    return prepared(images[0]).numpy(), labels[0]


@functools.cache
def prepared_by_the_loop(flip):
    """The variable of the step, and the compiled preparation of a batch that reads it."""
    settings, at = dataclasses.replace(SETTINGS, flip=flip), keras.Variable(0, dtype="int64")
    return at, tf.function(lambda batch: loop.prepare(batch, settings, at))


@pytest.mark.parametrize("flip", [False, True])
def test_the_loop_shows_the_same_batches_to_the_bit(flip):
    """Twenty steps of 8 are more than three passes over 50 images."""
    drawn = taken(20, flip=flip)
    for step, (images, labels) in enumerate(drawn):
        expected, expected_labels = of_loop(step, flip)
        assert images.dtype == np.float32 and labels.dtype == np.int32
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(labels, expected_labels)
    assert sorted(label for _, labels in drawn[:6] for label in labels) != sorted(DATA.labels[:48])


def test_scaling_has_the_bits_of_a_division_in_a_compiled_graph():
    """Which is what runs were trained on before the product was written out."""
    values = tf.range(256)
    divided = tf.function(lambda x: tf.cast(x, tf.float32) / 127.5 - 1)(values)
    for ours in (batches.from_uint8_in_graph(values), tf.function(batches.from_uint8_in_graph)(values)):
        np.testing.assert_array_equal(ours, divided)


def test_flips_are_of_the_stream_that_the_suite_has_always_had():
    """`stateless_uniform` under the key of use 3 of the step and replica, written out."""
    for seed, step, replica in ((0, 0, 0), (7, 123, 0), (7, 123, 1)):
        key = tf.constant([seed, step], tf.int32)
        for data in (3, 0, replica):
            key = tf.random.experimental.stateless_fold_in(key, data, alg="philox")
        expected = tf.random.stateless_uniform([40, 1, 1, 1], key, alg="philox")[:, 0, 0, 0] < 0.5
        np.testing.assert_array_equal(batches.flips(40, seed, step, replica), expected)
        if replica == 0:
            np.testing.assert_array_equal(randomness.key(seed, step, 3), key)
    uses = [value for name, value in vars(randomness).items() if name.isupper()]
    assert len(set(uses)) == len(uses) > 8 and batches.FLIPS == 3 and 3 not in uses


@pytest.mark.parametrize("replica", [0, 1, 5])
def test_flips_have_the_key_that_the_models_would_fold(monkeypatch, replica):
    """Neither package may import the other, so both fold; here they meet."""
    context = types.SimpleNamespace(replica_id_in_sync_group=replica)
    monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: context)
    for seed, step in ((0, 0), (7, 123), (2**31 - 1, 10**9)):
        expected = randomness.key(seed, tf.constant(step, tf.int64), batches.FLIPS)
        np.testing.assert_array_equal(batches.flip_key(seed, tf.constant(step, tf.int64), replica), expected)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("options", [{"flip": True}, {"repeat": 1, "drop_remainder": False}, {"shuffle": False}])
def test_shards_together_are_the_whole(count, options):
    whole = taken(9, **options)
    shards = [taken(9, shard=(index, count), **options) for index in range(count)]
    assert len(whole) == len(shards[0]) > 6
    for step, batch in enumerate(whole):
        for part in range(2):
            np.testing.assert_array_equal(np.concatenate([shard[step][part] for shard in shards]), batch[part])


def test_a_stream_goes_on_where_another_one_stopped():
    whole = taken(12, flip=True)
    for one, other in zip(taken(5, flip=True, first_step=7), whole[7:], strict=True):
        for part in range(2):
            np.testing.assert_array_equal(one[part], other[part])


def test_passes_remainders_and_order():
    assert [len(images) for images, _ in taken(99, repeat=1)] == [8] * 6
    batches_of_all = taken(99, repeat=1, drop_remainder=False)
    assert [len(images) for images, _ in batches_of_all] == [8] * 6 + [2]
    seen = np.concatenate([images for images, _ in batches_of_all])
    assert sorted(image.tobytes() for image in seen) == sorted(image.tobytes() for image in SCALED)
    np.testing.assert_allclose(SCALED, DATA.images / 127.5 - 1, atol=1e-7)
    assert len(taken(99, repeat=2)) == 12 and len(taken(99, repeat=2, drop_remainder=False)) == 13
    in_order = np.concatenate([images for images, _ in taken(99, repeat=1, drop_remainder=False, shuffle=False)])
    np.testing.assert_array_equal(in_order, SCALED)
    assert len(taken(30)) == 30  # without end
    assert not np.array_equal(taken(1)[0][0], taken(1, seed=6)[0][0])
    again = taken(13, repeat=2, drop_remainder=False)
    assert not np.array_equal(again[0][1], again[7][1])  # another order in the second pass


def test_shapes_are_known_and_cardinality_too():
    dataset = pipeline.dataset(DATA, batch_size=8, shard=(1, 2), flip=True)
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(4, 16, 16, 3), (4,)]
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert pipeline.dataset(DATA, batch_size=8, repeat=1).cardinality() == 6
    assert pipeline.dataset(DATA, batch_size=8, repeat=1, drop_remainder=False).element_spec[0].shape[0] is None


def test_a_name_is_loaded_as_asked(tmp_path, sources):
    place = sources.write_idx(tmp_path / "mnist")
    images = pipeline.dataset(
        "mnist", "test", batch_size=5, image_size=28, channels=1, data_dir=place, labels=False, shuffle=False
    )
    first = next(iter(images)).numpy()
    np.testing.assert_allclose(first[..., 0], sources.mnist_arrays(1)[0][:5] / 127.5 - 1, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"repeat": 0}, "repeat must be at least 1, or None"),
        ({"first_step": -1}, "first_step must be at least 0"),
        ({"shard": (2, 2)}, r"Received: shard=\(2, 2\)"),
        ({"shard": (0, 3)}, "a divisor of batch_size=8"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pipeline.dataset(DATA, **{"batch_size": 8, **options})


def compiled(gan):
    gan.compile(keras.optimizers.Adam(2e-4, beta_1=0.5), keras.optimizers.Adam(2e-4, beta_1=0.5))
    return gan


@pytest.mark.parametrize("labels", [False, True])
def test_plain_fit_trains_on_it(labels):
    if labels:
        gan = compiled(CGAN(*CGAN.networks(16, 3, 8, 0.05, num_classes=10), num_classes=10))
    else:
        gan = compiled(DCGAN(*DCGAN.networks(16, 3, 8, 0.05)))
    images = pipeline.dataset(DATA, batch_size=8, labels=labels, flip=True)
    gan.fit(images, steps_per_epoch=2, epochs=2, verbose=0)
    assert int(gan.step.numpy()) == 4
    gan.fit(pipeline.dataset(DATA, batch_size=8, labels=labels, repeat=1), verbose=0)
    assert int(gan.step.numpy()) == 10


def test_a_memory_map_is_read_as_an_array(tmp_path):
    np.save(tmp_path / "images.npy", DATA.images)
    mapped = dataclasses.replace(DATA, images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    for one, other in zip(taken(7, mapped, flip=True), taken(7, flip=True), strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_workers_of_a_strategy_take_it_as_it_is():
    """In a strategy's scope, and without TensorFlow taking a part of the shard."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        dataset = pipeline.dataset(DATA, batch_size=8, seed=5, flip=True)
        distributed = strategy.experimental_distribute_dataset(dataset)
    images, _ = next(iter(distributed))
    np.testing.assert_array_equal(images.numpy(), taken(1, flip=True)[0][0])
    assert dataset.options().experimental_distribute.auto_shard_policy == tf.data.experimental.AutoShardPolicy.OFF
