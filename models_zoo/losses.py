"""Adversarial losses as pure functions of logits.

Each entry of `LOSSES` is a pair `(discriminator_loss, generator_loss)`:

    discriminator_loss(real_logits, fake_logits) -> scalar
    generator_loss(fake_logits) -> scalar

Logits are float [B] or [B, 1], unbounded (a sigmoid of them would be the probability of "real"); the losses are means
over all their elements, in float32.
"""

import collections

from keras import ops

AdversarialLoss = collections.namedtuple("AdversarialLoss", ["discriminator", "generator"])


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


def _float32(logits):
    return ops.cast(logits, "float32")


LOSSES = {
    "non_saturating": AdversarialLoss(cross_entropy_discriminator, non_saturating_generator),
    "minimax": AdversarialLoss(cross_entropy_discriminator, minimax_generator),
    "hinge": AdversarialLoss(hinge_discriminator, hinge_generator),
}
