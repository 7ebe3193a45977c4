"""SavedModels from elsewhere: which operations are refused before anything runs, and how the function is found."""

import os
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2, types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session as c_api

from data_tools.errors import SuiteError
from tfgan_suite.networks import numeric_operations, saved_models
from tfgan_suite.networks.numeric_operations import NUMERIC, SAVING


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


def reads_as_a_constant(images):
    content = tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[4], memory_region_name="/etc/passwd")
    return {"logits": pooled(images) + tf.cast(content[0], tf.float32)}


def reads_as_a_vocabulary(images):
    remapping, _ = tf.raw_ops.GenerateVocabRemapping(
        new_vocab_file="/etc/passwd", old_vocab_file="/etc/passwd", new_vocab_offset=0, num_new_vocab=3
    )
    return {"logits": pooled(images) + tf.cast(remapping, tf.float32)}


def ends_the_process(images):
    with tf.control_dependencies([tf.raw_ops.Abort(error_msg="", exit_without_error=True)]):
        return {"logits": pooled(images)}


def asks_the_time(images):
    return {"logits": pooled(images) + tf.cast(tf.raw_ops.Timestamp(), tf.float32)}


def a_dataset(images):
    lines = tf.data.TextLineDataset("/etc/passwd").reduce(0.0, lambda total, line: total + 1.0)
    return {"logits": pooled(images) + lines}


@pytest.mark.parametrize(
    "function, operation",
    [
        (reads, "ReadFile"), (writes, "WriteFile"), (calls_python, "PyFunc"), (saves, "SaveV2"),
        (in_a_branch, "ReadFile"), (in_a_loop, "ReadFile"), (prints, "PrintV2"), (a_dataset, "TextLineDataset"),
        (reads_as_a_constant, "ImmutableConst"), (reads_as_a_vocabulary, "GenerateVocabRemapping"),
        (ends_the_process, "Abort"), (asks_the_time, "Timestamp"),
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


def edited(folder, change):
    """Let `change(graph_def, object_graph_def)` edit the model in a folder."""
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(model.meta_graphs[0].graph_def, model.meta_graphs[0].object_graph_def)
    path.write_bytes(model.SerializeToString())


def parts_of(graph):
    """A function that runs, and one that saves or restores."""
    is_saver = {
        f.signature.name: any(n.op in ("SaveV2", "RestoreV2") for n in f.node_def) for f in graph.library.function
    }
    return [next(f for f in graph.library.function if is_saver[f.signature.name] == saver) for saver in (False, True)]


def by_a_call(graph, objects):
    runs, saves = parts_of(graph)
    runs.node_def.add(name="evil", op="StatefulPartitionedCall").attr["f"].func.name = saves.signature.name


def by_its_name_as_operation(graph, objects):
    runs, saves = parts_of(graph)
    runs.node_def.add(name="evil", op=saves.signature.name)


def by_a_function_inside_of_one_that_is_passed_on(graph, objects):
    runs, saves = parts_of(graph)
    given = runs.node_def.add(name="evil", op="StatefulPartitionedCall").attr["f"].func
    given.name = runs.signature.name
    given.attr["g"].list.func.add(name="other").attr["h"].func.name = saves.signature.name


def by_an_object_that_holds_it(graph, objects):
    objects.nodes.add().function.concrete_functions.append(parts_of(graph)[1].signature.name)


def by_a_bare_function(graph, objects):
    objects.nodes.add().bare_concrete_function.concrete_function_name = parts_of(graph)[1].signature.name


def as_a_gradient(graph, objects):
    runs, saves = parts_of(graph)
    graph.library.gradient.add(function_name=runs.signature.name, gradient_func=saves.signature.name)


def as_a_registered_gradient(graph, objects):
    saves = parts_of(graph)[1]
    graph.library.registered_gradients.add(gradient_func=saves.signature.name, registered_op_type="Relu")


def by_an_attribute_of_a_function(graph, objects):
    runs, saves = parts_of(graph)
    runs.attr["forward_function_name"].s = saves.signature.name.encode()


@pytest.mark.parametrize(
    "change",
    [
        by_a_call, by_its_name_as_operation, by_a_function_inside_of_one_that_is_passed_on, by_an_object_that_holds_it,
        by_a_bare_function, as_a_gradient, as_a_registered_gradient, by_an_attribute_of_a_function,
    ],
)  # fmt: skip
def test_the_function_that_saves_cannot_be_made_one_that_runs(tmp_path, tiny_models, monkeypatch, change):
    folder = tiny_models.save(tmp_path / "m")
    saved_models.opened(folder)
    edited(folder, change)
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(SuiteError, match="was not loaded: .*(SaveV2|RestoreV2)"):
        saved_models.opened(folder)


def test_tensorflow_never_sees_what_saves(tmp_path, tiny_models, monkeypatch):
    folder = tiny_models.save(tmp_path / "m")
    seen, load = [], tf.saved_model.load

    def looked_at(path):
        seen.append(saved_model_pb2.SavedModel.FromString((Path(path) / "saved_model.pb").read_bytes()))
        return load(path)

    monkeypatch.setattr(tf.saved_model, "load", looked_at)
    saved_models.opened(folder)
    graph = seen[0].meta_graphs[0].graph_def
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert operations <= set(NUMERIC) and "Conv2D" in operations and {node.op for node in graph.node} <= {"Const"}
    everything = (
        saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    )
    assert len(everything.library.function) > len(graph.library.function)


def a_function_nobody_calls(graph, objects):
    function = graph.library.function.add()
    function.signature.name = "unused"
    function.node_def.add(name="evil", op="SomeCustomOp")


def a_saver_that_does_more(graph, objects):
    parts_of(graph)[1].node_def.add(name="evil", op="ReadFile")


def a_node_beside_the_functions(graph, objects):
    graph.node.add(name="evil", op="ImmutableConst")


def a_table(graph, objects):
    objects.nodes.add().resource.device = "CPU"


def a_registered_object(graph, objects):
    objects.nodes.add(registered_name="tf.StaticHashTable").user_object.identifier = "_generic_user_object"


def a_function_named_like_an_operation(graph, objects):
    function = graph.library.function.add()
    function.signature.name = "ReadFile"
    parts_of(graph)[0].node_def.add(name="evil", op="ReadFile")


def two_of_a_name(graph, objects):
    runs = parts_of(graph)[0]
    graph.library.function.add().CopyFrom(runs)


def a_function_that_calls_itself(graph, objects):
    runs = parts_of(graph)[0]
    runs.node_def.add(name="again", op="PartitionedCall").attr["f"].func.name = runs.signature.name


def functions_that_double(graph, objects):
    for level in range(40):
        function = graph.library.function.add()
        function.signature.name = f"level_{level}"
        for i in range(2 if level else 0):
            function.node_def.add(name=f"call_{i}", op="PartitionedCall").attr["f"].func.name = f"level_{level - 1}"


def a_constant_of_one_number(graph, objects):
    value = parts_of(graph)[0].node_def.add(name="zeros", op="Const").attr["value"].tensor
    value.dtype = 1
    value.float_val.append(0)
    for _ in range(3):
        value.tensor_shape.dim.add(size=10_000)


@pytest.mark.parametrize(
    "change, message",
    [
        (a_function_nobody_calls, "was not loaded: SomeCustomOp"),
        (a_saver_that_does_more, "was not loaded: ReadFile"),
        (a_node_beside_the_functions, "was not loaded: ImmutableConst"),
        (a_table, "was not loaded: object with a resource"),
        (a_registered_object, "was not loaded: object tf.StaticHashTable"),
        (a_function_named_like_an_operation, "the function 'ReadFile' is called like an operation"),
        (two_of_a_name, "two functions share a name"),
        (a_function_that_calls_itself, "functions that call themselves"),
        (functions_that_double, "functions of more than 10,000,000 operations"),
        (a_constant_of_one_number, "constants of 1,000,0.*numbers"),
    ],
)
def test_a_graph_that_no_exporter_writes_is_refused_before_loading(tmp_path, tiny_models, monkeypatch, change, message):
    folder = tiny_models.save(tmp_path / "m")
    edited(folder, change)
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(SuiteError, match=message):
        saved_models.load(folder)


# What is in an attribute of type string that lists no values, where the operation is admitted all the same.
WORDS = {
    "data_format", "src_format", "dst_format", "equation", "message", "interpolation", "fill_mode", "kernel_type",
    "bad_indices_policy", "frame_name",
    "config", "config_proto", "executor_type",  # of calls: how the runtime schedules them
    "container", "shared_name", "allowed_devices", "tensor_array_name",  # of variables and lists of the process
    "debug_name", "device_name",
}  # fmt: skip
KEEPING = {  # operations with resources or lists as values
    "VarHandleOp", "ReadVariableOp", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "VariableShape",
    "VarIsInitializedOp", "DisableCopyOnRead", "ResourceGather", "ResourceGatherNd",
}  # fmt: skip
CHANGING = {
    "Assert",
    "CheckNumerics",
    "CheckNumericsV2",
    "If",
    "Case",
    "While",
    "StatefulPartitionedCall",
    "PartitionedCall",
}
RANDOM = re.compile("Random|Multinomial|TruncatedNormal")


def registered():
    """Every operation that TensorFlow knows, as it defines them itself."""
    return op_def_pb2.OpList.FromString(c_api.TF_GetBuffer(c_api.TF_GetAllOpList())).op


def test_no_listed_operation_takes_a_name_of_a_file_a_resource_or_a_string():
    """From TensorFlow's own definitions: what would let something in from outside, whatever the operation is called."""
    operations = {operation.name: operation for operation in registered()}
    assert len(operations) > 1500 and set(NUMERIC) <= set(operations)
    outside = {types_pb2.DT_STRING, types_pb2.DT_RESOURCE, types_pb2.DT_VARIANT}
    refused = 0
    for name, operation in operations.items():
        words = {a.name for a in operation.attr if "string" in a.type and not a.allowed_values.list.s} - WORDS
        own = name in KEEPING or name.startswith(("TensorList", "TensorArray", "EmptyTensorList"))
        values = not own and any(a.type in outside or a.is_ref for a in (*operation.input_arg, *operation.output_arg))
        effects = operation.is_stateful and not (own or name in CHANGING or RANDOM.search(name))
        if words or values or effects:
            refused += 1
            assert name not in NUMERIC, (name, words, values, effects)
    assert refused > 700  # the rule is one that refuses
    for name in ("ImmutableConst", "GenerateVocabRemapping", "Abort", "ReadFile", "PyFuncStateless", "XlaCallModule"):
        assert name in operations and name not in NUMERIC


def test_every_listed_operation_has_a_reason_and_none_is_listed_twice():
    assert len(NUMERIC) == sum(len(names.split()) for names in numeric_operations._BY_REASON.values()) > 300
    assert not set(NUMERIC) & SAVING and all(NUMERIC.values())


def test_pipes_and_other_files_that_are_none_are_not_waited_for(tmp_path, tiny_models):
    folder = tiny_models.save(tmp_path / "m")
    os.mkfifo(folder / "variables" / "variables.data-00001-of-00002")
    with pytest.raises(SuiteError, match="variables.data-00001-of-00002 is no file"):
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
