"""How the class enters the networks of `models_zoo/cgan.py`: one function for each way that the paper searches.

Each entry of `GENERATOR_NORMS` is what follows a convolution of the generator,

    norm(x, condition, num_classes, name) -> normalized map

condition being the labels [B] for `cbn_embedding`, and the class embedding [B, E] for the others. `concat` and
`hidden_concat` have joined the class before, and normalize all classes alike.

Each entry of `DISCRIMINATOR_HEADS` is what follows the last map of the discriminator,

    head(x, labels, num_classes, wrap) -> outputs by name: `logits` [B, 1], and `class_logits` [B, num_classes]

wrap being what spectral normalization does to a layer.
"""

import keras
from keras import layers

from models_zoo import networks
from models_zoo.conditional_batch_normalization import ConditionalBatchNormalization
from models_zoo.resnet import SumOverMap


def norm_by_class(x, labels, num_classes, name):
    """Gains and biases are looked up by class."""
    return ConditionalBatchNormalization(num_classes, synchronized=networks.distributed(), name=name)([x, labels])


def norm_by_embedding(x, embedding, num_classes, name):
    """Gains and biases are linear functions of the class embedding."""
    return ConditionalBatchNormalization(synchronized=networks.distributed(), name=name)([x, embedding])


def norm_alike(x, embedding, num_classes, name):
    """Gains and biases are the same for all classes."""
    return networks.batch_normalization(name)(x)


def projected(x, labels, num_classes, wrap):
    """The inner product of the class embedding with the features is added to the logits."""
    features = SumOverMap(name="features")(x)
    return {"logits": networks.float32(networks.projection(features, labels, num_classes, wrap))}


def source(x, labels, num_classes, wrap):
    """The logits alone."""
    x = layers.Flatten(name="flatten")(x)
    return {"logits": networks.float32(wrap(layers.Dense(1, name="logits"))(x))}


def source_and_class(x, labels, num_classes, wrap):
    """The logits, and a classifier."""
    x = layers.Flatten(name="flatten")(x)
    logits = wrap(layers.Dense(1, name="logits"))(x)
    class_logits = wrap(layers.Dense(num_classes, name="class_logits"))(x)
    return {"logits": networks.float32(logits), "class_logits": networks.float32(class_logits, "class_logits")}


def class_embedding(num_classes, dim):
    """e, from a unit normal law: as strong as the latents."""
    unit_normal = keras.initializers.RandomNormal(stddev=1.0)
    return layers.Embedding(num_classes, dim, embeddings_initializer=unit_normal, name="class_embedding")


def joined(x, embedding):
    """The class embedding [B, E] beside the features at every pixel of the map [B, H, W, C]."""
    side = x.shape[1]
    everywhere = layers.RepeatVector(side * side, name=f"repeat_{side}")(embedding)
    everywhere = layers.Reshape((side, side, embedding.shape[-1]), name=f"everywhere_{side}")(everywhere)
    return layers.Concatenate(name=f"with_class_{side}")([x, everywhere])


GENERATOR_NORMS = {
    "cbn_embedding": norm_by_class,
    "cbn_linear": norm_by_embedding,
    "concat": norm_alike,
    "hidden_concat": norm_alike,
}
DISCRIMINATOR_HEADS = {
    "projection": projected,
    "auxiliary": source_and_class,
    "concat": source,
    "hidden_concat": source,
}
