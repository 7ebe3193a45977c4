"""Conditional generators outside of training: which class is asked for, in samples, grids and scores."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_tools import shapes
from data_tools.errors import UsageError
from models_zoo.randomness import labels_of
from tfgan_suite import fit
from tfgan_suite.images import pixels
from tfgan_suite.images.sampler import Sampler
from tfgan_suite.images.sources import GeneratorSource
from tfgan_suite.networks import scoring_network
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.generator_export import export
from tfgan_suite.runs.run_folder import create
from tfgan_suite.scores.metrics import Request
from tfgan_suite.scores.scoring import score
from tfgan_suite.training import building, session
from tfgan_suite.training.sample_grids import grid_drawer

SETTINGS = Config(variant="cgan", width=0.05, latent_dim=4, batch_size=4, steps=1, num_classes=10)


def painter(num_classes=10):
    """A generator whose images are of one grey, which tells the class: -0.9 for class 0, and 0.2 more for each."""
    latents, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    levels = keras.layers.Embedding(num_classes, 1, weights=[np.arange(num_classes)[:, None] * 0.2 - 0.9])(labels)
    x = keras.layers.Dense(16 * 16 * 3, use_bias=False, kernel_initializer="ones")(levels)
    x = keras.layers.Reshape((16, 16, 3))(x)
    nothing = keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False)(latents)
    return keras.Model([latents, labels], keras.layers.Add()([x, keras.layers.Reshape((1, 1, 1))(nothing)]))


def classes_in(images):
    return np.round((images[:, 0, 0, 0] / 127.5 - 1 + 0.9) / 0.2).astype(int)


def test_the_sampler_asks_for_uniform_classes_or_for_those_given():
    sampler = Sampler(painter(), 10)
    np.testing.assert_array_equal(classes_in(sampler.images(300, 3)), labels_of(300, 3, 10).numpy())
    np.testing.assert_array_equal(sampler.labels(300, 3), labels_of(300, 3, 10).numpy())
    asked = np.array([7, 7, 0, 9])
    np.testing.assert_array_equal(classes_in(sampler.images(4, 3, asked)), asked)


@pytest.mark.parametrize(("num_classes", "columns"), [(10, 10), (3, 3), (25, 10)])
def test_the_grid_has_a_column_per_class(tmp_path, num_classes, columns):
    gan = building.build(dataclasses.replace(SETTINGS, num_classes=num_classes))
    gan.ema_generator = painter(num_classes)
    run = create(SETTINGS, tmp_path / "run")
    grid_drawer(gan, run)(0)
    picture = np.asarray(Image.open(run.sample_grid(0)))
    rows = (picture.shape[0] - 2) // 18
    assert (picture.shape[1] - 2) // 18 == columns and 60 <= rows * columns <= 70
    expected = pixels.to_uint8(np.arange(columns) * 0.2 - 0.9)
    for row in range(rows):
        np.testing.assert_array_equal(picture[2 + 18 * row, 2 + 18 * np.arange(columns), 0], expected)


def test_scores_say_how_often_the_asked_class_is_seen():
    pool = shapes.draw(4000, seed=9)

    def generate(latents, labels):
        """Real images of the asked classes, but for a tenth of them."""
        asked = np.where(latents[:, 0] < -1.2816, (labels + 1) % 10, labels)  # the lower tenth of a normal law
        return np.stack([pool.images[np.flatnonzero(pool.labels == c)[i % 300]] for i, c in enumerate(asked)])

    network = scoring_network.load("shapes")
    request = Request(500, ("score", "classes"))
    for names, expected in ((network.class_names, 0.9), (tuple(f"other {i}" for i in range(10)), None)):
        source = GeneratorSource(generate, name="drawn", image_size=32, latent_dim=4, class_names=names)
        lines = score(source, network, None, request)
        found = {line["metric"]: line["value"] for line in lines}
        assert all(line["labels"] == "uniform" for line in lines)
        if expected is None:  # the classifier's classes are not the data's
            assert "asked_class_fraction" not in found
        else:
            assert found["asked_class_fraction"] == pytest.approx(expected, abs=0.03)


def test_the_number_of_classes_is_counted_and_written_down(tmp_path, monkeypatch, few_shapes):
    monkeypatch.chdir(tmp_path)
    arguments = ["--variant", "cgan", "--image-size", "16", "--width", "0.05", "--latent-dim", "4"]
    arguments += ["--batch-size", "4", "--steps", "2"]
    fit.main([*arguments, "--classifier", "none", "--run-dir", "run", "--options", "embedding_dim=3"])
    record = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert record["num_classes"] == 10
    assert record["options"]["embedding_dim"] == 3 and record["options"]["slope"] == 0.2
    fit.main(["--resume", "run", "--extend", "3"])  # and goes on from what was written
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])["step"] == 3


@pytest.mark.parametrize("num_classes", [9, 11])
def test_another_number_of_classes_than_the_data_have_is_refused(num_classes):
    data = shapes.draw(100, seed=0)
    session.check_classes(data, SETTINGS)
    with pytest.raises(UsageError, match=f"must be 10, the classes of shapes. Received: {num_classes}"):
        session.check_classes(data, dataclasses.replace(SETTINGS, num_classes=num_classes))


def test_exports_refuse_labels_that_no_class_has(tmp_path):
    gan = building.build(SETTINGS)
    names = tuple(str(i) for i in range(10))
    folder = export(gan.ema_generator, tmp_path / "export", settings=SETTINGS, class_names=names, scores=[])
    sample = tf.saved_model.load(str(folder)).signatures["sample_class"]
    assert sample(labels=tf.constant([0, 9]), seed=tf.constant(1))["uint8"].shape == (2, 32, 32, 3)
    for wrong in (-1, 10):
        with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be from 0 to 9"):
            sample(labels=tf.constant([0, wrong]), seed=tf.constant(1))


def test_the_labels_of_the_data_reach_the_discriminator():
    """Other labels for the same images, and the step ends elsewhere."""
    images = tf.random.stateless_uniform((4, 32, 32, 3), [1, 2], -1, 1)
    weights = []
    for labels in ([1, 2, 3, 4], [1, 2, 3, 4], [4, 3, 2, 1]):
        gan = building.build(SETTINGS)
        gan.train_step((images, tf.constant(labels)))
        weights.append(np.concatenate([variable.numpy().ravel() for variable in gan.discriminator.trainable_variables]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
