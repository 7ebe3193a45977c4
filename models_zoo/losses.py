"""Losses as pure functions of what the discriminator returns; in float32, whatever the dtype of the arguments.

Each entry of `LOSSES` is a pair `AdversarialLoss(discriminator, generator)`:

    discriminator(real_logits, fake_logits) -> scalar
    generator(fake_logits) -> scalar

and `of_scores=True` beside them if the logits are scores, whose sigmoid means nothing. Every variant whose algorithm
takes any adversarial loss finds it there by its name.

Logits are float [B] or [B, 1], unbounded (a sigmoid of them would be the probability of "real" for the cross-entropy
losses); the losses are means over all their elements.

The functions that are not in the table have other arguments: pairs of logits, energies and reconstructions of
auto-encoding discriminators, features, and classes.
"""

import collections

from keras import ops

from models_zoo import checks

AdversarialLoss = collections.namedtuple(
    "AdversarialLoss", ["discriminator", "generator", "of_scores"], defaults=[False]
)
_SMALLEST = 1e-12  # norms below it count as zero
_LARGEST = 1e30  # an exponent below minus that is nothing, and infinity without its NaN


def cross_entropy_discriminator(real_logits, fake_logits):
    """-log D(x) - log(1 - D(G(z))) with D = sigmoid(logits).

    Source: Goodfellow et al., Generative Adversarial Nets (2014), eq. 1, negated.
    `softplus(-a) = -log sigmoid(a)` neither overflows nor rounds to log(0).
    """
    return ops.mean(ops.softplus(-_float32(real_logits))) + ops.mean(ops.softplus(_float32(fake_logits)))


def non_saturating_generator(fake_logits):
    """-log D(G(z)): same fixed point as minimax, but a strong gradient while D rejects the samples.

    Source: Goodfellow et al. (2014), section 3, last paragraph.
    """
    return ops.mean(ops.softplus(-_float32(fake_logits)))


def minimax_generator(fake_logits):
    """log(1 - D(G(z))): the original game, whose gradient vanishes while D rejects the samples.

    Source: Goodfellow et al. (2014), eq. 1.
    """
    return -ops.mean(ops.softplus(_float32(fake_logits)))


def hinge_discriminator(real_logits, fake_logits):
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))).

    Source: Miyato et al., Spectral Normalization for GANs (2018), eq. 16, negated.
    """
    return ops.mean(ops.relu(1 - _float32(real_logits))) + ops.mean(ops.relu(1 + _float32(fake_logits)))


def hinge_generator(fake_logits):
    """-D(G(z)).

    Source: Miyato et al. (2018), eq. 17.
    """
    return -ops.mean(_float32(fake_logits))


def wasserstein_discriminator(real_logits, fake_logits):
    """D(G(z)) - D(x), for a critic that is Lipschitz by other means (clipped weights, a gradient penalty).

    Source: Arjovsky et al., Wasserstein GAN (2017), eq. 3, negated.
    """
    return ops.mean(_float32(fake_logits)) - ops.mean(_float32(real_logits))


def wasserstein_generator(fake_logits):
    """-D(G(z)).

    Source: Arjovsky et al. (2017), algorithm 1.
    """
    return -ops.mean(_float32(fake_logits))


def least_squares(a, b, c):
    """The pair 1/2 (D(x) - b)^2 + 1/2 (D(G(z)) - a)^2 and 1/2 (D(G(z)) - c)^2.

    Source: Mao et al., Least Squares Generative Adversarial Networks (2017), eq. 2.

    Args:
        a: the logit that D should give to generated images.
        b: the logit that D should give to real images.
        c: the logit that G wants for its images.
    """

    def discriminator(real_logits, fake_logits):
        return (_mean_square(real_logits, b) + _mean_square(fake_logits, a)) / 2

    def generator(fake_logits):
        return _mean_square(fake_logits, c) / 2

    return AdversarialLoss(discriminator, generator, of_scores=True)


def paired_discriminator(real_logits, fake_logits):
    """-log sigmoid(D(x) - D(G(z))) of each pair of a real and a generated image.

    Sources: Jolicoeur-Martineau, On Relativistic f-Divergences (2020), section 3; Huang et al., The GAN is dead; long
    live the GAN! (2024), eq. 2. Only differences of logits count.

    Args:
        real_logits, fake_logits: float [B] or [B, 1], as many of the one as of the other: row i of both is a pair.
    """
    return ops.mean(ops.softplus(_float32(fake_logits) - _float32(real_logits)))


def paired_generator(real_logits, fake_logits):
    """-log sigmoid(D(G(z)) - D(x)): `paired_discriminator` with the two exchanged."""
    return paired_discriminator(fake_logits, real_logits)


def margin_discriminator(real_energy, fake_energy, margin):
    """D(x) + max(0, margin - D(G(z))), D being an energy, not a logit.

    Source: Zhao et al., Energy-based Generative Adversarial Networks (2017), eq. 1.

    Args:
        real_energy: float [B] or [B, 1], at least 0; low where D sees data.
        fake_energy: the same of generated images.
        margin: above 0; an energy above it no longer counts.
    """
    return ops.mean(_float32(real_energy)) + ops.mean(ops.relu(margin - _float32(fake_energy)))


def margin_generator(fake_energy):
    """D(G(z)), D being an energy, float [B] or [B, 1].

    Source: Zhao et al. (2017), eq. 2.
    """
    return ops.mean(_float32(fake_energy))


def pulling_away(features):
    """Mean squared cosine between the rows of different samples, in [0, 1]; 0 for a single row.

    1 / (N (N - 1)) sum_i sum_{j != i} (s_i . s_j / (|s_i| |s_j|))^2. A row of zeros has the cosine 0 with every other,
    and the gradient 0. Source: Zhao et al. (2017), eq. 4.

    Args:
        features: float [N, d]; the rows are the encodings of N generated images.
    """
    features = _float32(features)
    norms = ops.sqrt(ops.maximum(ops.sum(ops.square(features), axis=1, keepdims=True), _SMALLEST**2))
    rows = features / norms
    count = ops.shape(rows)[0]
    others = 1 - ops.eye(count, dtype="float32")
    pairs = ops.maximum(ops.cast(count * (count - 1), "float32"), 1)
    return ops.sum(others * ops.square(ops.matmul(rows, ops.transpose(rows)))) / pairs


def reconstruction(images, reconstructions, power):
    """Mean over pixels of |image - reconstruction|^power, float32 [B].

    Source: power 1 and 2 are the L(v) of Berthelot et al., BEGAN (2017), section 3.1, per pixel; power 2 is the energy
    of Zhao et al. (2017), eq. 3, as a mean of squares in the place of the root of their sum.

    Args:
        images: float [B, H, W, C].
        reconstructions: float [B, H, W, C].
        power: 1 or 2.

    Raises:
        ValueError: for another power.
    """
    checks.require(power in (1, 2), "power", power, "1 or 2")
    difference = _float32(images) - _float32(reconstructions)
    return ops.mean(ops.abs(difference) if power == 1 else ops.square(difference), axis=(1, 2, 3))


def class_cross_entropy(class_logits, labels, smoothing=0.0):
    """Mean cross-entropy between softmax(class_logits) and smoothed labels.

    The target is 1 - (k - 1) / k * smoothing for the true class and smoothing / k for each other one of the k.
    Sources: Szegedy et al., Rethinking the Inception Architecture (2016), section 7; Salimans et al., Improved
    Techniques for Training GANs (2016), section 3.4; Sridhar, Variably Trained GANs, section 3.7.

    Args:
        class_logits: float [B, k].
        labels: integers [B] in [0, k).
        smoothing: in [0, 1); 0 is plain cross-entropy.

    Raises:
        ValueError: for a smoothing outside [0, 1).
    """
    checks.fraction("smoothing", smoothing)
    classes = class_logits.shape[-1]
    targets = (1 - smoothing) * ops.one_hot(labels, classes, dtype="float32") + smoothing / classes
    return -ops.mean(ops.sum(targets * ops.log_softmax(_float32(class_logits), axis=-1), axis=-1))


def data_to_data_cross_entropy(embeddings, proxies, labels, positive_margin, negative_margin, temperature):
    """Mean over i of -log(p_i / (p_i + sum_j n_ij)), j being the samples of other classes than i.

    p_i = exp(min(f_i . v_i - m_p, 0) / tau) is how near a sample is to the proxy of its class, n_ij =
    exp(max(f_i . f_j - m_n, 0) / tau) how near to a sample of another one; what is near or far enough gives no
    gradient.
    Source: Kang et al., Rebooting ACGAN (2021), eq. 6 (D2D-CE).

    Args:
        embeddings: f, float [B, E], rows of length 1.
        proxies: v, float [B, E], rows of length 1: row i is that of the class of sample i.
        labels: integers [B].
        positive_margin, negative_margin: m_p and m_n, cosines in [-1, 1].
        temperature: tau, above 0.
    """
    embeddings, proxies = _float32(embeddings), _float32(proxies)
    positive = ops.minimum(ops.sum(embeddings * proxies, axis=1) - positive_margin, 0.0) / temperature
    cosines = ops.matmul(embeddings, ops.transpose(embeddings))
    negative = ops.relu(cosines - negative_margin) / temperature
    negative = ops.where(labels[:, None] != labels[None, :], negative, -_LARGEST)
    everything = ops.concatenate([positive[:, None], negative], axis=1)
    return ops.mean(ops.logsumexp(everything, axis=1) - positive)


def named_loss(name, choices, variant):
    """`name`; raises ValueError, in the name of the variant, unless it is among `choices`."""
    if name not in choices:
        raise ValueError(f"loss must be one of {', '.join(choices)} for {variant}. Received: loss={name!r}")
    return name


def _float32(values):
    return ops.cast(values, "float32")


def _mean_square(logits, wanted):
    return ops.mean(ops.square(_float32(logits) - wanted))


LOSSES = {
    "non_saturating": AdversarialLoss(cross_entropy_discriminator, non_saturating_generator),
    "minimax": AdversarialLoss(cross_entropy_discriminator, minimax_generator),
    "hinge": AdversarialLoss(hinge_discriminator, hinge_generator),
    "least_squares": least_squares(a=0, b=1, c=1),  # eq. 9: G wants what D gives to data
    "least_squares_pearson": least_squares(a=-1, b=1, c=0),  # eq. 8: b - c = 1 and b - a = 2, Pearson's chi^2
    "wasserstein": AdversarialLoss(wasserstein_discriminator, wasserstein_generator, of_scores=True),
}
