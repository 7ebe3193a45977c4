"""Differentiable augmentation: random changes of real and generated images alike, before the discriminator sees them.

Source: Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training (2020), section 3, and their code
(github.com/mit-han-lab/data-efficient-gans).

Each entry of `AUGMENTATIONS` is

    augmentation(images, key) -> images of the same shape and dtype

images: float32 or bfloat16 [B, H, W, C] in [-1, 1]; only B may be unknown while tracing.
key: int32 [2], a key for `tf.random.stateless_*`; every sample gets draws of its own.

All are affine in the images, and so differentiable with respect to them. Zero, which fills what is moved in or cut out,
is mid-grey. `color` can leave [-1, 1]; like the authors', it does not clip.
"""

import tensorflow as tf

from models_zoo.randomness import fold

# One literal per draw, so that the augmentations can share a key.
_BRIGHTNESS = 1
_SATURATION = 2
_CONTRAST = 3
_SHIFT_DOWN = 4
_SHIFT_RIGHT = 5
_CUT_ROW = 6
_CUT_COLUMN = 7


def color(images, key):
    """Brightness, saturation and contrast, in float32.

    x + b, then (x - m) s + m with m the mean over channels of each pixel, then (x - M) c + M with M the mean of the
    image; b ~ U[-0.5, 0.5), s ~ U[0, 2), c ~ U[0.5, 1.5) for every sample.
    """

    def draw(use, low, high):
        shape = [tf.shape(images)[0], 1, 1, 1]
        return tf.random.stateless_uniform(shape, fold(key, use), low, high, alg="philox")

    x = tf.cast(images, tf.float32) + draw(_BRIGHTNESS, -0.5, 0.5)
    gray = tf.reduce_mean(x, axis=3, keepdims=True)
    x = (x - gray) * draw(_SATURATION, 0, 2) + gray
    mean = tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
    x = (x - mean) * draw(_CONTRAST, 0.5, 1.5) + mean
    return tf.cast(x, images.dtype)


def translation(images, key):
    """Shift by whole pixels, up to an eighth of the side each way; zeros move in.

    The shifts are integers, uniform in [-r, r] for every sample and axis, r = floor(side / 8 + 1/2). (The authors round
    so in one of their programs and down in the others.)
    """
    _, height, width, _ = images.shape
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])

    def sources(side, use):
        reach = _rounded(side, 8)
        shift = _integers(images, key, use, -reach, reach + 1)
        return tf.clip_by_value(tf.range(side) - shift + 1, 0, side + 1)

    rows = tf.gather(padded, sources(height, _SHIFT_DOWN), axis=1, batch_dims=1)
    return tf.gather(rows, sources(width, _SHIFT_RIGHT), axis=2, batch_dims=1)


def cutout(images, key):
    """Set a rectangle of half the height and half the width to zero, at a random place and clipped at the border.

    A cut of s = floor(side / 2 + 1/2) pixels covers [t - floor(s / 2), t - floor(s / 2) + s), t being an integer,
    uniform in [0, side] for even s and in [0, side) for odd s, for every sample and axis.
    """
    _, height, width, _ = images.shape

    def inside(side, use):
        size = _rounded(side, 2)
        start = _integers(images, key, use, 0, side + 1 - size % 2) - size // 2
        position = tf.range(side)
        return (position >= start) & (position < start + size)

    rows = inside(height, _CUT_ROW)[:, :, None, None]
    columns = inside(width, _CUT_COLUMN)[:, None, :, None]
    return tf.where(rows & columns, tf.zeros([], images.dtype), images)


def augment(images, policy, key):
    """Apply the augmentations that `policy` names, in its order.

    Args:
        images: as above.
        policy: names separated by commas, for instance "color,translation,cutout"; "" returns the images themselves.
        key: as above.

    Raises:
        ValueError: for an unknown name or one that comes twice.
    """
    for name in parse(policy):
        images = AUGMENTATIONS[name](images, key)
    return images


def parse(policy):
    """The names in a policy, a list.

    >>> parse("color,cutout")
    ['color', 'cutout']

    Raises:
        ValueError: for an unknown name or one that comes twice.
    """
    names = policy.split(",") if policy else []
    if not set(names) <= set(AUGMENTATIONS) or len(set(names)) < len(names):
        raise ValueError(
            f"augment must be empty or names out of {', '.join(AUGMENTATIONS)}, each once, separated by commas. "
            f"Received: augment={policy!r}"
        )
    return names


def _rounded(side, divisor):
    return int(side / divisor + 0.5)  # halves go up, unlike those of `round`


def _integers(images, key, use, low, high):
    """Uniform integers in [low, high), int32 [B, 1]."""
    return tf.random.stateless_uniform([tf.shape(images)[0], 1], fold(key, use), low, high, tf.int32, alg="philox")


AUGMENTATIONS = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
