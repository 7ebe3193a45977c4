"""The SavedModel: what it gives, what is inside, and that nothing but TensorFlow is needed to load it."""

import dataclasses
import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_tools import command as cli
from data_tools.errors import SuiteError, UsageError
from models_zoo.randomness import labels_of, latents_of
from tfgan_suite import export
from tfgan_suite.images import pixels
from tfgan_suite.images.sampler import Sampler
from tfgan_suite.runs import checkpoints, generator_export
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import RunFolder, create
from tfgan_suite.training import building

SETTINGS = Config(width=0.05, latent_dim=6, batch_size=4, steps=3, loss="hinge", dataset="shapes")
NAMES = ("circle", "square", "triangle")


@pytest.fixture(scope="module")
def gan():
    gan = building.build(SETTINGS)
    for _ in range(3):
        gan.train_step(tf.random.stateless_uniform((4, 32, 32, 3), [1, 2], -1, 1))
    return gan


def exported(generator, folder, **options):
    defaults = {"settings": SETTINGS, "class_names": NAMES, "scores": [{"metric": "classifier_score", "value": 2.5}]}
    return generator_export.export(generator, folder, **{**defaults, **options})


@pytest.fixture(scope="module")
def folder(gan, tmp_path_factory):
    return exported(gan.ema_generator, tmp_path_factory.mktemp("export") / "model")


def test_signatures_give_the_averaged_generators_images(gan, folder):
    loaded = tf.saved_model.load(str(folder))
    assert set(loaded.signatures) == {"serving_default", "sample"}
    latents = latents_of(5, 3, 6)
    served = loaded.signatures["serving_default"](latents=latents)
    expected = tf.function(lambda x: gan.ema_generator(x, training=False))(latents).numpy()
    np.testing.assert_array_equal(served["images"].numpy(), expected)
    assert served["images"].dtype == tf.float32 and served["uint8"].dtype == tf.uint8
    np.testing.assert_array_equal(served["uint8"].numpy(), pixels.to_uint8(expected))
    assert not np.allclose(expected, gan.generator(latents, training=False))


def test_image_i_of_a_seed_is_the_same_however_many_are_asked_for(gan, folder):
    sample = tf.saved_model.load(str(folder)).signatures["sample"]
    four = sample(num_images=tf.constant(4), seed=tf.constant(9))["images"].numpy()
    nine = sample(num_images=tf.constant(9), seed=tf.constant(9))["images"].numpy()
    np.testing.assert_allclose(four, nine[:4], atol=1e-6)
    assert nine.shape == (9, 32, 32, 3)
    other = sample(num_images=tf.constant(4), seed=tf.constant(10))["images"].numpy()
    assert not np.allclose(four, other)
    # the same latents as the suite's own sampler
    ours = Sampler(gan.ema_generator).images(4, 9)
    np.testing.assert_array_equal(ours, sample(num_images=tf.constant(4), seed=tf.constant(9))["uint8"].numpy())


def test_assets(folder):
    contents = {path.name: json.loads(path.read_text()) for path in (folder / "assets").iterdir()}
    assert contents["metadata.json"] == {
        "variant": "sngan", "dataset": "shapes", "latent_dim": 6, "image_size": 32, "channels": 3,
        "conditional": False, "class_names": list(NAMES),
    }  # fmt: skip
    assert contents["config.json"] == SETTINGS.as_dict()
    assert contents["scores.json"] == [{"metric": "classifier_score", "value": 2.5}]


def test_plain_tensorflow_loads_it_and_gets_the_same_pixels(folder, tmp_path):
    """In a process that can import neither the suite nor Keras."""
    code = textwrap.dedent(
        """
        import sys
        for name in ("keras", "tf_keras", "tfgan_suite", "models_zoo", "data_tools"):
            sys.modules[name] = None
        import numpy as np, tensorflow as tf
        sample = tf.saved_model.load(sys.argv[1]).signatures["sample"]
        np.save(sys.argv[2], sample(num_images=tf.constant(5), seed=tf.constant(1))["images"].numpy())
        """
    )
    arguments = [sys.executable, "-c", code, str(folder), str(tmp_path / "images.npy")]
    result = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    sample = tf.saved_model.load(str(folder)).signatures["sample"]
    here = sample(num_images=tf.constant(5), seed=tf.constant(1))["images"].numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), here)


def conditional_generator():
    latents, labels = keras.Input((6,)), keras.Input((), dtype="int32")
    x = keras.layers.Concatenate()([latents, keras.layers.Embedding(3, 4)(labels)])
    x = keras.layers.Dense(8 * 8 * 3, activation="tanh")(x)
    return keras.Model([latents, labels], keras.layers.Reshape((8, 8, 3))(x))


def test_a_conditional_generator_has_sample_class(tmp_path):
    generator = conditional_generator()
    loaded = tf.saved_model.load(str(exported(generator, tmp_path / "model")))
    assert set(loaded.signatures) == {"serving_default", "sample", "sample_class"}
    labels = tf.constant([2, 0, 0, 1])
    images = loaded.signatures["sample_class"](labels=labels, seed=tf.constant(5))["images"].numpy()
    np.testing.assert_allclose(images, generator([latents_of(4, 5, 6), labels]).numpy(), atol=1e-6)
    sampled = loaded.signatures["sample"](num_images=tf.constant(7), seed=tf.constant(5))["images"].numpy()
    np.testing.assert_allclose(sampled, generator([latents_of(7, 5, 6), labels_of(7, 5, 3)]).numpy(), atol=1e-6)
    assert json.loads((tmp_path / "model" / "assets" / "metadata.json").read_text())["conditional"] is True


def test_an_earlier_export_is_replaced_and_anything_else_is_not(gan, tmp_path):
    target = tmp_path / "model"
    exported(gan.generator, target)
    before = (target / "variables" / "variables.data-00000-of-00001").read_bytes()
    exported(gan.ema_generator, target)
    assert (target / "variables" / "variables.data-00000-of-00001").read_bytes() != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    (target / "notes.txt").write_text("precious")
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    for place in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt", target, tmp_path / "other"):
        with pytest.raises(UsageError, match="no export of this suite"):
            exported(gan.generator, place)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == (target / "notes.txt").read_text() == "precious"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mine", "model", "other"]


def test_a_reloaded_model_that_differs_is_not_reported_as_success(gan, tmp_path, monkeypatch):
    original = tf.saved_model.save

    def corrupted(module, path, **options):
        original(module, path, **options)
        for variable in gan.ema_generator.variables:
            variable.assign(variable + 1e-3)

    weights = gan.ema_generator.get_weights()
    monkeypatch.setattr(tf.saved_model, "save", corrupted)
    try:
        with pytest.raises(SuiteError, match="differs in 'images': nothing was exported"):
            exported(gan.ema_generator, tmp_path / "model")
    finally:
        gan.ema_generator.set_weights(weights)
    assert list(tmp_path.iterdir()) == []


def test_the_command_exports_a_run(gan, tmp_path, capsys):
    run = create(SETTINGS, tmp_path / "run")
    run.write_config(SETTINGS, "0" * 64, NAMES)
    assert cli.run(export.main, [str(run.path), str(tmp_path / "out")]) == 2
    assert "no readable checkpoint" in capsys.readouterr().err
    checkpoints.save(run.checkpoints, 3, checkpoints.arrays_of(gan.state()), 3)
    assert cli.run(export.main, [str(run.path), str(tmp_path / "out"), "--debug"]) == 0
    assert str(tmp_path / "out") in capsys.readouterr().out
    latents = latents_of(2, 0, 6)
    images = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"](latents=latents)["images"]
    np.testing.assert_allclose(images, gan.ema_generator(latents, training=False), atol=1e-6)


def test_a_checkpoint_of_another_configuration_is_refused(gan, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    create(SETTINGS, run.path)
    run.write_config(dataclasses.replace(SETTINGS, width=0.3), "0" * 64, NAMES)
    checkpoints.save(run.checkpoints, 3, checkpoints.arrays_of(gan.state()), 3)
    assert cli.run(export.main, [str(run.path), str(tmp_path / "out")]) == 1
    assert "does not fit this model" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
