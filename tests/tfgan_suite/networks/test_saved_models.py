"""SavedModels from elsewhere: which operations are refused before anything runs, and how the function is found."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from data_tools.errors import SuiteError
from tfgan_suite.networks import saved_models


def pooled(images):
    return tf.reduce_mean(images, axis=[1, 2])


def reads(images):
    content = tf.io.read_file("/etc/hostname")
    return {"logits": pooled(images) + tf.cast(tf.strings.length(content), tf.float32)}


def writes(images):
    with tf.control_dependencies([tf.io.write_file("/tmp/tfgan_suite_was_here", "evil")]):
        return {"logits": pooled(images)}


def calls_python(images):
    return {"logits": tf.numpy_function(lambda x: x.mean(axis=(1, 2)), [images], tf.float32)}


def saves(images):
    with tf.control_dependencies([tf.raw_ops.SaveV2(
        prefix="/tmp/tfgan_suite_was_here", tensor_names=["a"], shape_and_slices=[""], tensors=[images]
    )]):  # fmt: skip
        return {"logits": pooled(images)}


def in_a_branch(images):
    return tf.cond(tf.reduce_sum(images) > 1e9, lambda: reads(images), lambda: {"logits": pooled(images)})


def in_a_loop(images):
    def body(i, x):
        return i + 1, x + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)

    return {"logits": tf.while_loop(lambda i, _: i < 2, body, [0, pooled(images)])[1]}


def prints(images):
    tf.print("hello", output_stream="file:///tmp/tfgan_suite_was_here")
    return {"logits": pooled(images)}


def a_dataset(images):
    lines = tf.data.TextLineDataset("/etc/passwd").reduce(0.0, lambda total, line: total + 1.0)
    return {"logits": pooled(images) + lines}


@pytest.mark.parametrize(
    "function, operation",
    [
        (reads, "ReadFile"), (writes, "WriteFile"), (calls_python, "PyFunc"), (saves, "SaveV2"),
        (in_a_branch, "ReadFile"), (in_a_loop, "ReadFile"), (prints, "PrintV2"), (a_dataset, "TextLineDataset"),
    ],
)  # fmt: skip
def test_what_reaches_out_is_refused_before_loading(tmp_path, tiny_models, monkeypatch, function, operation):
    folder = tiny_models.save_function(tmp_path / "m", function)
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(SuiteError, match=f"was not loaded: .*{operation}"):
        saved_models.load(folder)


def test_a_table_read_from_a_file_while_loading_is_refused(tmp_path):
    (tmp_path / "words").write_text("a\nb\n")
    module = tf.Module()
    source = tf.lookup.TextFileInitializer(
        str(tmp_path / "words"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip
    module.table = tf.lookup.StaticHashTable(source, -1)
    module.compute = tf.function(
        lambda images: {"logits": pooled(images) + tf.cast(module.table.lookup(tf.constant("a")), tf.float32)},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.compute)
    with pytest.raises(SuiteError, match="was not loaded: .*InitializeTable"):
        saved_models.load(tmp_path / "m")


def test_the_function_that_saves_cannot_be_made_the_one_that_runs(tmp_path, tiny_models):
    folder = tiny_models.save(tmp_path / "m")
    saved_models.check(folder)
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    library = model.meta_graphs[0].graph_def.library.function
    saver = next(f.signature.name for f in library if any(node.op == "SaveV2" for node in f.node_def))
    runs = next(f for f in library if not any(node.op in ("SaveV2", "RestoreV2") for node in f.node_def))
    call = runs.node_def.add(name="evil", op="StatefulPartitionedCall")
    call.attr["f"].func.name = saver
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SuiteError, match="was not loaded: .*SaveV2"):
        saved_models.check(folder)


def test_unknown_operations_are_refused(tmp_path, tiny_models):
    folder = tiny_models.save(tmp_path / "m")
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    model.meta_graphs[0].graph_def.library.function[0].node_def.add(name="evil", op="SomeCustomOp")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SuiteError, match="was not loaded: SomeCustomOp"):
        saved_models.load(folder)


def test_what_is_no_saved_model_is_refused(tmp_path, tiny_inception, tiny_models):
    with pytest.raises(SuiteError, match="is no SavedModel"):
        saved_models.load(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\x0ahello")
    with pytest.raises(SuiteError, match="damaged or no SavedModel"):
        saved_models.load(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(SuiteError, match="no TensorFlow 2 SavedModel"):
        saved_models.load(tmp_path)
    hidden = shutil.copytree(tiny_inception, tmp_path / "hidden")
    (hidden / "saved_model.cpb").write_bytes(b"")  # TensorFlow would prefer it to the one that was checked
    with pytest.raises(SuiteError, match="is no SavedModel"):
        saved_models.load(hidden)
    headless = shutil.copytree(tiny_inception, tmp_path / "headless")
    shutil.rmtree(headless / "variables")
    with pytest.raises(SuiteError, match="cannot be loaded as a SavedModel"):
        saved_models.load(headless)


def test_the_fingerprint_is_of_what_is_loaded(tmp_path, tiny_inception, tiny_models):
    digest = saved_models.fingerprint(tiny_inception)
    copy = shutil.copytree(tiny_inception, tmp_path / "copy")
    (copy / ".DS_Store").write_bytes(b"x")
    assert saved_models.fingerprint(copy) == digest and len(digest) == 64
    (copy / "assets").mkdir(exist_ok=True)
    (copy / "assets" / "x").write_bytes(b"1")
    changed = saved_models.fingerprint(copy)
    (copy / "assets" / "x").rename(copy / "assets" / "y")
    assert len({digest, changed, saved_models.fingerprint(copy)}) == 3
    other = tiny_models.save(tmp_path / "other", tiny_models.TinyInception(seed=1))
    assert saved_models.fingerprint(other) != digest


def test_a_signature_or_the_object_itself_is_used(tmp_path, tiny_inception, tiny_models):
    images = np.random.default_rng(0).normal(size=(2, 299, 299, 3)).astype(np.float32)
    expected = tiny_models.TinyInception()(images)
    by_signature = saved_models.load(tiny_inception)
    assert by_signature.outputs == ("logits", "pool_3") and by_signature.image_size == 299

    class Callable(tf.Module):
        """No signature, and a `training` argument, as a reusable module of the hub has."""

        def __init__(self):
            super().__init__()
            self.inner = tiny_models.TinyInception()
            for training in (True, False):
                self.__call__.get_concrete_function(tf.TensorSpec([None, None, None, 3]), training)

        @tf.function
        def __call__(self, images, training=False):
            outputs = self.inner.compute(images)
            return {name: values * (100.0 if training else 1.0) for name, values in outputs.items()}

    by_call = saved_models.load(tiny_models.save(tmp_path / "callable", Callable()))
    assert by_call.outputs == ("logits", "pool_3") and by_call.image_size is None
    for model in (by_signature, by_call):
        np.testing.assert_allclose(model.function(images)["logits"], expected["logits"], rtol=1e-5, atol=1e-6)


def test_a_model_that_keras_exports_is_used(tmp_path):
    inputs = keras.Input((16, 16, 3))
    features = keras.layers.Dropout(0.5)(keras.layers.Conv2D(4, 3)(inputs))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(features))
    model = keras.Model(inputs, {"logits": keras.layers.Dense(5)(features), "pool_3": features})
    model.export(tmp_path / "m", verbose=False)
    loaded = saved_models.load(tmp_path / "m")
    assert loaded.image_size == 16 and loaded.outputs == ("logits", "pool_3")


@pytest.mark.parametrize(
    "spec, function, received",
    [
        ([None, 8], lambda x: {"logits": x}, r"float32 \(None, 8\)\) -> logits"),
        ([None, 8, 8, 3], lambda x: {"scores": pooled(x)}, "-> scores"),
        ([4, 8, 8, 3], lambda x: {"logits": pooled(x)}, r"float32 \(4, 8, 8, 3\)"),
        ([None, 8, 16, 3], lambda x: {"logits": pooled(x)}, r"float32 \(None, 8, 16, 3\)"),
        ([None, 8, 8, 1], lambda x: {"logits": pooled(x)}, r"float32 \(None, 8, 8, 1\)"),
    ],
)
def test_other_functions_are_refused_with_what_came(tmp_path, spec, function, received):
    module = tf.Module()
    module.compute = tf.function(function, input_signature=[tf.TensorSpec(spec, tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.compute)
    with pytest.raises(SuiteError, match=f"no function from a float32 batch.*Received: .*{received}"):
        saved_models.load(tmp_path / "m")


def test_a_model_without_functions_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "m"))
    with pytest.raises(SuiteError, match="Received: no function at all"):
        saved_models.load(tmp_path / "m")
