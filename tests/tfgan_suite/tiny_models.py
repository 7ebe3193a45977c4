"""Small SavedModels with the outputs of TF-GAN's Inception, and archives of them as the hub serves them."""

import io
import tarfile

import numpy as np
import tensorflow as tf

LOGITS, POOL = 1008, 2048


class TinyInception(tf.Module):
    """A convolution, a mean, and two products; takes and gives what TF-GAN's module does."""

    def __init__(self, seed=0, logits=LOGITS):
        super().__init__()
        random = np.random.default_rng(seed)
        self.kernel = tf.Variable(random.normal(size=(8, 8, 3, 16)).astype(np.float32) * 0.1)
        self.mix = tf.Variable(random.normal(size=(16, POOL)).astype(np.float32) * 0.3)
        self.head = tf.Variable(random.normal(size=(POOL, logits)).astype(np.float32) * 0.05)

    def compute(self, images):
        maps = tf.nn.relu(tf.nn.conv2d(images, self.kernel, 8, "VALID"))
        pooled = tf.nn.relu(tf.reduce_mean(maps, axis=[1, 2]) @ self.mix)
        return {"logits": pooled @ self.head, "pool_3": pooled}

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
    def __call__(self, images):
        return self.compute(images)


def save(folder, model=None, **options):
    """Write a SavedModel; gives its folder."""
    tf.saved_model.save(model or TinyInception(), str(folder), **options)
    return folder


def save_function(folder, function, *, signature=True):
    """A SavedModel whose one function, of images of any size, is `function`."""
    module = tf.Module()
    module.compute = tf.function(function, input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.compute} if signature else None)
    return folder


def inception_of_2015():
    """A graph of TensorFlow 1 with the operations of the Inception network of 2015, a few of its layers.

    After each convolution the numbers are checked by control edges, `Concat` takes the axis first, everything is frozen
    into constants, and the pooled features keep their four dimensions, of which none is known.
    """
    v1, raw, random = tf.compat.v1, tf.raw_ops, np.random.default_rng(0)

    def convolution(x, filters, side, stride, name):
        kernel = random.normal(size=(side, side, x.shape[3], filters)) / np.sqrt(side * side * int(x.shape[3]))
        with v1.name_scope(name):
            x = raw.Conv2D(
                input=x, filter=v1.constant(kernel, tf.float32), strides=[1, stride, stride, 1], padding="SAME"
            )
            x = raw.BiasAdd(value=x, bias=v1.constant(random.normal(size=filters), tf.float32))
            with v1.control_dependencies([raw.CheckNumerics(tensor=x, message=f"{name} has NaN or Inf")]):
                return raw.Relu(features=raw.Identity(input=x, name="control_dependency"))

    with v1.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, None, None, 3], name="Mul")
        x = raw.ResizeBilinear(images=x, size=v1.constant([75, 75]), name="ResizeBilinear")
        x = raw.MaxPool(
            input=convolution(x, 8, 3, 4, "conv"), ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="VALID"
        )
        pooled = raw.AvgPool(value=x, ksize=[1, 3, 3, 1], strides=[1, 1, 1, 1], padding="SAME")
        towers = [convolution(x, 24, 1, 1, "mixed/conv"), convolution(pooled, 40, 1, 1, "mixed/tower/conv")]
        x = raw.Concat(concat_dim=v1.constant(3), values=towers, name="mixed/join")
        x = convolution(x, POOL, 1, 1, "mixed_10/conv")
        x = raw.AvgPool(value=x, ksize=[1, 9, 9, 1], strides=[1, 9, 9, 1], padding="VALID", name="pool_3")
        x = raw.Reshape(tensor=x, shape=v1.constant([-1, POOL]), name="pool_3/_reshape")
        weights = v1.constant(random.normal(size=(POOL, LOGITS)) / np.sqrt(POOL), tf.float32)
        logits = raw.MatMul(a=x, b=weights, name="softmax/logits/MatMul")
        logits = raw.BiasAdd(value=logits, bias=v1.constant(random.normal(size=LOGITS), tf.float32), name="logits")
        raw.Softmax(logits=logits, name="softmax")
        # of a rank that nothing tells before it runs, as an imported graph may have it
        unknown = v1.placeholder_with_default(v1.constant([-1, 1, 1, POOL]), None)
        raw.Reshape(tensor=raw.Squeeze(input=raw.ExpandDims(input=x, axis=1), axis=[1]), shape=unknown, name="features")
    return graph.as_graph_def()


class InceptionOf2015(tf.Module):
    """The graph above as the hub has it: an object that is called, and without a signature."""

    def __init__(self):
        super().__init__()
        graph_def = inception_of_2015()
        names = {"logits": "logits:0", "pool_3": "features:0"}

        def compute(images):
            found = tf.graph_util.import_graph_def(graph_def, {"Mul": images}, list(names.values()), name="")
            return dict(zip(names, found, strict=True))

        self.compute = compute

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
    def __call__(self, images):
        return self.compute(images)


def pack(folder, archive, kind="w:gz"):
    """An archive as the hub serves it, with "./" before the names; gives its path."""
    with tarfile.open(archive, kind) as tar:
        tar.add(folder, arcname=".")
    return archive


def pack_members(archive, members):
    """A `.tar.gz` of (TarInfo or name, bytes); gives its path."""
    with tarfile.open(archive, "w:gz") as tar:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isfile():
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive
