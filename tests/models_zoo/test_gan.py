"""One step of every variant, the average, the state, and training by plain Keras."""

import inspect
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_gans import compared

from models_zoo import VARIANTS, load_variant, randomness
from models_zoo.gan import GAN
from models_zoo.inputs import is_conditional
from models_zoo.losses import LOSSES, AdversarialLoss
from models_zoo.networks import Dropout

pytestmark = pytest.mark.usefixtures("short_warm_up")

SIZE, BATCH = 16, 4
CLASSES = 5
LABELS = tf.constant([0, 3, 1, 4])
# Losses whose gradient at the discriminator's last bias is zero: the difference of two means or of each pair, and the
# hinge inside its margin pulls it up and down by the same amount.
STILL = {"wasserstein": "logits/bias", "hinge": "logits/bias", "relativistic_pairing": "logits/bias"}


def build(name="dcgan", size=SIZE, compiled=True, channels=3, networks=None, **arguments):
    keras.utils.set_random_seed(0)
    variant = load_variant(name)
    pair = variant.networks(size, channels, 8, 0.1, CLASSES, **(networks or {}))
    gan = variant(*pair, num_classes=CLASSES, name=name, **arguments)
    for network in (gan.generator, gan.discriminator, gan.ema_generator):
        for variable in network.trainable_variables:
            if variable.path == "attention/gamma":  # from zero, the rest of the layer would get no gradient
                variable.assign(0.5)
            elif variable.path.endswith("_narrow/kernel"):  # nor would the rest of the block
                variable.assign(np.random.default_rng(1).normal(0, 0.1, variable.shape))
    if compiled:
        gan.compile(keras.optimizers.Adam(1e-3, name="g"), keras.optimizers.Adam(1e-3, name="d"))
    return gan


def real_images(size=SIZE, count=BATCH):
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)), tf.float32)


def snapshot(network):
    return [variable.numpy().copy() for variable in network.variables]


def same(before, after):
    return [np.array_equal(one, other) for one, other in zip(before, after, strict=True)]


def state_of(gan):
    return {key: variable.numpy().copy() for key, variable in gan.state().items()}


def put(gan, state):
    for key, variable in gan.state().items():
        variable.assign(state[key])


@pytest.fixture(scope="module")
def twins_as_built():
    """name -> two GANs of a variant that were built alike, and what they began with."""
    built = {}

    def pair_of(name):
        if name not in built:
            built.clear()  # one variant at a time: the tests come ordered by it
            pair = build(name), build(name)
            built[name] = pair, state_of(pair[0])
        return built[name]

    return pair_of


@pytest.fixture
def twins(request, twins_as_built):
    """Two GANs of the variant that the test is for, built once for all tests here, as they were built."""
    pair, beginning = twins_as_built(request.param)
    for gan in pair:
        put(gan, beginning)
    return pair


EVERY_VARIANT = pytest.mark.parametrize("twins", VARIANTS, indirect=True, scope="module")


@pytest.mark.parametrize("size", [16, 44])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_step_moves_exactly_what_it_should(name, size):
    gan = build(name, size)
    generator, discriminator = snapshot(gan.generator), snapshot(gan.discriminator)
    average = snapshot(gan.ema_generator)

    logs = gan.discriminator_step(real_images(size), LABELS)
    assert all(same(generator, snapshot(gan.generator)))
    assert all(same(average, snapshot(gan.ema_generator)))
    pairs = zip(gan.discriminator.variables, same(discriminator, snapshot(gan.discriminator)), strict=True)
    still = [variable.path for variable, is_same in pairs if is_same and variable.trainable]
    allowed = STILL.get(gan.adversarial_loss)
    assert all(allowed and path.endswith(allowed) for path in still) and len(still) <= 1
    assert all(np.isfinite(float(value)) for value in logs.values())

    discriminator = snapshot(gan.discriminator)
    logs = gan.generator_step(BATCH, *compared(gan, real_images(size)))
    assert all(same(discriminator, snapshot(gan.discriminator)))
    assert not any(same(generator, snapshot(gan.generator)))
    assert not any(same(average, snapshot(gan.ema_generator)))
    assert all(np.isfinite(float(value)) for value in logs.values())


@EVERY_VARIANT
def test_trains_under_plain_keras(twins):
    gan = twins[0]
    weights = snapshot(gan.generator)
    dataset = tf.data.Dataset.from_tensor_slices((real_images(count=12), tf.tile(LABELS, [3]))).batch(BATCH)
    history = gan.fit(dataset, epochs=2, verbose=0).history
    assert set(history) == set(gan.logged) and np.isfinite(list(history.values())).all()
    assert int(gan.step.numpy()) == 6
    assert not any(same(weights, snapshot(gan.generator)))


def test_trains_under_plain_keras_with_labels_names_of_optimizers_and_several_updates():
    gan = build(compiled=False, discriminator_steps=2)
    gan.compile("adam", "rmsprop")
    dataset = tf.data.Dataset.from_tensor_slices((real_images(count=17), tf.zeros(17, tf.int32)))
    gan.fit(dataset.batch(2 * BATCH, drop_remainder=True), verbose=0)
    assert int(gan.step.numpy()) == 2 and int(gan.discriminator_optimizer.iterations.numpy()) == 4
    assert gan(tf.zeros((3, 8))).shape == (3, SIZE, SIZE, 3)
    assert len(gan.state()) == len({id(variable) for variable in gan.state().values()})


@EVERY_VARIANT
def test_no_two_layers_begin_with_the_same_numbers(twins):
    """An initializer that is used twice draws the same numbers twice."""
    gan = twins[0]
    for network in (gan.generator, gan.discriminator):
        kernels = [v.numpy().ravel() for v in network.trainable_variables if len(v.shape) > 1 and v.numpy().std() > 0]
        beginnings = [tuple(np.round(kernel[:3] / kernel.std(), 4)) for kernel in kernels]
        assert len(set(beginnings)) == len(beginnings) > 1


def sum_of_weights(name):
    keras.utils.set_random_seed(0)
    pair = load_variant(name).networks(SIZE, 3, 8, 0.1, CLASSES)
    return sum(float(np.abs(v.numpy()).sum(dtype=np.float64)) for n in pair for v in n.trainable_variables)


@pytest.fixture(scope="module")
def sums_of_another_process():
    """Of every variant, the sum of the magnitudes of its weights, its file imported after the seed was set."""
    code = (
        f"import json, keras, numpy as np\n"
        f"from models_zoo import VARIANTS, load_variant\n"
        f"SIZE, CLASSES = {SIZE}, {CLASSES}\n"
        f"{inspect.getsource(sum_of_weights)}\n"
        f"print(json.dumps({{name: sum_of_weights(name) for name in VARIANTS}}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return json.loads(printed)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_seed_gives_the_same_weights_in_another_process(name, sums_of_another_process):
    """Initializers made while importing would draw their seeds before any seed is set."""
    assert sums_of_another_process[name] == sum_of_weights(name)


@EVERY_VARIANT
def test_state_is_complete_and_uniquely_named(twins):
    gan, other = twins
    everything = [*gan.variables, *gan.generator_optimizer.variables, *gan.discriminator_optimizer.variables]
    everything += [variable for metric in gan.metrics for variable in metric.variables]
    assert {id(v) for v in gan.state().values()} == {id(v) for v in everything}
    assert list(other.state()) == list(gan.state()), "names must not depend on what else the process built"
    for part in (
        "generator/",
        "discriminator/",
        "ema_generator/",
        "generator_optimizer/",
        "log/d_loss/total",
        "training/step",
    ):
        assert any(key.startswith(part) for key in gan.state())


def test_two_variables_of_one_name_are_refused():
    gan = build()
    gan.add_weight(shape=(), name="step")
    with pytest.raises(
        ValueError, match=r"Every variable needs a name of its own.*Received: \d+ variables with \d+ names"
    ):
        gan.state()


@EVERY_VARIANT
def test_every_variable_of_the_state_matters(twins):
    """Steps from a copied state equal steps of the original to the bit; nothing lives outside the state."""
    first, second = twins
    for _ in range(2):
        first.train_step((real_images(), LABELS))
    for key, variable in first.state().items():
        second.state()[key].assign(variable.numpy())
    for gan in (first, second):
        gan.train_step((real_images(), LABELS))
    for key, variable in first.state().items():
        np.testing.assert_array_equal(variable.numpy(), second.state()[key].numpy(), err_msg=key)


def test_average_follows_its_formula():
    gan = build(ema_decay=0.9)
    weight = gan.generator.trainable_variables[0]
    expected = weight.numpy().astype(np.float64)
    step = tf.function(gan.train_step)
    for t in range(25):
        step(real_images())
        decay = min(0.9, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * weight.numpy()
    np.testing.assert_allclose(gan.ema_generator.weights[0].numpy(), expected, rtol=1e-5, atol=1e-7)
    assert not np.allclose(expected, weight.numpy(), rtol=1e-3)


def test_average_copies_the_statistics_of_batch_normalization():
    gan = build()
    gan.train_step(real_images())
    for layer in ("norm_0", "norm_1"):
        ours, theirs = gan.ema_generator.get_layer(layer), gan.generator.get_layer(layer)
        np.testing.assert_array_equal(ours.moving_mean.numpy(), theirs.moving_mean.numpy())
        np.testing.assert_array_equal(ours.moving_variance.numpy(), theirs.moving_variance.numpy())
        assert not np.array_equal(ours.moving_mean.numpy(), np.zeros_like(ours.moving_mean.numpy()))


def test_ema_decay_zero_keeps_the_newest_weights():
    gan = build(ema_decay=0.0)
    gan.train_step(real_images())
    assert all(same(snapshot(gan.generator), snapshot(gan.ema_generator)))


def test_one_discriminator_step_is_the_algorithm_done_by_hand():
    """Gradient of the loss at the images and latents of the step, through one optimizer update, in plain TensorFlow."""
    gan, by_hand = (build("sngan", networks={"architecture": "strided"}) for _ in range(2))
    sgd = [keras.optimizers.SGD(0.5, name=name) for name in "gd"]
    gan.compile(*sgd)
    gan.discriminator_step(real_images())

    for layer in by_hand.discriminator.layers:
        if hasattr(layer, "update"):
            layer.update()
    key = randomness.key(0, 0, randomness.DISCRIMINATOR_LATENTS, 0)
    fake = by_hand.generator(randomness.normal([BATCH, 8], key), training=True)
    with tf.GradientTape() as tape:
        real_term = tf.reduce_mean(tf.nn.relu(1 - by_hand.discriminator(real_images(), training=True)))
        fake_term = tf.reduce_mean(tf.nn.relu(1 + by_hand.discriminator(fake, training=True)))
        loss = real_term + fake_term
    variables = [v.value for v in by_hand.discriminator.trainable_variables]
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(0.5 * gradient)
    for ours, theirs in zip(gan.discriminator.variables, by_hand.discriminator.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6, err_msg=ours.path)


def test_one_generator_step_is_the_algorithm_done_by_hand():
    gan, by_hand = build("dcgan"), build("dcgan")
    gan.compile(*[keras.optimizers.SGD(0.5, name=name) for name in "gd"])
    gan.generator_step(BATCH)
    latents = randomness.normal([BATCH, 8], randomness.key(0, 0, randomness.GENERATOR_LATENTS))
    with tf.GradientTape() as tape:
        logits = by_hand.discriminator(by_hand.generator(latents, training=True), training=True)
        loss = tf.reduce_mean(-tf.math.log_sigmoid(logits))
    variables = [v.value for v in by_hand.generator.trainable_variables]
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(0.5 * gradient)
    for ours, theirs in zip(gan.generator.variables, by_hand.generator.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6, err_msg=ours.path)


def test_discriminator_steps_split_the_batch():
    gan, one = build(discriminator_steps=3), build()
    images = real_images(count=3 * BATCH)
    seen = []
    original = gan.discriminator_step
    gan.discriminator_step = lambda real, labels, index: seen.append(real.numpy()) or original(real, labels, index)
    gan.train_step(images)
    np.testing.assert_array_equal(np.concatenate(seen), images.numpy())
    one.train_step(images[:BATCH])
    assert not all(same(snapshot(gan.discriminator), snapshot(one.discriminator)))
    assert int(gan.discriminator_optimizer.iterations.numpy()) == 3
    assert int(gan.generator_optimizer.iterations.numpy()) == 1


@pytest.fixture(scope="module")
def steps_of_losses():
    """The losses of one step of SNGAN, by the name of the adversarial loss."""
    steps = {loss: build("sngan", loss=loss).train_step(real_images()) for loss in LOSSES}
    return {loss: (float(logs["d_loss"]), float(logs["g_loss"])) for loss, logs in steps.items()}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_option_changes_the_step(loss, steps_of_losses):
    """Both losses: as a generator's, the hinge and the Wasserstein loss are one."""
    others = [values for other, values in steps_of_losses.items() if other != loss]
    assert len(others) == len(LOSSES) - 1 and steps_of_losses[loss] not in others


TAKE_ANY_LOSS = [name for name in VARIANTS if not load_variant(name).only_losses]


def test_only_algorithms_with_a_loss_of_their_own_take_no_other():
    assert set(VARIANTS) - set(TAKE_ANY_LOSS) == {"lsgan", "wgan", "rpgan", "r3gan", "ebgan", "began"}


@pytest.mark.parametrize("name", TAKE_ANY_LOSS)
def test_a_new_loss_in_the_table_is_descended_by_every_variant_that_takes_any(name, monkeypatch):
    hinge = LOSSES["hinge"]
    added = AdversarialLoss(
        lambda real, fake: 100 + hinge.discriminator(real, fake), lambda fake: 10 - hinge.generator(fake)
    )
    monkeypatch.setitem(LOSSES, "added", added)
    gan = build(name, compiled=False, loss="added", networks={"dropout": 0.0} if name == "acgan" else {})
    assert gan.adversarial_loss == "added" and load_variant(name).default_loss in LOSSES
    fake, values = -real_images(), []
    for gan.adversarial_loss in ("added", "hinge"):
        of_discriminator, _ = gan.discriminator_loss(real_images(), LABELS, fake, LABELS, 0)
        of_generator, logs = gan.generator_loss(fake, LABELS)
        weight = getattr(gan, "class_weight", 1.0)
        values.append((float(of_discriminator), float(of_generator) - weight * float(logs.get("g_class", 0))))
    (d_added, g_added), (d_hinge, g_hinge) = values
    assert d_added == pytest.approx(100 + d_hinge, rel=1e-6) and g_added == pytest.approx(10 - g_hinge, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_scores_are_logged_as_they_are_and_logits_as_probabilities(loss):
    given = tf.constant([[-1.0], [3.0]]), tf.constant([[0.5], [0.0]])
    logs = build("dcgan", loss=loss).opinions(*given)
    of_scores = loss in ("least_squares", "least_squares_pearson", "wasserstein")
    for name, logits in zip(("d_real", "d_fake"), given, strict=True):
        seen = logits.numpy() if of_scores else 1 / (1 + np.exp(-logits.numpy()))
        assert float(logs[name]) == pytest.approx(seen.mean(), rel=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variants_file_is_its_algorithm(name):
    """Its own step of a few lines, and its own losses, in a file that fits on a wall."""
    variant = load_variant(name)
    assert {"train_step", "discriminator_loss", "generator_loss", "networks"} <= set(vars(variant))
    assert GAN in variant.__bases__
    assert len(inspect.getsource(variant.train_step).splitlines()) <= 15
    assert len(inspect.getsource(inspect.getmodule(variant)).splitlines()) < (220 if name == "cgan" else 150)


def test_the_base_has_no_algorithm():
    gan = GAN.__new__(GAN)
    for call in (
        lambda: gan.train_step(None),
        lambda: gan.discriminator_loss(*[None] * 5),
        lambda: gan.generator_loss(None, None),
        lambda: GAN.networks(32, 3, 8, 1.0),
    ):
        with pytest.raises(NotImplementedError):
            call()


def test_a_network_is_conditional_if_it_takes_labels():
    for name, expected in (("dcgan", [False, False]), ("acgan", [True, False]), ("sagan", [True, True])):
        assert [is_conditional(network) for network in load_variant(name).networks(16, 3, 8, 0.05, 5)] == expected


def test_noise_differs_by_seed_step_use_and_index():
    keys = [
        tuple(randomness.key(seed, step, use, index).numpy())
        for seed in (0, 1) for step in (0, 1) for use in (1, 2) for index in (0, 1)
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert tuple(randomness.key(0, 0, 1).numpy()) == keys[0]


def test_latents_of_a_seed_are_a_prefix_and_standard_normal():
    four, nine = randomness.latents_of(4, 7, 5).numpy(), randomness.latents_of(9, 7, 5).numpy()
    np.testing.assert_array_equal(four, nine[:4])
    assert not np.array_equal(randomness.latents_of(4, 8, 5).numpy(), four)
    np.testing.assert_array_equal(randomness.latents_of(3, 7, 5, first=4).numpy(), nine[4:7])
    classes = randomness.labels_of(9, 7, 10).numpy()
    np.testing.assert_array_equal(randomness.labels_of(3, 7, 10, first=4).numpy(), classes[4:7])
    many = randomness.latents_of(2000, 0, 10).numpy()
    assert abs(many.mean()) < 0.03 and abs(many.std() - 1) < 0.03
    assert len(np.unique(many)) > 0.999 * many.size


def test_labels_of_a_seed_are_a_prefix_and_uniform():
    np.testing.assert_array_equal(randomness.labels_of(5, 3, 10).numpy(), randomness.labels_of(9, 3, 10).numpy()[:5])
    counts = np.bincount(randomness.labels_of(5000, 0, 10).numpy(), minlength=10)
    assert counts.min() > 400 and len(counts) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"loss": "margin"},
            "loss must be one of non_saturating, minimax, .* for DCGAN. Received: loss='margin'",
        ),
        ({"discriminator_steps": 0}, "discriminator_steps must be at least 1. Received: discriminator_steps=0"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\). Received: ema_decay=1.0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="variant must be one of dcgan.*Received: variant='gan'"):
        load_variant("gan")


def test_variants_are_gans():
    assert all(issubclass(load_variant(name), GAN) for name in VARIANTS)


@pytest.mark.parametrize("name", ["acgan", "cgan", "sagan"])
def test_labels_come_as_b_or_b_1_and_as_any_integer(name):
    gan, logs = build(name), []
    beginning = state_of(gan)
    for labels in (LABELS, tf.cast(LABELS, tf.int64)[:, None], tf.cast(LABELS, tf.uint8)):
        put(gan, beginning)
        logs.append({key: float(value) for key, value in gan.train_step((real_images(), labels)).items()})
    assert logs[0] == logs[1] == logs[2]


@pytest.fixture(scope="module")
def steps_of_acgan():
    gan = build("acgan")
    return gan.train_step, tf.function(gan.train_step)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (tf.one_hot(LABELS, CLASSES), ValueError, r"labels must be integers \[B\], not one-hot.*shape=\(4, 5\)"),
        (tf.cast(LABELS, tf.float32), ValueError, "labels must be integers"),
        (LABELS + 1, tf.errors.InvalidArgumentError, "labels must be from 0 to 4, as num_classes is 5"),
        (LABELS - 1, tf.errors.InvalidArgumentError, "labels must be from 0 to 4"),
    ],
)
def test_wrong_labels_are_refused(labels, error, message, steps_of_acgan):
    for step in steps_of_acgan:
        with pytest.raises(error, match=message):
            step((real_images(), labels))


def test_images_that_are_not_floats_are_refused():
    with pytest.raises(ValueError, match=r"images must be floats in \[-1, 1\].*Received: dtype=uint8"):
        build().train_step(tf.zeros((4, 32, 32, 3), tf.uint8))


def test_a_gan_is_not_saved_whole_but_says_what_is(tmp_path):
    gan = build("wgan")
    with pytest.raises(NotImplementedError, match="ema_generator.save"):
        gan.save(tmp_path / "gan.keras")
    gan.train_step(real_images())
    gan.ema_generator.save(tmp_path / "generator.keras")
    loaded = keras.models.load_model(tmp_path / "generator.keras")
    np.testing.assert_array_equal(loaded(tf.ones((2, 8))), gan.ema_generator(tf.ones((2, 8)), training=False))
    gan.save_weights(tmp_path / "gan.weights.h5")
    other = build("wgan")
    other.load_weights(tmp_path / "gan.weights.h5")
    assert all(same(snapshot(gan.generator), snapshot(other.generator)))
    assert all(same(snapshot(gan.ema_generator), snapshot(other.ema_generator)))


def test_optimizers_and_policies_that_cannot_work_are_refused():
    gan = build(compiled=False)
    optimizer = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="each network needs an optimizer object of its own"):
        gan.compile(optimizer, optimizer)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.raises(ValueError, match="float16 needs loss scaling"):
            build()
    finally:
        keras.config.set_dtype_policy("float32")


def test_classes_of_networks_and_gan_must_agree():
    with pytest.raises(ValueError, match="num_classes must be that of the networks, 5. Received: num_classes=4"):
        variant = load_variant("acgan")
        variant(*variant.networks(32, 3, 8, 0.1, CLASSES), num_classes=CLASSES - 1)


def test_dropout_follows_the_seed():
    masks = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        masks.append(Dropout(0.5)(tf.ones((3, 50)), training=True).numpy())
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])
