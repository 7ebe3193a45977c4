"""What the suite promises of every variant, at 16, 32 and 108 pixels: step, save, restore, export, layer tables."""

import dataclasses
import inspect
import json

import numpy as np
import pytest
import tensorflow as tf

from models_zoo import VARIANTS
from models_zoo.randomness import labels_of, latents_of
from tfgan_suite.images import pixels
from tfgan_suite.networks import saved_models
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.generator_export import export
from tfgan_suite.training import building, session

BATCH = 4
CLASSES = 10


def settings_for(variant, size):
    return Config(
        variant=variant, image_size=size, width=0.05, latent_dim=8, batch_size=BATCH, steps=4, num_classes=CLASSES
    )


def batch_of(size):
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (BATCH, size, size, 3)).astype(np.float32)
    return tf.constant(images), tf.constant([1, 0, 9, 4])


def weights_of(network):
    return [variable.numpy().copy() for variable in network.variables]


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def open_attention(gan):
    """From zero, gamma lets no gradient through to the rest of the attention layer."""
    for network in (gan.generator, gan.discriminator, gan.ema_generator):
        for variable in network.trainable_variables:
            if variable.path == "attention/gamma":
                variable.assign(0.5)


@pytest.mark.parametrize("size", [16, *(pytest.param(size, marks=pytest.mark.slow) for size in (32, 108))])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_from_step_to_export(variant, size, tmp_path, capsys):
    settings = settings_for(variant, size)
    gan = building.build(settings)
    open_attention(gan)
    images, labels = batch_of(size)
    # every trainable weight gets a gradient that is finite: the optimizer saw it
    gradients = {}
    for network, optimizer in (("discriminator", gan.discriminator_optimizer), ("generator", gan.generator_optimizer)):
        apply = optimizer.apply

        def seen(grads, variables, network=network, apply=apply):
            for gradient, variable in zip(grads, variables, strict=True):
                checked = tf.reduce_all(tf.math.is_finite(gradient))
                gradients[network, variable.path] = tf.py_function(lambda ok: bool(ok) or 1 / 0, [checked], tf.bool)
            with tf.control_dependencies(list(gradients.values())):
                return apply(grads, variables)

        optimizer.apply = seen

    generator, average = weights_of(gan.generator), weights_of(gan.ema_generator)
    discriminator = weights_of(gan.discriminator)
    gan.discriminator_step(images, labels)
    assert equal(generator, weights_of(gan.generator)) and equal(average, weights_of(gan.ema_generator))
    assert not equal(discriminator, weights_of(gan.discriminator))
    discriminator = weights_of(gan.discriminator)
    compares = "real" in inspect.signature(gan.generator_loss).parameters
    gan.generator_step(BATCH, *((images, labels) if compares else ()))
    assert equal(discriminator, weights_of(gan.discriminator))
    assert not equal(generator, weights_of(gan.generator)) and not equal(average, weights_of(gan.ema_generator))
    expected = {("discriminator", v.path) for v in gan.discriminator.trainable_variables}
    expected |= {("generator", v.path) for v in gan.generator.trainable_variables}
    assert set(gradients) == expected

    # what is saved and restored goes on as the original does, to the bit
    for optimizer in (gan.discriminator_optimizer, gan.generator_optimizer):
        del optimizer.apply
    path = checkpoints.save(tmp_path, int(gan.step.numpy()), checkpoints.arrays_of(gan.state()), 1)
    restored = building.build(dataclasses.replace(settings))
    checkpoints.restore(restored.state(), checkpoints.read(path, restored.state()), path)
    for model in (gan, restored):
        model.train_step((images, labels))
    for name, variable in gan.state().items():
        np.testing.assert_array_equal(variable.numpy(), restored.state()[name].numpy(), err_msg=name)

    # the export gives the model's own images
    names = tuple(f"class {i}" for i in range(CLASSES))
    folder = export(gan.ema_generator, tmp_path / "export", settings=settings, class_names=names, scores=[])
    signatures = saved_models.opened(folder).signatures  # of an export whose every operation may be there
    sample = signatures["sample"](num_images=tf.constant(3), seed=tf.constant(5))
    inputs = gan.generator_inputs(latents_of(3, 5, 8), labels_of(3, 5, CLASSES))
    ours = tf.function(lambda x: gan(x, training=False))(inputs).numpy()
    np.testing.assert_array_equal(sample["images"].numpy(), ours)
    np.testing.assert_array_equal(sample["uint8"].numpy(), pixels.to_uint8(ours))
    given = dict(zip(("latents", "labels"), inputs if isinstance(inputs, list) else [inputs], strict=False))
    np.testing.assert_array_equal(signatures["serving_default"](**given)["images"].numpy(), ours)

    session.print_dry_run(settings, gan)
    shown, _, tables = capsys.readouterr().out.partition("\n}\n")
    shown = json.loads(shown + "\n}")
    assert shown["variant"] == variant and set(shown["options"]) >= {"augment", "discriminator_clip_norm"}
    assert tables.count("Total params") == 2
    for network in (gan.generator, gan.discriminator):
        assert f"{network.count_params():,}" in tables and all(layer.name in tables for layer in network.layers)
