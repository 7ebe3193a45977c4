"""ReACGAN: Kang et al., Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training (2021), on BigGAN's networks.

    f(x) = P(h(x)) / |P(h(x))|,  v_y = w_y / |w_y|     (h: features of the discriminator, w_y: a vector for each class)
    p_i  = exp(min(f(x_i) . v_{y_i} - m_p, 0) / tau)
    n_ij = exp(max(f(x_i) . f(x_j) - m_n, 0) / tau)
    D2D-CE(x, y) = -mean over i of log p_i / (p_i + sum of n_ij over the j with y_j != y_i)                    (eq. 6)
    repeat:
        (x, y) ~ data, z ~ N(0, I), c ~ uniform
        D descends  max(0, 1 - D(x)) + max(0, 1 + D(G(z, c))) + lambda D2D-CE(x, y)
        z ~ N(0, I), c ~ uniform
        G descends  -D(G(z, c)) + lambda D2D-CE(G(z, c), c)

What is wrong with AC-GAN, says the paper: the gradient of its classifier grows with the norm of the features, and it
compares images with classes, never with each other. Here features lie on the unit sphere, images of other classes in
the batch are what an image is to be far from, and what is easy already (nearer than m_p to its class, farther than m_n
from others) gives no gradient. D classifies real images alone.

lambda = tau = 0.5, m_p = 0.98, m_n = 1 - m_p = 0.02 and 512 dimensions are those for CIFAR-10. The networks are those
of `models_zoo/biggan.py` (256 channels in both, the paper has 384 and 192), with self-attention at 16x16 and spectral
normalization in both, P included; the discriminator has its logit and the vector f in the place of the projection. Over
several replicas, the batch is each one's own.
"""

import keras
import tensorflow as tf
from keras import layers

from models_zoo import biggan, checks, networks, resnet
from models_zoo.gan import GAN
from models_zoo.losses import LOSSES, data_to_data_cross_entropy


class ReACGAN(GAN):
    """AC-GAN whose classifier compares the images of a batch on a sphere.

    Args:
        class_weight: lambda, not negative.
        positive_margin: m_p, the cosine to the own class that is near enough, in [-1, 1].
        negative_margin: m_n, the cosine to an image of another class that is far enough, in [-1, 1].
        temperature: tau, positive.
        **kwargs: as in `GAN`.
    """

    default_loss = "hinge"
    logged = (*GAN.logged, "d_class", "g_class")
    conditional = True

    def __init__(self, *args, class_weight=0.5, positive_margin=0.98, negative_margin=0.02, temperature=0.5, **kwargs):
        super().__init__(*args, **kwargs)
        self.class_weight = checks.not_negative("class_weight", class_weight)
        self.positive_margin = checks.cosine("positive_margin", positive_margin)
        self.negative_margin = checks.cosine("negative_margin", negative_margin)
        self.temperature = checks.positive("temperature", temperature)

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None, *, attention=True, embedding_dim=512):
        """`attention` adds self-attention to both networks; `embedding_dim` is the length of the vectors f and v."""
        checks.at_least_one("embedding_dim", embedding_dim)
        return (
            biggan.generator(image_size, channels, latent_dim, width, num_classes, attention),
            discriminator(image_size, channels, width, num_classes, attention, embedding_dim),
        )

    def train_step(self, batch):
        for index, (real, labels) in enumerate(self.parts(batch)):  # once, unless told
            # max(0, 1 - D(x)) + max(0, 1 + D(G(z, c))) + lambda D2D-CE(x, y)
            d_logs = self.discriminator_step(real, labels, index)
        g_logs = self.generator_step(tf.shape(real)[0])  # -D(G(z, c)) + lambda D2D-CE(G(z, c), c)
        return self.finish_step(d_logs | g_logs)

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        of_real, of_fake = self.discriminate(real, labels), self.discriminate(fake, fake_labels)
        source = LOSSES[self.adversarial_loss].discriminator(of_real["logits"], of_fake["logits"])
        class_loss = self.class_loss(of_real, labels)
        loss = source + self.class_weight * class_loss
        return loss, {"d_class": class_loss} | self.opinions(of_real["logits"], of_fake["logits"])

    def generator_loss(self, fake, labels):
        outputs = self.judge(fake, labels)
        class_loss = self.class_loss(outputs, labels)
        source = LOSSES[self.adversarial_loss].generator(outputs["logits"])
        return source + self.class_weight * class_loss, {"g_class": class_loss}

    def class_loss(self, outputs, labels):
        """D2D-CE, without lambda."""
        return data_to_data_cross_entropy(
            outputs["embedding"], outputs["proxy"], labels, self.positive_margin, self.negative_margin, self.temperature
        )


def discriminator(image_size, channels, width, num_classes, attention, embedding_dim):
    """From [images, labels]: `logits` [B, 1], and unit vectors [B, E]: `embedding` of an image, `proxy` of a class."""
    kernels = resnet.Kernels(spectral=True, initializer=biggan.INITIALIZER)
    images, labels = networks.images_input(image_size, channels), networks.labels_input(num_classes)
    features = resnet.shrunk(images, networks.scaled(biggan.CHANNELS, width), kernels, attention=attention)
    table = layers.Embedding(
        num_classes, embedding_dim, embeddings_initializer=biggan.INITIALIZER, name="class_embedding"
    )
    outputs = {
        "logits": networks.float32(kernels.dense(features, 1, "logits")),
        "embedding": _on_sphere(kernels.dense(features, embedding_dim, "projected"), "embedding"),
        "proxy": _on_sphere(table(labels), "proxy"),
    }
    return keras.Model([images, labels], outputs, name="discriminator")


def _on_sphere(x, name):
    return layers.UnitNormalization(axis=-1, dtype="float32", name=name)(x)
