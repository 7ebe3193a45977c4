"""A small image classifier whose logits and features score generated images without a download."""

import keras
from keras import layers

FEATURES = 64


def classifier(image_size, channels, num_classes):
    """Three convolution and pooling stages and a dense layer: under 1 MB at 32x32, thousands of images per second.

    Returns:
        Model from images float32 [B, S, S, C] in [-1, 1] to a dict with `logits` [B, num_classes] and `pool_3`
        [B, 64], the features in front of them, both float32; the names are those of TF-GAN's Inception module.
    """
    images = x = keras.Input((image_size, image_size, channels), name="images")
    for i, filters in enumerate((16, 32, 64)):
        x = layers.Conv2D(filters, 3, padding="same", name=f"conv_{i}")(x)
        x = layers.ReLU(name=f"relu_{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
    x = layers.Resizing(4, 4, name="resize")(x) if image_size != 32 else x
    x = layers.Flatten(name="flatten")(x)
    features = layers.Dense(FEATURES, activation="relu", name="features")(x)
    logits = layers.Dense(num_classes, name="logits")(features)
    return keras.Model(images, {"logits": logits, "pool_3": features}, name="classifier")
