"""Image classifiers whose logits and features score generated images without a download.

Each is a function from image size, channels and number of classes to a model from images float32 [B, S, S, C] in
[-1, 1] to a dict with `logits` [B, num_classes] and `pool_3` [B, d], the features in front of them, both float32; the
names are those of TF-GAN's Inception module.
"""

import keras
from keras import layers

FEATURES = 64


def small(image_size, channels, num_classes):
    """Three convolution and pooling stages and a dense layer, d = 64: under 1 MB at 32x32, thousands of images/s."""
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


def residual(image_size, channels, num_classes):
    """Residual blocks of two convolutions behind each of three poolings, d = 128: for photographs; 2 MB.

    | layer, each convolution 3x3 with batch norm and ReLU | output at 32x32 |
    | ---------------------------------------------------- | --------------- |
    | convolution                                          | 32 x 32 x 16    |
    | convolution, max pooling, residual block             | 16 x 16 x 32    |
    | convolution, max pooling, residual block             | 8 x 8 x 64      |
    | convolution, max pooling, residual block             | 4 x 4 x 128     |
    | mean over the map: `pool_3`                          | 128             |
    | dense                                                | classes         |
    """
    images = keras.Input((image_size, image_size, channels), name="images")
    x = _normalized_convolution(images, 16, "stem")
    for i, filters in enumerate((32, 64, 128)):
        x = _normalized_convolution(x, filters, f"stage_{i}")
        x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
        inner = _normalized_convolution(x, filters, f"block_{i}_0")
        inner = _normalized_convolution(inner, filters, f"block_{i}_1")
        x = layers.Add(name=f"block_{i}")([x, inner])
    features = layers.GlobalAveragePooling2D(name="features")(x)
    logits = layers.Dense(num_classes, name="logits")(features)
    return keras.Model(images, {"logits": logits, "pool_3": features}, name="classifier")


def _normalized_convolution(x, filters, name):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


CLASSIFIERS = {"small": small, "residual": residual}
