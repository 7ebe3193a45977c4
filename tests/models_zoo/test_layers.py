"""What every layer of the package must do in a model, whatever it computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.grouped_convolution import GroupedConv2D
from models_zoo.map_basis import MapBasis, MapProduct
from models_zoo.minibatch_discrimination import MinibatchDiscrimination
from models_zoo.self_attention import SelfAttention
from models_zoo.spectral_normalization import SpectralNormalization

LABELS = ((), "int32")
IMAGES, VECTORS = ((4, 6, 9), "float32"), ((7,), "float32")

# name -> (the layer, its inputs as (shape of one sample, dtype))
LAYERS = {
    "grouped conv": (lambda: GroupedConv2D(6, 3, padding="same", groups=3), [IMAGES]),
    "grouped conv, strided": (lambda: GroupedConv2D(6, 3, 2, padding="valid", groups=3, use_bias=False), [IMAGES]),
    "map basis": (lambda: MapBasis(3), [VECTORS]),
    "map product": (lambda: MapProduct(), [IMAGES]),
    "minibatch discrimination": (lambda: MinibatchDiscrimination(5, 2), [VECTORS]),
    "self-attention": (lambda: SelfAttention(), [IMAGES]),
    "self-attention, spectral": (lambda: SelfAttention(spectral=True), [IMAGES]),
    "conditional batch norm, labels": (lambda: ConditionalBatchNormalization(4), [IMAGES, LABELS]),
    "conditional batch norm, labels, rank 2": (lambda: ConditionalBatchNormalization(4), [VECTORS, LABELS]),
    "conditional batch norm, linear": (
        lambda: ConditionalBatchNormalization(momentum=0.7, epsilon=0.1),
        [IMAGES, VECTORS],
    ),
    "conditional batch norm, spectral": (lambda: ConditionalBatchNormalization(spectral=True), [IMAGES, VECTORS]),
    "spectral conv": (
        lambda: SpectralNormalization(layers.Conv2D(5, 3, padding="same", name="in"), update_in_call=False),
        [IMAGES],
    ),
    "spectral deconv": (
        lambda: SpectralNormalization(layers.Conv2DTranspose(5, 4, 2, "same", name="in"), update_in_call=False),
        [IMAGES],
    ),
    "spectral dense": (lambda: SpectralNormalization(layers.Dense(5, name="in"), update_in_call=False), [VECTORS]),
    "spectral dense, updates in call": (lambda: SpectralNormalization(layers.Dense(5, name="in")), [VECTORS]),
    "spectral embedding": (
        lambda: SpectralNormalization(layers.Embedding(4, 5, name="in"), update_in_call=False),
        [LABELS],
    ),
}
EVERY_LAYER = pytest.mark.parametrize("name", LAYERS)


def inputs_of(name, batch=6):
    """Random values; of the labels 0 to 3 each occurs."""
    rng = np.random.default_rng(0)
    return [
        tf.constant(rng.normal(size=(batch, *shape)), tf.float32)
        if dtype == "float32"
        else tf.constant(np.arange(batch) % 4, dtype)
        for shape, dtype in LAYERS[name][1]
    ]


def model_of(name, batch_size=None):
    """A functional model of one layer, every weight with random values."""
    keras.utils.set_random_seed(0)
    inputs = [keras.Input(shape, dtype=dtype, batch_size=batch_size) for shape, dtype in LAYERS[name][1]]
    layer = LAYERS[name][0]()
    model = keras.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
    randomize(layer)
    return model, layer


def randomize(layer):
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        value = rng.normal(size=weight.shape)
        weight.assign(np.abs(value) + 0.5 if weight.path.endswith("variance") else value)
    if hasattr(layer, "update"):
        for _ in range(3):
            layer.update()


def values(variables):
    return [variable.numpy() for variable in variables]


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def names(layer):
    return [weight.path.removeprefix(layer.name + "/") for weight in layer.weights]


@EVERY_LAYER
def test_config_gives_the_same_layer(name):
    model, layer = model_of(name)
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    x = inputs_of(name)
    argument = x if len(x) > 1 else x[0]
    copy(argument)
    copy.set_weights(layer.get_weights())
    assert names(copy) == names(layer)
    np.testing.assert_array_equal(copy(argument), model(x))


@EVERY_LAYER
def test_weights_have_names_that_do_not_depend_on_what_was_built_before(name):
    first, second = model_of(name)[1], model_of(name)[1]
    assert first.name != second.name
    assert names(first) == names(second)
    assert len(set(names(first))) == len(first.weights)


@EVERY_LAYER
def test_a_saved_model_comes_back_to_the_bit(name, tmp_path):
    model, _ = model_of(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = inputs_of(name)
    for training in (False, True):
        np.testing.assert_array_equal(loaded(x, training=training), model(x, training=training))
    assert_same(values(loaded.variables), values(model.variables))


@EVERY_LAYER
def test_symbolic_shape_is_the_eager_shape(name):
    model, layer = model_of(name)
    fixed, _ = model_of(name, batch_size=6)
    for batch in (6, 3):
        eager = tuple(model(inputs_of(name, batch)).shape)
        assert model.output_shape == (None, *eager[1:])
        for size in (None, batch):
            shapes = [(size, *shape) for shape, _ in LAYERS[name][1]]
            assert tuple(layer.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])) == (size, *eager[1:])
    assert fixed.output_shape == tuple(fixed(inputs_of(name)).shape)


@EVERY_LAYER
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_training_step_moves_every_trainable_weight(name, jit_compile):
    model, layer = model_of(name)
    x = inputs_of(name)
    target = tf.constant(np.random.default_rng(2).normal(size=model(x).shape), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - target))
    for gradient in tape.gradient(loss, [weight.value for weight in model.trainable_weights]):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()
    randomize(layer)
    before = values(model.trainable_weights)
    assert before
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=jit_compile)
    model.train_on_batch(x, target)
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert np.isfinite(weight.numpy()).all()
        assert np.mean(weight.numpy() != old) > 0.5, weight.path


@EVERY_LAYER
def test_mixed_precision(name):
    model, _ = model_of(name)
    x = inputs_of(name)
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        mixed, _ = model_of(name)
    finally:
        keras.config.set_dtype_policy(policy)
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    for training in (False, True):
        expected, output = model(x, training=training).numpy(), mixed(x, training=training)
        assert output.dtype == tf.bfloat16
        difference = np.abs(tf.cast(output, tf.float32) - expected)
        assert 0 < difference.max() < 0.03 * np.abs(expected).max()


@EVERY_LAYER
@pytest.mark.parametrize("training", [False, True])
def test_compiled_equals_eager(name, training):
    model, _ = model_of(name)
    x, start = inputs_of(name), model.get_weights()
    eager = model(x, training=training).numpy()
    after = model.get_weights()
    model.set_weights(start)
    compiled = tf.function(lambda x: model(x, training=training), jit_compile=True)(x)
    np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-5 * np.abs(eager).max())
    for one, other in zip(model.get_weights(), after, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@EVERY_LAYER
def test_a_clone_with_the_same_weights_is_the_same(name):
    model, _ = model_of(name)
    x = inputs_of(name)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for training in (False, True):
        np.testing.assert_array_equal(clone(x, training=training), model(x, training=training))
    # with weights of its own
    before = model(x).numpy()
    for weight in clone.weights:
        weight.assign(weight * 0)
    np.testing.assert_array_equal(model(x), before)


@EVERY_LAYER
def test_a_stateless_call_returns_the_new_state_and_keeps_the_old(name):
    model, _ = model_of(name)
    x, start = inputs_of(name), values(model.variables)

    def stateless(trainable, non_trainable):
        return model.stateless_call(trainable, non_trainable, x, training=True)

    state = [
        [variable.value for variable in group] for group in (model.trainable_variables, model.non_trainable_variables)
    ]
    for function in (stateless, tf.function(stateless)):
        output, non_trainable = function(*state)
        assert_same(values(model.variables), start)
        expected = model(x, training=True).numpy()
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
        for one, other in zip(non_trainable, model.non_trainable_variables, strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-5, atol=1e-6)
        for variable, value in zip(model.variables, start, strict=True):
            variable.assign(value)
