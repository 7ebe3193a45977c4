"""Every kind of picture from the command line, on tiny runs, pixel by pixel."""

import functools
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_tools import command as cli
from data_tools import shapes
from data_tools.errors import UsageError
from tfgan_suite import sample
from tfgan_suite.exploring import subject
from tfgan_suite.images import pictures
from tfgan_suite.images.sampler import Sampler
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.generator_export import export
from tfgan_suite.runs.opening import open_run
from tfgan_suite.runs.run_folder import create
from tfgan_suite.training import building

SIDE, DIM = 16, 6
CLASSES = ("ant", "bee", "cat")


def trained(folder, **fields):
    """A run folder with two checkpoints, two grids and an export."""
    settings = Config(image_size=SIDE, width=0.05, latent_dim=DIM, batch_size=4, steps=2, **fields)
    gan = building.build(settings)
    run = create(settings, folder)
    run.write_config(settings, "0", CLASSES if gan.conditional else shapes.CLASS_NAMES)
    random = np.random.default_rng(0)
    for step in (1, 2):
        for weight in (*gan.generator.weights, *gan.ema_generator.weights):  # far from the beginning, where classes
            if "moving" not in weight.path:  # and latents hardly matter
                weight.assign_add(0.3 * random.normal(size=weight.shape))
        gan.step.assign(step)
        checkpoints.save(run.checkpoints, step, checkpoints.arrays_of(gan.state()), keep=3)
        pictures.save_png(Image.new("RGB", (100, 50), (step * 100, 0, 0)), run.sample_grid(step))
    names = CLASSES if gan.conditional else ()
    export(gan.ema_generator, run.export, settings=settings, class_names=names, scores=[])
    return run.path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plain") / "run", variant="dcgan")


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    options = {"generator_conditioning": "cbn_linear"}
    return trained(tmp_path_factory.mktemp("conditional") / "run", variant="cgan", num_classes=3, options=options)


@pytest.fixture(scope="module")
def opened_once():
    """`open_subject`, which builds a network, for all pictures of one source."""
    return functools.lru_cache(subject.open_subject)


@pytest.fixture
def draw(tmp_path, monkeypatch, capsys, opened_once):
    """Run the command; gives the images in the picture, uint8 [N, S, S, 3], and the record beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subject, "open_subject", opened_once)

    def run(*arguments, name="p.png"):
        sample.main([*map(str, arguments), "--output", name])
        assert f"picture     {name}" in capsys.readouterr().out
        record = json.loads((tmp_path / name).with_suffix(".json").read_text())
        return cells(Image.open(tmp_path / name), record), record

    return run


def cells(picture, record):
    """The images in a picture, which stands in its lower right corner, by the layout of `pictures.grid`."""
    columns = record["columns"]
    native = columns * (SIDE + 2) + 2
    factor = -(-640 // native)
    pixels = np.asarray(picture)
    rows = pixels.shape[0] // (factor * (SIDE + 2))
    corner = pixels[-factor * (rows * (SIDE + 2) + 2) :, -factor * native :][::factor, ::factor]
    return np.stack([
        corner[2 + row * (SIDE + 2) :, 2 + column * (SIDE + 2) :][:SIDE, :SIDE]
        for row in range(rows) for column in range(columns)
    ])  # fmt: skip


def of_signature(run, num_images, seed):
    exported = tf.saved_model.load(str(run / "export"))
    return exported.signatures["sample"](num_images=tf.constant(num_images), seed=tf.constant(seed))["uint8"].numpy()


def of_class(run, labels, seed):
    exported = tf.saved_model.load(str(run / "export"))
    return exported.signatures["sample_class"](labels=tf.constant(labels), seed=tf.constant(seed))["uint8"].numpy()


def test_a_grid_shows_the_images_of_the_exported_signature(plain, conditional, draw):
    for run in (plain, conditional):
        expected = of_signature(run, 12, 7)
        for source in (run, run / "export"):
            found, record = draw(source, "grid", "--seed", 7, "--num-images", 12, "--columns", 4)
            np.testing.assert_array_equal(found, expected)
            assert record["columns"] == 4 and [each["name"] for each in record["samples"]][:2] == ["7:0", "7:1"]
        np.testing.assert_array_equal(draw(run, "grid", "--samples", "7:9", "7:2")[0][:2], expected[[9, 2]])


def test_the_record_says_what_the_picture_is(plain, draw):
    _, record = draw(plain, "grid", "--num-images", "3", "--checkpoint", "1", "--weights", "raw")
    assert (record["kind"], record["source"], record["step"], record["weights"]) == ("grid", str(plain), 1, "raw")
    assert record["command"].startswith(f"python -m tfgan_suite.sample {plain} grid --num-images 3 --checkpoint 1")
    assert record["latent_dim"] == DIM and "tensorflow" in record["versions"]
    ema, _ = draw(plain, "grid", "--num-images", "3", "--checkpoint", "1")
    raw, _ = draw(plain, "grid", "--num-images", "3", "--checkpoint", "1", "--weights", "raw")
    newest, _ = draw(plain, "grid", "--num-images", "3")
    assert len({each.tobytes() for each in (ema, raw, newest)}) == 3
    opened = open_run(plain, "1")
    np.testing.assert_array_equal(raw[:3], Sampler(opened.generator("raw")).images(3, 0))


def test_one_column_per_class_and_one_row_per_sample(conditional, draw):
    found, record = draw(conditional, "per-class", "--seed", 3, "--num-images", 2)
    assert record["column_names"] == list(CLASSES) and record["row_names"] == ["3:0", "3:1"]
    for label in range(3):
        np.testing.assert_array_equal(found[label::3], of_class(conditional, [label] * 2, 3))
    some, record = draw(conditional, "per-class", "--seed", 3, "--num-images", 2, "--classes", "cat", "ant")
    assert record["column_names"] == ["cat", "ant"]
    np.testing.assert_array_equal(some, found[[2, 0, 5, 3]])


@pytest.mark.parametrize("path", ["spherical", "linear"])
def test_the_ends_of_a_walk_are_the_two_samples(plain, conditional, draw, path, tmp_path):
    for run in (plain, conditional):
        ends = of_signature(run, 5, 7)
        found, record = draw(run, "interpolate", "--samples", "7:0", "7:4", "7:1", "--path", path, "--steps", 5)
        np.testing.assert_array_equal(found[[0, 4, 5, 9]], ends[[0, 4, 4, 1]])
        assert len(found) == 10 and record["path"] == path
        assert not any(np.array_equal(found[2], end) for end in ends)
        latents = np.array([each["latents"] for each in record["images"]])
        middle = latents[[0, 4]].mean(axis=0)
        if path == "spherical":
            middle *= np.linalg.norm(latents[[0, 4]], axis=1).mean() / np.linalg.norm(middle)
            assert middle @ latents[2] / np.linalg.norm(middle) / np.linalg.norm(latents[2]) > 0.9
        else:
            np.testing.assert_allclose(latents[2], middle, atol=1e-6)
        shares, _ = draw(run, "interpolate", "--samples", "7:0", "7:4", "--path", path, "--shares", "0.5", "1")
        np.testing.assert_array_equal(shares, found[[2, 4]])
    with Image.open(tmp_path / "p.gif") as gif:
        assert gif.size == (640, 640) and gif.n_frames == 2
    paths = [draw(plain, "interpolate", "--path", path, "--shares", "0.5")[0] for path in ("spherical", "linear")]
    assert not np.array_equal(*paths)


def test_the_gif_of_a_walk_goes_there_and_back(plain, draw, tmp_path):
    found, _ = draw(plain, "interpolate", "--steps", 4)
    with Image.open(tmp_path / "p.gif") as gif:
        assert gif.n_frames == 6
        for frame, image in enumerate([0, 1, 2, 3, 2, 1]):
            gif.seek(frame)
            shown = np.asarray(gif.convert("RGB"))[20::40, 20::40].astype(int)
            assert np.abs(shown - found[image]).mean() < 6  # of 255: 256 colours are less than there are


def test_a_walk_between_classes_begins_and_ends_in_them_from_a_run_and_from_an_export(conditional, draw):
    arguments = ("interpolate", "--samples", "7:0", "7:0", "--classes", "ant", "cat", "--steps", 3)
    found, record = draw(conditional, *arguments)
    np.testing.assert_array_equal(found[[0, 2]], [of_class(conditional, [label], 7)[0] for label in (0, 2)])
    assert record["images"][1]["class"] == "ant" and record["images"][1]["towards"] == "cat"
    assert min(np.abs(found[1].astype(int) - found[end]).max() for end in (0, 2)) > 3
    np.testing.assert_array_equal(draw(conditional / "export", *arguments)[0], found)


def test_any_picture_is_made_again_from_its_record(plain, conditional, draw, tmp_path):
    made = [
        (plain, "arithmetic", "--seed", 5),
        (plain, "truncation", "--num-images", 2),
        (plain, "directions", "--count", 2, "--strengths", -3, 3),
        (conditional, "per-class", "--num-images", 2),
        (conditional, "interpolate", "--samples", "7:0", "7:1", "--classes", "ant", "cat", "--steps", 4),
    ]
    for source, *arguments in made:
        draw(source, *arguments)
        first = (tmp_path / "p.png").read_bytes()
        shutil.copy(tmp_path / "p.json", tmp_path / "old.json")
        draw(source, "grid", "--latents", "old.json")
        assert (tmp_path / "p.png").read_bytes() == first, arguments
    walk, _ = draw(conditional, "interpolate", "--latents", "old.json", "--steps", 4)  # begins with the same samples
    assert (tmp_path / "p.png").read_bytes() == first and len(walk) == 4


def test_a_picture_of_one_generator_is_a_start_for_another(plain, conditional, draw, tmp_path):
    draw(conditional, "grid", "--samples", "7:1", name="theirs.png")
    record = json.loads((tmp_path / "theirs.json").read_text())
    found, ours = draw(plain, "directions", "--latents", "theirs.json", "--strengths", 0, 1)
    assert ours["samples"][0]["latents"] == record["samples"][0]["latents"]
    np.testing.assert_array_equal(found[0], of_signature(plain, 2, 7)[1])  # one salt: the same latents
    record["samples"][0]["latents"].append(0.0)
    (tmp_path / "long.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="latents of 7 numbers, where the generator takes 6"):
        draw(plain, "interpolate", "--latents", "long.json")
    with pytest.raises(UsageError, match="stands beside no picture of arithmetic"):
        draw(conditional, "arithmetic", "--latents", "theirs.json")


def test_arithmetic_takes_away_what_it_adds(plain, draw):
    names = ["--a", "7:1", "7:4", "--b", "7:2", "7:0", "7:3", "--c", "7:2", "7:0", "7:3"]
    found, record = draw(plain, "arithmetic", *names)
    rows = found.reshape(4, 4, SIDE, SIDE, 3)
    samples = of_signature(plain, 5, 7)
    np.testing.assert_array_equal(rows[0, :2], samples[[1, 4]])
    np.testing.assert_array_equal(rows[1, :3], samples[[2, 0, 3]])
    assert (rows[0, 2] == 255).all() and (rows[3, 3] == 255).all()
    np.testing.assert_array_equal(rows[3, 0], rows[0, 3])  # A is the mean of its samples
    np.testing.assert_array_equal(rows[3, 2], rows[0, 3])  # A - B + B is A
    assert not np.array_equal(rows[3, 1], rows[3, 0])
    named = {each["name"]: np.array(each["latents"]) for each in record["images"] if each and "name" in each}
    np.testing.assert_allclose(named["mean of A"], (named["7:1"] + named["7:4"]) / 2, atol=1e-6)
    np.testing.assert_allclose(named["A - B"], named["mean of A"] - named["mean of B"], atol=1e-6)


def test_truncation_ends_with_the_samples_themselves(plain, draw):
    found, record = draw(plain, "truncation", "--seed", 7, "--num-images", 2, "--thresholds", "0.01", "1", "inf")
    rows = found.reshape(2, 3, SIDE, SIDE, 3)
    np.testing.assert_array_equal(rows[:, 2], of_signature(plain, 2, 7))
    assert np.abs(rows[0, 0].astype(int) - rows[1, 0]).mean() < np.abs(rows[0, 2].astype(int) - rows[1, 2]).mean() / 4
    latents = np.array([each["latents"] for each in record["images"]]).reshape(2, 3, DIM)
    assert np.abs(latents[:, 0]).max() <= 0.01 and 0.01 < np.abs(latents[:, 1]).max() <= 1
    assert record["column_names"] == ["0.01", "1", "whole"]


def test_directions_are_the_singular_vectors_of_the_first_layer(plain, conditional, draw):
    kernel = next(weight for weight in open_run(plain).generator().weights if "project" in weight.path).numpy()
    _, values, vectors = np.linalg.svd(kernel.T.astype(np.float64))
    found, record = draw(plain, "directions", "--samples", "7:3", "--count", 3, "--strengths", -2, 0, 2)
    latents = np.array([each["latents"] for each in record["images"]]).reshape(3, 3, DIM)
    for row in range(3):
        step = (latents[row, 2] - latents[row, 0]) / 4
        assert abs(step @ vectors[row]) == pytest.approx(1, abs=1e-4)
        np.testing.assert_array_equal(found[3 * row + 1], of_signature(plain, 4, 7)[3])
    assert record["layer"] == "project"
    np.testing.assert_allclose(list(record["singular_values"].values()), values[:3], rtol=1e-4)
    second, _ = draw(plain, "directions", "--samples", "7:3", "--directions", 2, "--strengths", -2, 0, 2)
    np.testing.assert_array_equal(second, found[3:6])
    of_run, _ = draw(conditional, "directions", "--samples", "7:3")
    np.testing.assert_array_equal(draw(conditional / "export", "directions", "--samples", "7:3")[0], of_run)


@pytest.fixture
def copier(tmp_path):
    """A generator of others that only gives training images: that with the number of the largest latent's place."""
    images = shapes.draw(40, seed=1, image_size=SIDE).images
    table = tf.constant(images[10 : 10 + DIM])
    latents = tf.TensorSpec([None, DIM], tf.float32, name="z")
    function = tf.function(lambda z: {"x": tf.gather(table, tf.argmax(z, axis=1))}, input_signature=[latents])
    tf.saved_model.save(tf.Module(), str(tmp_path / "copier"), signatures=function)
    np.savez(tmp_path / "training.npz", images=images)
    return tmp_path / "copier", images


def test_the_neighbours_of_a_training_image_find_it(copier, draw):
    folder, images = copier
    arguments = ("neighbours", "--training", "training.npz", "--num-images", 3, "--nearest", 4)
    found, record = draw(folder, *arguments, "--classifier", "shapes")
    numbers = record["neighbours"]["pixels"]["training_images"]
    rows = found.reshape(3, 2, 5, SIDE, SIDE, 3)
    for row in range(3):
        latents = np.array(record["samples"][row]["latents"])
        assert numbers[row][0] == 10 + latents.argmax()
        for measure in ("pixels", "features"):
            about = record["neighbours"][measure]
            assert about["distances"][row][0] == 0 and about["training_images"][row][0] == numbers[row][0]
        np.testing.assert_array_equal(rows[row, 0, 1:], images[numbers[row]])
        for measure in range(2):
            np.testing.assert_array_equal(rows[row, measure, 0], rows[row, measure, 1])
    alone, record = draw(folder, *arguments, "--classifier", "none")
    np.testing.assert_array_equal(alone.reshape(3, 5, SIDE, SIDE, 3), rows[:, 0])
    assert list(record["neighbours"]) == ["pixels"]


def test_neighbours_of_a_run_and_of_its_export_are_among_its_own_training_images(plain, draw, few_shapes):
    found, record = draw(plain, "neighbours", "--num-images", 2, "--nearest", 3)
    training = shapes.load("train", image_size=SIDE).images
    rows = found.reshape(2, 2, 4, SIDE, SIDE, 3)
    for number, measure in enumerate(("pixels", "features")):
        np.testing.assert_array_equal(rows[:, number, 1:], training[record["neighbours"][measure]["training_images"]])
    np.testing.assert_array_equal(draw(plain / "export", "neighbours", "--num-images", 2, "--nearest", 3)[0], found)


def test_features_show_the_training_images_that_they_respond_to_most(plain, conditional, draw, few_shapes):
    for run in (plain, conditional):
        arguments = ("features", "--count", 2, "--columns", 3, "--num-images", 50)
        found, record = draw(run, *arguments)
        training = shapes.load("train", image_size=SIDE).images
        rows = found.reshape(2, 2, 3, SIDE, SIDE, 3)
        for number, about in enumerate(record["features"]):
            np.testing.assert_array_equal(rows[number, 0], training[about["images"]])
            assert max(about["images"]) < 50 and about["responses"] == sorted(about["responses"], reverse=True)
        assert record["layer"].startswith("lrelu_") and "samples" not in record
        grey = (rows[:, 1].reshape(-1, 3) == 128).all(axis=1)
        assert grey.sum() < len(grey)  # something responds


def test_history_is_a_gif_of_the_grids(plain, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sample.main([str(plain), "history", "--milliseconds", "150"])
    assert "run-history.gif" in capsys.readouterr().out
    with Image.open(tmp_path / "run-history.gif") as gif:
        assert gif.n_frames == 2 and gif.width == 700 and gif.height > 350
        for frame in (0, 1):
            gif.seek(frame)
            shown = np.asarray(gif.convert("RGB"))
            assert (shown[:350] == [100 + 100 * frame, 0, 0]).all() and (shown[350:] < 128).any()
            assert gif.info["duration"] == (150, 2000)[frame]
    assert json.loads((tmp_path / "run-history.json").read_text())["steps"] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "SOURCE and a kind are needed: grid, per-class"),
        (["RUN"], "SOURCE comes first, and then the kind"),
        (["RUN", "gird"], "one of grid, per-class, interpolate"),
        (["nowhere", "grid"], "SOURCE must be a run folder or an exported generator"),
        (["RUN", "grid", "--steps", "3"], "--steps"),
        (["RUN", "grid", "--samples", "x"], "named SEED:INDEX"),
        (["RUN", "grid", "--samples", "7:1", "--num-images", "3"], "--num-images is of --seed and would do nothing"),
        (["RUN", "grid", "--samples", "7:1", "--seed", "3"], "--seed would do nothing"),
        (["RUN", "grid", "--samples", "7:1", "--latents", "a.json"], "both say where to start"),
        (["RUN", "grid", "--latents", "nowhere.json"], "--latents must be a JSON file"),
        (["RUN", "grid", "--seed", "-1"], "--seed must be from 0"),
        (["RUN", "grid", "--num-images", "0"], "--num-images must be from 1"),
        (["RUN", "grid", "--classes", "ant"], "takes no classes"),
        (["RUN", "grid", "--output", "a.jpg"], "--output must end with .png"),
        (["RUN", "history", "--output", "a.png"], "--output must end with .gif"),
        (["RUN", "grid", "--values", "sigmoid"], "--values is for SavedModels"),
        (["EXPORT", "grid", "--weights", "raw"], "--weights and --checkpoint are for runs"),
        (["RUN", "grid", "--checkpoint", "9"], "no checkpoint '9', only 2, 1"),
        (["RUN", "per-class"], "takes no classes"),
        (["RUN", "interpolate", "--samples", "7:1"], "two samples or more"),
        (["RUN", "interpolate", "--shares", "1.5"], "--shares must be from 0"),
        (["RUN", "interpolate", "--shares", "0", "1", "--steps", "3"], "--steps and --shares"),
        (["RUN", "arithmetic", "--a", "7:1"], "--a, --b and --c are needed together"),
        (["RUN", "truncation", "--thresholds", "0"], "--thresholds must be positive"),
        (["RUN", "directions", "--directions", "7"], "--directions must be from 1 to 6"),
        (["RUN", "directions", "--directions", "1", "--count", "2"], "--count and --directions"),
        (["EXPORT", "features"], "features are those of a discriminator, and"),
        (["EXPORT", "history"], "history is that of a run"),
    ],
)
def test_refusals_write_nothing(plain, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    named = {"RUN": str(plain), "EXPORT": str(plain / "export")}
    assert cli.run(sample.main, [named.get(word, word) for word in arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and 1 <= len(printed.err.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []
