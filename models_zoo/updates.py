"""One update of a network, on one replica or on several, and a look at a network that changes nothing in it."""

import keras
import tensorflow as tf


def optimizer_for(network, optimizer):
    """An optimizer, or that of a name, with its variables for the trainable ones of `network`.

    Raises:
        ValueError: for a network in float16.
    """
    if network.compute_dtype == "float16":
        raise ValueError("float16 needs loss scaling, which is not here: use mixed_bfloat16. Received: mixed_float16")
    optimizer = keras.optimizers.get(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer


def descend(optimizer, tape, loss, network, clip_norm=0.0):
    """Apply the gradients of `loss` to `network`; returns their global norm on this replica, before clipping.

    `optimizer.apply` adds up the gradients of all replicas, so each is divided by their number: the update is that of
    the mean over the whole batch. With `clip_norm` that mean is scaled down to this norm if it is above it.
    """
    context = tf.distribute.get_replica_context()
    variables = network.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]  # those of embeddings come as slices
    norm = tf.linalg.global_norm(gradients)
    if clip_norm:
        gradients, _ = tf.clip_by_global_norm(mean_over_replicas(gradients), clip_norm)
    optimizer.apply([gradient / context.num_replicas_in_sync for gradient in gradients], variables)
    return norm


def mean_over_replicas(values):
    """Tensors in any structure, each averaged over the replicas."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, values) if context.num_replicas_in_sync > 1 else values


def unchanged(network, inputs):
    """The output of `network` in training mode, leaving its state (moving statistics) as it was."""
    outputs, _ = network.stateless_call(
        network.trainable_variables, network.non_trainable_variables, inputs, training=True
    )
    return outputs
