"""The base of every variant: what no paper talks about, so that a variant's file holds its paper's algorithm alone."""

import keras
import tensorflow as tf

from models_zoo import augmentation, averaging, checks, randomness, spectral_normalization
from models_zoo.augmentation import augment
from models_zoo.inputs import checked_classes, images_and_labels, inputs_of
from models_zoo.losses import LOSSES, named_loss
from models_zoo.options import keyword_only
from models_zoo.running_mean import RunningMean
from models_zoo.state import named_state
from models_zoo.updates import descend, mean_over_replicas, optimizer_for, unchanged


class GAN(keras.Model):
    """A generator and a discriminator that train against each other.

    It trains under plain `compile` and `fit` as well as from the suite's own loop. One call of `train_step` is one
    step: `discriminator_steps` discriminator updates, each on images of its own, then one generator update. A batch
    therefore holds `discriminator_steps` times the batch size of one update; where that number is above 1, give
    `fit` a dataset with `drop_remainder=True`.

    The algorithm is the variant's: its `networks`, `train_step`, `discriminator_loss` and `generator_loss`. Arguments
    of `networks` and `__init__` that are keyword-only are the variant's options, unless it overrides `options`.

    Args:
        generator: model from latents [B, latent_dim], or from [latents, labels], to images [B, H, W, C] in [-1, 1].
        discriminator: model from such images, or from [images, labels], to logits [B, 1], or whatever the variant's
            losses take.
        loss: name of the adversarial loss, in `models_zoo.losses.LOSSES` or the class's `only_losses`; the class's
            `default_loss` if None.
        discriminator_steps: discriminator updates per generator update, at least 1.
        ema_decay: decay of the moving average of the generator's weights, in [0, 1); 0 keeps the newest weights.
        seed: seed of all noise, an integer in [0, 2**31).
        num_classes: number of classes; needed if the generator takes labels.
        augment: differentiable augmentations of all images that the discriminator sees, names in
            `models_zoo.augmentation.AUGMENTATIONS` joined by commas; none if empty (Zhao et al., 2020).
        discriminator_clip_norm: bound of the global norm of the discriminator's gradient; 0 for none.
    """

    default_loss: str
    only_losses: tuple[str, ...] = ()
    """The losses that the algorithm is made for; if empty, it takes all of `LOSSES`."""
    logged: tuple[str, ...] = ("d_loss", "d_gradient_norm", "d_real", "d_fake", "g_loss", "g_gradient_norm")
    conditional = False

    def __init__(
        self,
        generator,
        discriminator,
        loss=None,
        discriminator_steps=1,
        ema_decay=0.999,
        seed=0,
        num_classes=None,
        name=None,
        *,
        augment="",
        discriminator_clip_norm=0.0,
    ):
        super().__init__(name=name)
        self.adversarial_loss = named_loss(
            self.default_loss if loss is None else loss, self.only_losses or LOSSES, type(self).__name__
        )
        self.discriminator_steps = checks.at_least_one("discriminator_steps", discriminator_steps)
        self.ema_decay = checks.fraction("ema_decay", ema_decay)
        self.num_classes = checked_classes(num_classes, discriminator, self.conditional, type(self).__name__)
        self.discriminator_clip_norm = checks.not_negative("discriminator_clip_norm", discriminator_clip_norm)
        augmentation.parse(augment)  # refuses unknown names
        self.augment = augment
        self.seed = seed
        self.generator = generator
        self.discriminator = discriminator
        self.ema_generator = averaging.averaged(generator)
        self.latent_dim = generator.inputs[0].shape[-1]
        self.step = self.add_weight(shape=(), initializer="zeros", dtype="int64", trainable=False, name="step")
        self.trackers = {name: RunningMean(name=name) for name in self.logged}
        self.built = True

    @classmethod
    def options(cls):
        """What can be chosen beside the arguments that all variants share: two dicts from name to default value, the
        options of `networks` and those of `__init__`."""
        return keyword_only(cls.networks), keyword_only(GAN.__init__) | keyword_only(cls.__init__)

    def compile(self, generator_optimizer, discriminator_optimizer, jit_compile=False, **kwargs):
        """Take one optimizer per network, or its name; further arguments go to `keras.Model.compile`.

        XLA is off unless asked for: it draws other random numbers, so it is part of a run's identity.
        """
        if generator_optimizer is discriminator_optimizer and not isinstance(generator_optimizer, str):
            raise ValueError("each network needs an optimizer object of its own. Received: one for both")
        super().compile(optimizer=None, jit_compile=jit_compile, **kwargs)
        self.generator_optimizer = optimizer_for(self.generator, generator_optimizer)
        self.discriminator_optimizer = optimizer_for(self.discriminator, discriminator_optimizer)

    def call(self, inputs, training=False):
        """Images of the averaged generator, in [-1, 1], from latents, or from [latents, labels]."""
        return tf.clip_by_value(self.ema_generator(inputs, training=training), -1.0, 1.0)

    # What a variant writes

    @classmethod
    def networks(cls, image_size, channels, latent_dim, width, num_classes=None):
        """The paper's generator and discriminator.

        Args:
            image_size: pixels a side, a multiple of 4 from 16 on.
            channels: of the images, 1 or 3.
            latent_dim: length of the latent vectors.
            width: multiplies the channels of every hidden layer.
            num_classes: number of classes, for conditional variants.
        """
        raise NotImplementedError

    def train_step(self, batch):
        """One step: the paper's algorithm box, in the words of the next section.

        Args:
            batch: images float32 [discriminator_steps * B, H, W, C] in [-1, 1], or a tuple (images, labels int [...]);
                conditional variants need the labels.

        Returns:
            Means of every logged quantity since the trackers were last reset, scalar float32 by name.
        """
        raise NotImplementedError

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        """What the discriminator descends, and more to log: two separate passes, real images, then generated ones.

        Args:
            real, fake: images [B, H, W, C].
            labels, fake_labels: their classes, int32 [B].
            index: which of the step's discriminator updates this is, for noise of its own.
        """
        raise NotImplementedError

    def generator_loss(self, fake, labels):
        """What the generator descends, and more to log; `fake` [B, H, W, C] are its images, `labels` [B] the classes
        that were asked for."""
        raise NotImplementedError

    # The words of a `train_step`

    def parts(self, batch):
        """The batch of one step as `discriminator_steps` pairs of images [B, H, W, C] and labels int32 [B]."""
        images, labels = images_and_labels(batch, type(self).__name__, self.num_classes if self.conditional else None)
        parts = tf.split(images, self.discriminator_steps), tf.split(labels, self.discriminator_steps)
        return list(zip(*parts, strict=True))

    def discriminator_step(self, images, labels=None, index=0):
        """One update of the discriminator, down `discriminator_loss`; nothing in the generator changes."""
        spectral_normalization.update_all(self.discriminator)
        uses = randomness.DISCRIMINATOR_LATENTS, randomness.DISCRIMINATOR_LABELS, index
        latents, fake_labels = self.noise(tf.shape(images)[0], *uses, real_labels=labels)
        fake = unchanged(self.generator, self.generator_inputs(latents, fake_labels))
        real = augment(images, self.augment, self.key(randomness.AUGMENT_REAL, index))
        fake = augment(fake, self.augment, self.key(randomness.AUGMENT_FAKE, index))
        with tf.GradientTape() as tape:
            loss, logs = self.discriminator_loss(real, labels, fake, fake_labels, index)
        norm = descend(self.discriminator_optimizer, tape, loss, self.discriminator, self.discriminator_clip_norm)
        return {"d_loss": loss, "d_gradient_norm": norm, **logs}

    def generator_step(self, batch_size, real=None, real_labels=None):
        """One update of the generator, down `generator_loss`, and of its average; nothing in the discriminator
        changes. Real images and their labels, if given, are two more arguments of `generator_loss`."""
        spectral_normalization.update_all(self.generator)
        uses = randomness.GENERATOR_LATENTS, randomness.GENERATOR_LABELS
        latents, labels = self.noise(batch_size, *uses, real_labels=real_labels)
        compared = []
        if real is not None:
            compared = [augment(real, self.augment, self.key(randomness.AUGMENT_COMPARED)), real_labels]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in self.generator.trainable_variables])
            fake = self.generator(self.generator_inputs(latents, labels), training=True)
            fake = augment(fake, self.augment, self.key(randomness.AUGMENT_GENERATED))
            loss, logs = self.generator_loss(fake, labels, *compared)
        norm = descend(self.generator_optimizer, tape, loss, self.generator)
        averaging.follow(self.ema_generator, self.generator, self.step.value, self.ema_decay)
        return {"g_loss": loss, "g_gradient_norm": norm, **logs}

    def finish_step(self, logs):
        """Count the step and add its values, scalars by name, to the running means; gives these.

        `logged` names them all, so that none is born mid-graph.
        """
        self.step.assign_add(1)
        for name, value in mean_over_replicas(logs).items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    # The words of a loss

    def discriminate(self, images, labels):
        """The discriminator's output in its own update."""
        return self.discriminator(inputs_of(self.discriminator, images, labels), training=True)

    def judge(self, images, labels):
        """The discriminator's output in the generator's update: nothing in the discriminator changes."""
        return unchanged(self.discriminator, inputs_of(self.discriminator, images, labels))

    def penalty(self, function, real, labels, fake, index):
        """A penalty of `models_zoo.penalties`, unweighted, on the discriminator in its own update."""
        return function(
            lambda images: self.discriminate(images, labels), real, fake, self.key(randomness.PENALTY, index)
        )

    def opinions(self, real_logits, fake_logits):
        """D(x) and D(G(z)) for the log: means of the logits' sigmoid, in [0, 1], which with a cross-entropy loss is the
        probability of "real"; of the logits themselves where the loss takes them for scores."""
        seen = tf.identity if LOSSES[self.adversarial_loss].of_scores else tf.sigmoid
        return {"d_real": tf.reduce_mean(seen(real_logits)), "d_fake": tf.reduce_mean(seen(fake_logits))}

    # Noise, inputs, state

    def noise(self, batch_size, latents_use, labels_use, index=0, real_labels=None):
        """Standard normal latents [batch_size, latent_dim] and uniform labels int32 [batch_size] of this step.

        `real_labels` are those of the real images of the update: for a variant that asks for the same classes.
        """
        latents = randomness.normal([batch_size, self.latent_dim], self.key(latents_use, index))
        return latents, randomness.labels(batch_size, self.num_classes or 1, self.key(labels_use, index))

    def key(self, use, index=0):
        """The key of this step for one of the uses in `models_zoo.randomness`."""
        return randomness.key(self.seed, self.step.value, use, index)

    def generator_inputs(self, latents, labels):
        """What `call` and the generators take: [latents, labels], or latents alone."""
        return inputs_of(self.generator, latents, labels)

    def state(self):
        """Every variable that the rest of training depends on, by a unique and stable name."""
        return named_state(self)

    def get_config(self):
        """Refuses: a GAN is two networks and how they train, which is Python code, not a configuration."""
        raise NotImplementedError(
            "A GAN cannot be saved whole. Save its generator with gan.ema_generator.save(...), or all weights with "
            "gan.save_weights(...), and build the GAN anew before gan.load_weights(...)"
        )

    @property
    def metrics(self):
        return list(self.trackers.values())
