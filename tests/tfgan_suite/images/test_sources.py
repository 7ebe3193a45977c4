"""Images to be scored, good and bad, from every place they may come from."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_tools import shapes
from data_tools.errors import DataError, SuiteError, UsageError
from tfgan_suite.images.named_sources import Options, open_source
from tfgan_suite.images.sources import ArraySource, FileSource, GeneratorSource
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.generator_export import export
from tfgan_suite.runs.run_folder import create
from tfgan_suite.training import building

DATA = shapes.draw(50, seed=1)
SETTINGS = Config(variant="cgan", width=0.05, latent_dim=4, batch_size=4, steps=1, num_classes=10)


def everything(source, num_images, batch_size=32):
    images, labels = zip(*source.batches(num_images, batch_size), strict=True)
    return np.concatenate(images), None if labels[0] is None else np.concatenate(labels)


def constant(value, shape=(16, 16, 3)):
    return lambda latents, labels: np.full((len(latents), *shape), value, np.float32)


def generator(generate, **options):
    return GeneratorSource(generate, name="g", image_size=16, latent_dim=4, **options)


def test_arrays_come_shuffled_by_a_seed_or_as_they_are():
    plain = everything(ArraySource(DATA, "x", shuffle_seed=None), 50)
    np.testing.assert_array_equal(plain[0], DATA.images)
    np.testing.assert_array_equal(plain[1], DATA.labels)
    order = np.random.default_rng(7).permutation(50)
    for batch_size in (1, 7, 50):
        images, labels = everything(ArraySource(DATA, "x", shuffle_seed=7), 31, batch_size)
        np.testing.assert_array_equal(images, DATA.images[order[:31]])
        np.testing.assert_array_equal(labels, DATA.labels[order[:31]])
    with pytest.raises(UsageError, match="x has 50 images, fewer than the 51"):
        ArraySource(DATA, "x", shuffle_seed=None).require(51)


@pytest.fixture
def folder(tmp_path):
    for i in range(12):
        place = tmp_path / "pictures" / DATA.class_names[DATA.labels[i] % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(DATA.images[i]).save(place / f"{i:02}.png")
    return tmp_path / "pictures"


@pytest.fixture
def flat(tmp_path):
    (tmp_path / "flat").mkdir()
    for i in range(12):
        Image.fromarray(DATA.images[i]).save(tmp_path / "flat" / f"{i:02}.png")
    return tmp_path / "flat"


def test_class_folders_give_their_pictures_and_labels(folder):
    source = FileSource(folder, shuffle_seed=None)
    images, labels = everything(source, 12, 5)
    paths = sorted(folder.rglob("*.png"))
    np.testing.assert_array_equal(images, [np.asarray(Image.open(path)) for path in paths])
    assert [source.class_names[label] for label in labels] == [path.parent.name for path in paths]
    shuffled, other = everything(FileSource(folder, shuffle_seed=1), 12)
    assert not np.array_equal(images, shuffled) and sorted(labels) == sorted(other)
    for hidden in (".ipynb_checkpoints/x.png", "circle/._x.png", "__MACOSX/x.png"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes(b"no picture")
    assert FileSource(folder, shuffle_seed=None).size == 12


def test_pictures_beside_class_folders_are_left_out_and_it_is_said(folder):
    first = sorted(folder.rglob("*.png"))[0]
    (folder / "flat.png").write_bytes(first.read_bytes())
    said = []
    source = open_source(str(folder), Options(report=said.append))
    assert source.size == 12 and source.class_names
    assert said == [f"note: 1 picture beside the class folders of {folder} is left out"]


def test_pictures_without_class_folders_have_no_classes(flat):
    source = FileSource(flat, shuffle_seed=None)
    assert source.size == 12 and source.class_names == () and everything(source, 12)[1] is None


def test_grey_palette_alpha_and_16_bit_pictures_become_rgb(flat):
    grey = np.asarray(Image.fromarray(DATA.images[0]).convert("L"))
    Image.fromarray(grey).save(flat / "+a.png")
    Image.fromarray(DATA.images[1]).convert("P").save(flat / "+b.png")
    Image.fromarray(DATA.images[2]).convert("RGBA").save(flat / "+c.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(flat / "+d.png")
    images, _ = everything(FileSource(flat, shuffle_seed=None), 4)
    assert images.shape == (4, 32, 32, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(images[2], DATA.images[2])
    np.testing.assert_array_equal(images[3], images[0])


@pytest.mark.parametrize(
    ("size", "message"), [((32, 30), "no square: give --image-size"), ((40, 40), "another size than the 32x32")]
)
def test_other_sizes_are_refused_unless_a_size_is_given(flat, size, message):
    Image.fromarray(DATA.images[0]).resize(size).save(flat / "zz.png")
    with pytest.raises(SuiteError, match=message):
        everything(FileSource(flat, shuffle_seed=None), 13)
    assert everything(FileSource(flat, shuffle_seed=None, image_size=24), 13)[0].shape == (13, 24, 24, 3)


def test_broken_pictures_and_empty_folders_are_refused(folder, tmp_path):
    first = sorted(folder.rglob("*.png"))[0]
    first.write_bytes(first.read_bytes()[:150])
    with pytest.raises(DataError, match="cannot be read as an image: mend or remove it"):
        everything(FileSource(folder, shuffle_seed=None), 12)
    first.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read as an image"):
        FileSource(folder, shuffle_seed=None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SuiteError, match="has no class folders and no images"):
        open_source(str(tmp_path / "empty"), Options())


def test_generated_images_are_rounded_as_a_picture_and_do_not_depend_on_the_batch():
    def generate(latents, labels):
        return tf.tile(tf.tanh(latents[:, :1, None, None]), [1, 16, 16, 3])

    whole, _ = everything(generator(generate), 50, 50)
    for batch_size in (1, 7, 32):
        np.testing.assert_array_equal(everything(generator(generate), 50, batch_size)[0], whole)
    np.testing.assert_array_equal(everything(generator(generate), 20)[0], whole[:20])
    assert not np.array_equal(everything(generator(generate, latent_seed=1), 50)[0], whole)
    levels = np.linspace(-1, 1, 16, dtype=np.float32)
    images, _ = everything(generator(lambda latents, labels: np.broadcast_to(levels, (len(latents), 3, 16)).transpose(
        0, 2, 1)[:, :, None].repeat(16, axis=2)), 2)  # fmt: skip
    np.testing.assert_array_equal(images[0, :, 0, 0], np.floor(levels * 127.5 + 128).clip(0, 255))
    assert everything(generator(constant(-0.5, (16, 16, 1))), 3)[0].shape == (3, 16, 16, 3)  # grey is repeated


@pytest.mark.parametrize(
    ("value", "values", "message"),
    [
        (np.nan, "tanh", "not finite"),
        (np.inf, "tanh", "not finite"),
        (0.5, "tanh", r"from 0.5 to 0.5, where \[-1, 1\] was expected: say what they are with --values"),
        (1.2, "tanh", "was expected"),
        (-0.5, "sigmoid", r"where \[0, 1\] was expected"),
        (0.5, "bytes", r"where \[0, 255\] was expected"),
        (300, "bytes", "was expected"),
    ],
)
def test_pixels_of_another_range_are_refused(value, values, message):
    with pytest.raises(SuiteError, match=message):
        everything(generator(constant(value), values=values), 3)


@pytest.mark.parametrize(("values", "value"), [("tanh", -0.2), ("sigmoid", 0.4), ("bytes", 102.0)])
def test_every_range_gives_the_same_bytes(values, value):
    assert (everything(generator(constant(value), values=values), 3)[0] == 102).all()


def test_npz_files_of_pictures(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=DATA.images, labels=DATA.labels, class_names=np.array(DATA.class_names))
    source = open_source(str(path), Options(shuffle_seed=None))
    images, labels = everything(source, 50)
    np.testing.assert_array_equal(images, DATA.images)
    np.testing.assert_array_equal(labels, DATA.labels)
    assert source.class_names == DATA.class_names and source.size == 50
    np.savez(path, arr_0=DATA.images / np.float32(127.5) - 1)
    source = open_source(str(path), Options(shuffle_seed=None))
    np.testing.assert_array_equal(everything(source, 50)[0], DATA.images)
    assert source.class_names == () and everything(source, 50)[1] is None
    np.savez(path, arr_0=DATA.images / np.float32(255))
    np.testing.assert_array_equal(
        everything(open_source(str(path), Options(shuffle_seed=None, values="sigmoid")), 50)[0], DATA.images
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((4, 8, 8, 4), np.uint8)}, r"\[N, S, S, 1 or 3\]. Received: uint8 \(4, 8, 8, 4\)"),
        ({"images": np.zeros((0, 8, 8, 3), np.uint8)}, "Received"),
        ({"images": np.zeros((4, 8, 6, 3), np.uint8)}, "square"),
        ({"images": np.full((4, 8, 8, 3), np.nan, np.float32)}, "not finite"),
        ({"images": np.full((4, 8, 8, 3), 0.3, np.float32)}, "--values"),
        ({"images": np.zeros((4, 8, 8, 3), np.uint8), "labels": np.zeros(3, int)}, "labels must be 4 integers"),
        ({"images": np.zeros((4, 8, 8, 3), np.uint8), "labels": np.full(4, -1)}, "labels"),
        ({"other": np.zeros(3)}, "must hold an array 'images'"),
        ({"images": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_bad_npz_files_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(SuiteError, match=message):
        open_source(str(tmp_path / "a.npz"), Options())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with two checkpoints, whose averaged and raw weights differ, and an export."""
    gan = building.build(SETTINGS)
    run = create(SETTINGS, tmp_path_factory.mktemp("runs") / "run")
    run.write_config(SETTINGS, "0", DATA.class_names)
    images = tf.random.stateless_uniform((4, 32, 32, 3), [1, 2], -1, 1)
    for step in (1, 2):
        gan.train_step((images, tf.constant([0, 1, 2, 3])))
        checkpoints.save(run.checkpoints, step, checkpoints.arrays_of(gan.state()), keep=3)
    export(gan.ema_generator, run.export, settings=SETTINGS, class_names=DATA.class_names, scores=[])
    return run


def test_runs_are_scored_by_their_averaged_or_raw_weights_of_any_checkpoint(run):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    newest = open_source(str(run.path), Options())
    assert (newest.record["weights"], newest.record["step"], newest.record["images_seen"]) == ("ema", 2, 8)
    assert newest.class_names == DATA.class_names and newest.record["labels"] == "uniform"
    images, labels = everything(newest, 30)
    assert images.shape == (30, 32, 32, 3) and len(set(labels)) > 3
    others = [Options(weights="raw"), Options(checkpoint="1"), Options(latent_seed=5)]
    for options in others:
        assert not np.array_equal(everything(open_source(str(run.path), options), 30)[0], images)
    np.testing.assert_array_equal(everything(open_source(str(run.path), Options(checkpoint="2")), 30)[0], images)
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="no checkpoint 'best', only 2, 1"):
        open_source(str(run.path), Options(checkpoint="best"))
    with pytest.raises(UsageError, match="newest, best or a step. Received: oldest"):
        open_source(str(run.path), Options(checkpoint="oldest"))


def test_an_export_gives_the_images_of_its_run(run):
    source = open_source(str(run.export), Options())
    assert source.class_names == DATA.class_names and source.record["weights"] == "as exported"
    found, labels = everything(source, 30, 7)
    expected, asked = everything(open_source(str(run.path), Options()), 30)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(labels, asked)


@pytest.mark.parametrize("names", [5, "cat", [1, 2], {"a": 1}])
def test_an_export_whose_class_names_are_no_strings_is_refused(run, tmp_path, names):
    path = shutil.copytree(run.export, tmp_path / "export")
    (path / "assets" / "metadata.json").write_text(json.dumps({"class_names": names}))
    with pytest.raises(SuiteError, match="class_names in assets/metadata.json must be strings"):
        open_source(str(path), Options())


@pytest.mark.parametrize("shape", [(16, 12, 3), (12, 16, 3), (32, 32, 3), (16, 16, 2)])
def test_generators_of_other_images_than_they_say_are_refused(shape):
    wrong = generator(constant(0.0, shape), certain=True)
    for call in (wrong.refuse_misfits, lambda: everything(wrong, 5)):
        with pytest.raises(SuiteError, match=r"must make square images \[\d, 16, 16, 1 or 3\].*Received: \[\d, "):
            call()
    generator(constant(0.0, (16, 16, 1))).refuse_misfits()


def test_a_class_named_twice_is_refused_wherever_it_comes_from():
    names = ("cat", "dog", "cat") + DATA.class_names[3:]
    twice = dataclasses.replace(DATA, class_names=names)
    with pytest.raises(DataError, match="x: the names of classes must differ from each other. Received: 'cat' twice"):
        ArraySource(twice, "x", shuffle_seed=None)
    with pytest.raises(DataError, match="g: the names of classes must differ.*'cat' twice"):
        generator(constant(0.0), class_names=names)
    assert ArraySource(twice, "x", shuffle_seed=None, labelled=False).class_names == ()


def test_classes_are_counted_without_a_pass(folder):
    def refuse(latents, labels):
        raise RuntimeError("a pass")

    asked = generator(
        lambda latents, labels: np.zeros((len(latents), 16, 16, 3), np.uint8), class_names=("a", "b", "c")
    )
    sources = [ArraySource(DATA, "x", shuffle_seed=7), FileSource(folder, shuffle_seed=1), asked]
    for source in sources:
        for count in (5, 12):
            labels = everything(source, count)[1]
            counted = source.class_counts(count)
            np.testing.assert_array_equal(counted, np.bincount(labels, minlength=len(source.class_names)))
    assert generator(refuse, class_names=("a", "b", "c")).class_counts(12).tolist() == asked.class_counts(12).tolist()


def test_generators_are_asked_in_inference_mode_and_keep_their_state():
    latents = keras.Input((4,))
    x = keras.layers.Reshape((16, 16, 3))(keras.layers.Dense(16 * 16 * 3, activation="tanh")(latents))
    model = keras.Model(latents, keras.layers.BatchNormalization(momentum=0.5)(x) * 0.5)
    from tfgan_suite.images.sampler import Sampler

    before = [weight.numpy() for weight in model.weights]
    everything(generator(Sampler(model).generate), 40)
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


def saved(path, function, *specs):
    module = tf.Module()
    tf.saved_model.save(module, str(path), signatures=tf.function(function, input_signature=specs))
    return path


def test_a_savedmodel_that_fails_while_it_draws_is_told(tmp_path):
    def failing(latents):
        return {"images": tf.debugging.check_numerics(tf.zeros([tf.shape(latents)[0], 32, 32, 3]) / 0.0, "broken")}

    saved(tmp_path / "failing", failing, tf.TensorSpec([None, 4], tf.float32))
    source = open_source(str(tmp_path / "failing"), Options())
    with pytest.raises(SuiteError, match="failing cannot make images: .*(CheckNumerics|broken)"):
        next(source.batches(2, 2))


def test_savedmodels_of_others(tmp_path):
    latents = tf.TensorSpec([None, 4], tf.float32, name="z")
    good = saved(tmp_path / "good", lambda z: {"x": tf.tile(tf.tanh(z[:, :1, None, None]), [1, 16, 16, 3])}, latents)
    source = open_source(str(good), Options())
    assert source.image_size == 16 and everything(source, 5)[0].shape == (5, 16, 16, 3)
    unit = saved(tmp_path / "unit", lambda z: {"x": tf.sigmoid(tf.tile(z[:, :1, None, None], [1, 16, 16, 3]))}, latents)
    with pytest.raises(SuiteError, match="--values"):
        everything(open_source(str(unit), Options()), 5)
    assert everything(open_source(str(unit), Options(values="sigmoid")), 5)[0].std() > 1
    flat = saved(tmp_path / "flat", lambda z: {"x": z}, latents)
    with pytest.raises(SuiteError, match="must take latents.*and give images"):
        open_source(str(flat), Options())
    two = saved(tmp_path / "two", lambda z, y: {"x": tf.tile((z + y)[:, :1, None, None], [1, 16, 16, 3])}, latents,
                tf.TensorSpec([None, 4], tf.float32, name="y"))  # fmt: skip
    with pytest.raises(SuiteError, match="must take latents"):
        open_source(str(two), Options())
    harmful = saved(tmp_path / "harmful", lambda z: {"x": tf.tile(z[:, :1, None, None], [1, 16, 16, 3]) + tf.cast(
        tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)}, latents)  # fmt: skip
    with pytest.raises(SuiteError, match="ReadFile"):
        open_source(str(harmful), Options())
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(SuiteError):
        open_source(str(tmp_path / "damaged"), Options())


def test_datasets_and_nonsense():
    source = open_source("shapes:test", Options())
    assert (source.name, source.size, source.class_names) == ("shapes:test", 10_000, shapes.CLASS_NAMES)
    with pytest.raises(UsageError, match="shapes:tset cannot be opened: split must be one of"):
        open_source("shapes:tset", Options())
    for nonsense in ("nowhere", "shapes", "cars:test", json.dumps({})):
        with pytest.raises(UsageError, match="SOURCE must be a run folder"):
            open_source(nonsense, Options())
