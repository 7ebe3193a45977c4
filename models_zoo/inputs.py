"""What networks and training steps are given: with labels or without, checked before anything is computed from it."""

import tensorflow as tf

from models_zoo import checks


def is_conditional(network):
    """Whether a network takes labels, beside latents or images."""
    return len(network.inputs) == 2


def inputs_of(network, first, labels):
    """[first, labels] for a network that takes labels, `first` for another."""
    return [first, labels] if is_conditional(network) else first


def checked_classes(num_classes, discriminator, needed, variant):
    """`num_classes`; raises ValueError unless it is two or more if `needed`, and that of the discriminator's classifier
    if it has one."""
    if needed and (num_classes or 0) < 2:
        raise ValueError(f"{variant} needs two classes or more. Received: num_classes={num_classes}")
    outputs = discriminator.output if isinstance(discriminator.output, dict) else {}
    of_networks = outputs["class_logits"].shape[-1] if "class_logits" in outputs else num_classes
    return checks.require(
        num_classes == of_networks, "num_classes", num_classes, f"that of the networks, {of_networks}"
    )


def images_and_labels(batch, variant, num_classes=None):
    """Images and labels int32 [B] of a batch; zeros where none were given.

    Args:
        batch: images float [B, H, W, C] in [-1, 1], or a tuple (images, labels), labels integers [B] or [B, 1].
        variant: name of the variant, for messages.
        num_classes: number of classes if the variant needs labels, else None.

    Raises:
        ValueError: for images that are not floats, labels that are missing, floats, or one-hot rows.
        InvalidArgumentError: for a label that is no class.
    """
    images, labels = batch if isinstance(batch, (tuple, list)) else (batch, None)
    images = tf.convert_to_tensor(images)
    if not images.dtype.is_floating:
        raise ValueError(f"images must be floats in [-1, 1], x / 127.5 - 1. Received: dtype={images.dtype.name}")
    if labels is not None:
        labels = _integers(labels)
        return images, check_labels(labels, num_classes) if num_classes else labels
    if num_classes:
        raise ValueError(f"{variant} is conditional: batches must be (images, labels). Received: images only")
    return images, tf.zeros(tf.shape(images)[:1], tf.int32)


def check_labels(labels, num_classes):
    """`labels`; raises InvalidArgumentError, in a graph when it runs, unless all of them are classes."""
    message = f"labels must be from 0 to {num_classes - 1}, as num_classes is {num_classes}"
    made = [tf.debugging.assert_non_negative(labels, message), tf.debugging.assert_less(labels, num_classes, message)]
    # Whatever uses the labels comes after the checks: an embedding would fail in its own words first.
    with tf.control_dependencies([check for check in made if check is not None]):
        return tf.identity(labels)


def _integers(labels):
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 2 and labels.shape[1] == 1:  # as `keras.datasets` gives them
        labels = labels[:, 0]
    if labels.shape.rank != 1 or labels.dtype.is_floating:
        raise ValueError(
            f"labels must be integers [B], not one-hot rows. "
            f"Received: shape={tuple(labels.shape)}, dtype={labels.dtype.name}"
        )
    return tf.cast(labels, tf.int32)
