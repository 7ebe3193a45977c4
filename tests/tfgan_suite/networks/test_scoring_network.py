"""Scoring networks: their resize and value rules against NumPy and Pillow, every kind of file, every option."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_tools import shapes
from data_tools.errors import SuiteError, UsageError
from tfgan_suite.networks import input_rules, scoring_network
from tfgan_suite.networks import small_classifiers as classifier

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (32, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def load(tiny_inception):
    """The small module in the place of TF-GAN's."""

    def run(**options):
        return scoring_network.load("inception", inception=tiny_inception, **options)

    return run


def tf1_bilinear(images, side):
    """TensorFlow 1's rule from its definition: source coordinate i * size / side, neighbours clamped at the edge."""
    _, height, width, _ = images.shape
    y, x = np.arange(side) * (height / side), np.arange(side) * (width / side)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    dy, dx = (y - top)[:, None, None], (x - left)[:, None]
    images = images.astype(np.float64)
    upper = images[:, top][:, :, left] * (1 - dx) + images[:, top][:, :, right] * dx
    lower = images[:, bottom][:, :, left] * (1 - dx) + images[:, bottom][:, :, right] * dx
    return upper * (1 - dy) + lower * dy


@pytest.mark.parametrize("shape", [(32, 32), (108, 108), (20, 45), (400, 310)])
def test_tf1_is_tensorflow_1s_rule(shape):
    images = RANDOM.integers(0, 256, (2, *shape, 3)).astype(np.float32)
    np.testing.assert_allclose(
        input_rules.tf1(images, 299), tf1_bilinear(images, 299), atol=2e-2
    )  # float32 coordinates
    assert np.abs(input_rules.bilinear(images, 299) - tf1_bilinear(images, 299)).mean() > 1  # the offset matters


@pytest.mark.parametrize("shape", [(32, 32), (108, 108), (400, 310)])
def test_clean_is_pillows_rule_in_floating_point(shape):
    images = RANDOM.integers(0, 256, (2, *shape, 3)).astype(np.float32)
    expected = np.stack([
        np.stack([
            np.asarray(Image.fromarray(image[..., c], mode=None).resize((299, 299), Image.Resampling.BICUBIC))
            for c in range(3)
        ], axis=-1).clip(0, 255)
        for image in images
    ])  # fmt: skip
    found = input_rules.clean(images, 299).numpy()
    assert np.abs(found - expected).max() < 0.05 and found.min() >= 0 and found.max() <= 255


@pytest.mark.parametrize("rule", list(input_rules.RESIZES))
def test_at_the_right_size_no_rule_changes_a_pixel(rule):
    images = IMAGES.astype(np.float32)
    np.testing.assert_allclose(input_rules.RESIZES[rule][0](images, 32), images, atol=1e-3)


@pytest.mark.parametrize("resize", ["auto", "tf1", "clean", "bilinear"])
def test_outputs_are_those_of_the_bare_network_after_the_stated_rules(load, tiny_models, resize):
    network = load(resize=resize)
    rule = {"auto": input_rules.tf1}.get(resize) or input_rules.RESIZES[resize][0]
    pixels = rule(IMAGES[:5].astype(np.float32), 299).numpy()
    expected = tiny_models.TinyInception()((pixels.astype(np.float32) - 128) / 128)
    assert network.values == "(x - 128) / 128"
    for output, values in network(IMAGES[:5]).items():
        assert values.dtype == tf.float32
        np.testing.assert_allclose(values, expected[output], rtol=1e-4, atol=1e-4)


def test_the_resize_option_changes_features_and_is_recorded(load):
    networks = {resize: load(resize=resize) for resize in ("tf1", "clean", "bilinear")}
    features = {resize: network(IMAGES[:4])["pool_3"].numpy() for resize, network in networks.items()}
    for one, other in (("tf1", "clean"), ("clean", "bilinear"), ("bilinear", "tf1")):
        assert np.abs(features[one] - features[other]).max() > 1e-3
    assert load() == networks["tf1"]
    assert networks["tf1"].resize == "tf1 bilinear to 299"
    assert networks["clean"].resize == "clean bicubic antialiased to 299"
    assert networks["clean"].resize_of(32, 32) == networks["clean"].resize
    assert networks["clean"].resize_of(299, 299) == "none"


def test_resizing_can_be_off(load):
    network = load(resize="none")
    assert network.resize == "none"
    assert network(np.zeros((1, 299, 299, 3), np.uint8))["pool_3"].shape == (1, 2048)
    with pytest.raises(UsageError, match=r"takes 299x299 pixels and resizing is off.*Received: 32x32"):
        network(IMAGES)


@pytest.mark.parametrize("name", ["inception", "shapes"])
def test_batch_sizes_agree(load, name):
    network = load() if name == "inception" else scoring_network.load(name)
    whole = network(IMAGES)
    for size in (1, 7):
        parts = [network(IMAGES[i : i + size]) for i in range(0, 32, size)]
        for output in network.outputs:
            found = np.concatenate([part[output] for part in parts])
            assert np.abs(found - whole[output]).max() <= 1e-5 * np.abs(whole[output]).max()


def test_arrays_and_tensors_of_any_size_without_tracing_again(load):
    traces = []
    original, scoring_network._rows = scoring_network._rows, lambda values: traces.append(1) or original(values)
    try:
        network = scoring_network.load("shapes")
        traced = len(traces)
        for images in (IMAGES, IMAGES[:3], tf.constant(IMAGES), np.zeros((2, 40, 40, 3), np.uint8)):
            assert network(images)["logits"].shape == (len(images), 10)
        assert len(traces) == traced > 0
    finally:
        scoring_network._rows = original


def test_it_runs_inside_a_dataset(load):
    network = scoring_network.load("shapes")
    rows = tf.data.Dataset.from_tensor_slices(IMAGES).batch(10).map(network).unbatch().batch(32)
    np.testing.assert_allclose(next(iter(rows))["pool_3"], network(IMAGES)["pool_3"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "images, received",
    [
        (IMAGES.astype(np.float32), r"float32 \[32, 32, 32, 3\]"), (IMAGES[..., :1], r"uint8 \[32, 32, 32, 1\]"),
        (IMAGES[0], r"uint8 \[32, 32, 3\]"), (IMAGES[:0], r"uint8 \[0, 32, 32, 3\]"), ([1, 2], r"list \[\]"),
        (tf.constant(IMAGES, tf.int32), r"int32 \[32, 32, 32, 3\]"),
    ],
)  # fmt: skip
def test_other_images_are_refused_in_words(images, received):
    with pytest.raises(UsageError, match=rf"shapes scores batches of one or more RGB images.*Received: {received}"):
        scoring_network.load("shapes")(images)


@pytest.mark.parametrize("side", [32, 48])
def test_the_built_in_one_keeps_its_preprocessing(side):
    data = shapes.draw(50, seed=4, image_size=side)
    network, before = scoring_network.load("shapes"), classifier.load("shapes")
    assert network.class_names == shapes.CLASS_NAMES and network.fingerprint == before.fingerprint
    assert (network.name, network.image_size, network.values) == ("shapes", 32, "x / 127.5 - 1")
    assert network.resize == "bilinear antialiased to 32" and not network.is_inception
    images = tf.image.resize(data.images, (32, 32), antialias=True) / 127.5 - 1
    expected, found = before.network(images, training=False), network(data.images)
    for name in ("logits", "pool_3"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)


def test_bfloat16_moves_features_a_little_and_is_recorded(load):
    plain, before = load(), load()(IMAGES)["pool_3"].numpy()
    try:
        fast = load(dtype="bfloat16")
    except SuiteError as error:
        assert "cannot be run in bfloat16 on this processor: use --dtype float32" in str(error)
        return
    assert (fast.dtype, plain.dtype) == ("bfloat16", "float32") and fast.fingerprint == plain.fingerprint
    found = fast(IMAGES)["pool_3"]
    assert found.dtype == tf.float32
    assert 1e-5 < np.linalg.norm(found - before) / np.linalg.norm(before) < 2e-2
    np.testing.assert_array_equal(plain(IMAGES)["pool_3"], before)  # nothing else is affected


def test_bfloat16_that_does_nothing_is_refused(load, monkeypatch):
    monkeypatch.setattr(scoring_network, "_bfloat16", scoring_network.contextlib.nullcontext)
    with pytest.raises(SuiteError, match="cannot be run in bfloat16"):
        load(dtype="bfloat16")


def keras_model(outputs, side=16):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((side, side, 3))
    features = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Conv2D(4, 3)(inputs))
    logits = keras.layers.Dense(5, name="head")(features)
    return keras.Model(inputs, outputs(logits, features))


@pytest.mark.parametrize(
    "outputs, names",
    [
        (lambda logits, features: {"logits": logits, "pool_3": features}, ("logits", "pool_3")),
        (lambda logits, features: {"pool_3": features, "other": logits}, ("pool_3",)),
        (lambda logits, features: [logits, features], ("logits", "pool_3")),
        (lambda logits, features: logits, ("logits",)),
    ],
)
def test_a_keras_file(tmp_path, outputs, names):
    model = keras_model(outputs)
    model.save(tmp_path / "mine.keras")
    network = scoring_network.load(str(tmp_path / "mine.keras"))
    assert (network.name, network.outputs, network.image_size, network.class_names) == ("mine", names, 16, ())
    small = IMAGES[:6, :16, :16]
    expected = model(small.astype(np.float32) / 127.5 - 1)
    if not isinstance(expected, dict):
        expected = dict(zip(names, expected if isinstance(expected, (list, tuple)) else [expected], strict=True))
    for name in names:
        np.testing.assert_allclose(network(small)[name], expected[name], rtol=1e-5, atol=1e-5)
    in_memory = scoring_network.of_keras_model(model, name="mine")
    assert in_memory.fingerprint == network.fingerprint
    model.set_weights([weight + 1 for weight in model.get_weights()])
    assert scoring_network.of_keras_model(model, name="mine").fingerprint != network.fingerprint


def test_keras_files_that_do_not_fit_are_refused(tmp_path):
    keras_model(lambda logits, features: {"scores": logits}).save(tmp_path / "names.keras")
    with pytest.raises(SuiteError, match="outputs logits and/or pool_3. Received: scores"):
        scoring_network.load(str(tmp_path / "names.keras"))
    keras_model(lambda logits, features: [logits, features, logits]).save(tmp_path / "three.keras")
    with pytest.raises(SuiteError, match="Received: 3 outputs"):
        scoring_network.load(str(tmp_path / "three.keras"))
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)]).save(tmp_path / "flat.keras")
    with pytest.raises(SuiteError, match=r"must take one batch of square RGB images.*Received: \(None, 8\)"):
        scoring_network.load(str(tmp_path / "flat.keras"))
    code = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x[:, 0, 0])])
    code.save(tmp_path / "code.keras")
    with pytest.raises(SuiteError, match="no Keras model that can be loaded safely"):
        scoring_network.load(str(tmp_path / "code.keras"))
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(SuiteError, match="no Keras model that can be loaded safely"):
        scoring_network.load(str(tmp_path / "text.keras"))


def test_a_saved_model_folder(tiny_inception, tiny_models):
    network = scoring_network.load(str(tiny_inception))
    assert (network.name, network.is_inception, network.image_size) == ("inception", False, 299)
    assert (network.resize, network.values) == ("bilinear antialiased to 299", "x / 127.5 - 1")
    pixels = input_rules.bilinear(IMAGES[:3].astype(np.float32), 299) / 127.5 - 1
    np.testing.assert_allclose(
        network(IMAGES[:3])["pool_3"], tiny_models.TinyInception()(pixels)["pool_3"], rtol=1e-4, atol=1e-4
    )
    assert scoring_network.load(str(tiny_inception), resize="tf1").resize == "tf1 bilinear to 299"


def test_a_saved_model_of_any_size_is_not_resized(tmp_path, tiny_models):
    folder = tiny_models.save_function(
        tmp_path / "any", lambda images: {"pool_3": tf.reduce_mean(images, [1, 2], keepdims=True)}
    )
    network = scoring_network.load(str(folder))
    assert (network.image_size, network.resize, network.outputs) == (None, "none", ("pool_3",))
    np.testing.assert_allclose(  # [B, 1, 1, 3] comes as [B, 3]
        network(IMAGES)["pool_3"], IMAGES.mean(axis=(1, 2)) / 127.5 - 1, rtol=1e-5, atol=1e-5
    )
    with pytest.raises(UsageError, match="takes images of any size: only --resize none"):
        scoring_network.load(str(folder), resize="clean")


def test_a_network_that_gives_nan_is_refused(tmp_path, tiny_models):
    folder = tiny_models.save_function(
        tmp_path / "bad", lambda images: {"logits": tf.math.log(tf.reduce_min(images, [1, 2]))}
    )
    with pytest.raises(SuiteError, match=r"must give finite numbers \[2, k\] as 'logits'"):
        scoring_network.load(str(folder))


def test_images_that_are_not_square_are_refused_not_stretched():
    network = scoring_network.load("shapes")
    for shape in ((40, 60), (60, 40)):
        with pytest.raises(UsageError, match=f"none are stretched: cut them first. Received: {shape[0]}x{shape[1]}"):
            network(np.zeros((2, *shape, 3), np.uint8))


def test_a_network_whose_answer_depends_on_its_neighbours_is_refused(tmp_path, tiny_models):
    """Batch statistics, a sum over the batch, and noise; what is for each image by itself passes."""

    def pooled(images):
        return tf.reduce_mean(images, [1, 2])

    functions = {
        "statistics": lambda images: {"logits": pooled(images) - tf.reduce_mean(pooled(images), 0, keepdims=True)},
        "little": lambda images: {"logits": pooled(images) + 0.02 * tf.reduce_mean(pooled(images), 0, keepdims=True)},
        "noise": lambda images: {"logits": pooled(images) + 0.1 * tf.random.normal([3])},
    }
    for name, function in functions.items():
        folder = tiny_models.save_function(tmp_path / name, function)
        with pytest.raises(SuiteError, match=f"{name} gives an image other logits alone than beside another image"):
            scoring_network.load(str(folder))
    offset = tiny_models.save_function(tmp_path / "offset", lambda x: {"logits": 1e4 + pooled(x)})
    assert scoring_network.load(str(offset)).outputs == ("logits",)


def test_classes_named_twice_are_refused():
    model = keras_model(lambda logits, features: logits)
    with pytest.raises(SuiteError, match="mine: the names of classes must differ.*'a' twice"):
        scoring_network.of_keras_model(model, name="mine", class_names=("a", "b", "c", "d", "a"))


def test_a_network_is_asked_without_tf32(monkeypatch):
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    network, seen, before = scoring_network.load("shapes"), [], enabled()
    plain = network._run
    watched = dataclasses.replace(network, _run=lambda images: seen.append(enabled()) or plain(images))
    try:
        tf.config.experimental.enable_tensor_float_32_execution(True)
        watched(IMAGES)
        assert seen == [False] and enabled()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def test_a_network_that_fails_or_gives_one_row_is_refused(tmp_path, tiny_models):
    folder = tiny_models.save_function(tmp_path / "one", lambda images: {"logits": tf.reduce_mean(images, [1])[0]})
    with pytest.raises(SuiteError, match=r"must give finite numbers \[2, k\].*Received: \[299, 3\]"):
        scoring_network.load(str(folder))
    folder = tiny_models.save_function(tmp_path / "fails", lambda images: {"logits": tf.reshape(images, [-1, 7])})
    with pytest.raises(SuiteError, match="cannot be run on two images of 299x299 pixels"):
        scoring_network.load(str(folder))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"classifier": "nowhere"}, "--classifier must be inception, shapes, .*Received: nowhere"),
        ({"classifier": "nowhere.npz"}, "--classifier must be one of"),
        ({"classifier": "shapes", "resize": "nearest"}, "--resize must be one of auto, none, tf1.*Received: nearest"),
        ({"classifier": "shapes", "dtype": "float16"}, "--dtype must be one of float32, bfloat16. Received: float16"),
        ({"classifier": "shapes", "inception": "x"}, "--inception goes with --classifier inception"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        scoring_network.load(**options)


def test_what_it_records_can_be_written_as_json(load):
    record = {field.name: getattr(load(), field.name) for field in dataclasses.fields(load()) if field.repr}
    assert json.loads(json.dumps(record))["name"] == "tfgan-inception" and record["is_inception"]
