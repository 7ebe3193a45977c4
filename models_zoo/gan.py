"""The base of every variant: two networks, their updates, the averaged generator, and all state by name."""

import keras
import tensorflow as tf

from models_zoo import randomness, spectral_normalization
from models_zoo.losses import LOSSES


class GAN(keras.Model):
    """A generator and a discriminator that train against each other.

    It trains under plain `compile` and `fit` as well as from the suite's own loop. One call of `train_step` is one
    step: `discriminator_steps` discriminator updates, each on images of its own, then one generator update. A batch
    therefore holds `discriminator_steps` times the batch size of one update; where that number is above 1, give
    `fit` a dataset with `drop_remainder=True`.

    Args:
        generator: model from latents [B, latent_dim] to images [B, H, W, C] in [-1, 1].
        discriminator: model from such images to logits [B, 1].
        loss: one of the class's `losses`, names in `models_zoo.losses.LOSSES`; the first of them if None.
        discriminator_steps: discriminator updates per generator update, at least 1.
        ema_decay: decay of the moving average of the generator's weights, in [0, 1); 0 keeps the newest weights.
        seed: seed of all noise, an integer in [0, 2**31).
    """

    losses = tuple(LOSSES)
    logged = ("d_loss", "d_gradient_norm", "d_real", "d_fake", "g_loss", "g_gradient_norm")

    def __init__(
        self, generator, discriminator, *, loss=None, discriminator_steps=1, ema_decay=0.999, seed=0, name=None
    ):
        super().__init__(name=name)
        loss = loss or self.losses[0]
        if loss not in self.losses:
            raise ValueError(
                f"loss must be one of {', '.join(self.losses)} for {type(self).__name__}. Received: loss={loss!r}"
            )
        if discriminator_steps < 1:
            raise ValueError(
                f"discriminator_steps must be at least 1. Received: discriminator_steps={discriminator_steps}"
            )
        if not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1). Received: ema_decay={ema_decay}")
        self.generator = generator
        self.discriminator = discriminator
        self.ema_generator = keras.models.clone_model(generator)
        self.ema_generator.set_weights(generator.get_weights())
        self.ema_generator.trainable = False
        self.adversarial_loss = loss
        self.discriminator_steps = discriminator_steps
        self.ema_decay = ema_decay
        self.seed = seed
        self.latent_dim = generator.input_shape[-1]
        self.step = self.add_weight(shape=(), initializer="zeros", dtype="int64", trainable=False, name="step")
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.logged}
        self.built = True

    def compile(self, generator_optimizer, discriminator_optimizer, jit_compile=False, **kwargs):
        """Take one optimizer per network, or its name; further arguments go to `keras.Model.compile`.

        XLA is off unless asked for: it draws other random numbers, so it is part of a run's identity.
        """
        super().compile(optimizer=None, jit_compile=jit_compile, **kwargs)
        self.generator_optimizer = keras.optimizers.get(generator_optimizer)
        self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def call(self, latents, training=False):
        """Images of the averaged generator."""
        return self.ema_generator(latents, training=training)

    def train_step(self, batch):
        """One step.

        Args:
            batch: images float32 [discriminator_steps * B, H, W, C] in [-1, 1], or a tuple (images, labels).

        Returns:
            Means of every logged quantity since the trackers were last reset, scalar float32 by name.
        """
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        logs = {}
        for index, real in enumerate(tf.split(images, self.discriminator_steps)):
            logs |= self.discriminator_step(real, index)
        logs |= self.generator_step(tf.shape(real)[0])
        self.step.assign_add(1)
        return self.track(logs)

    def discriminator_step(self, images, index=0):
        """One update of the discriminator; nothing in the generator changes."""
        spectral_normalization.update_all(self.discriminator)
        latents = self.latents(tf.shape(images)[0], randomness.DISCRIMINATOR_LATENTS, index)
        fake = unchanged(self.generator, latents)
        with tf.GradientTape() as tape:
            real_logits = self.discriminator(images, training=True)
            fake_logits = self.discriminator(fake, training=True)
            loss = LOSSES[self.adversarial_loss].discriminator(real_logits, fake_logits)
        norm = self.apply(self.discriminator_optimizer, tape, loss, self.discriminator)
        return {
            "d_loss": loss,
            "d_gradient_norm": norm,
            "d_real": tf.reduce_mean(tf.sigmoid(real_logits)),
            "d_fake": tf.reduce_mean(tf.sigmoid(fake_logits)),
        }

    def generator_step(self, batch_size):
        """One update of the generator and its moving average; nothing in the discriminator changes."""
        latents = self.latents(batch_size, randomness.GENERATOR_LATENTS)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in self.generator.trainable_variables])
            fake_logits = unchanged(self.discriminator, self.generator(latents, training=True))
            loss = LOSSES[self.adversarial_loss].generator(fake_logits)
        norm = self.apply(self.generator_optimizer, tape, loss, self.generator)
        self.update_ema()
        return {"g_loss": loss, "g_gradient_norm": norm}

    def latents(self, batch_size, use, index=0):
        """Standard normal latents [batch_size, latent_dim] of this step."""
        return randomness.normal([batch_size, self.latent_dim], randomness.key(self.seed, self.step.value, use, index))

    def apply(self, optimizer, tape, loss, network):
        """Apply the gradients of `loss` to `network`; returns their global norm on this replica.

        `optimizer.apply` adds up the gradients of all replicas, so each is divided by their number: the update is that
        of the mean over the whole batch.
        """
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        variables = network.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply([gradient / replicas for gradient in gradients], variables)
        return tf.linalg.global_norm(gradients)

    def update_ema(self):
        """Move the averaged generator towards the generator.

        decay = min(ema_decay, (1 + t) / (10 + t)) after t steps, so that the random beginning is forgotten soon (the
        rule of `tf.train.ExponentialMovingAverage`). Statistics of batch normalization, already averages, are copied.
        """
        t = tf.cast(self.step.value, tf.float32)
        decay = tf.minimum(self.ema_decay, (1 + t) / (10 + t))
        for average, variable in zip(self.ema_generator.variables, self.generator.variables, strict=True):
            if variable.trainable:
                average.assign(average * decay + variable * (1 - decay))
            else:
                average.assign(variable)

    def track(self, logs):
        """Add this step's values to the running means; `logged` names them all, so that none is born mid-graph."""
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            logs = context.all_reduce(tf.distribute.ReduceOp.MEAN, logs)
        for name, value in logs.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def state(self):
        """Every variable that the rest of training depends on, by a unique and stable name.

        Both networks, the averaged generator, both optimizers, the step, the running means of the log, and whatever
        else the variant added; there is no hidden state, as all noise is a function of the seed and the step.
        """
        sections = {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            "ema_generator": self.ema_generator.variables,
            "generator_optimizer": self.generator_optimizer.variables,
            "discriminator_optimizer": self.discriminator_optimizer.variables,
            "log": [variable for tracker in self.trackers.values() for variable in tracker.variables],
        }
        named, seen = {}, set()
        for section, variables in sections.items():
            for variable in variables:
                named[f"{section}/{variable.path}"] = variable
                seen.add(id(variable))
        for variable in self.variables:
            if id(variable) not in seen:
                named[f"training/{variable.path.removeprefix(self.name + '/')}"] = variable
                seen.add(id(variable))
        if len(named) != len(seen):
            raise ValueError(
                f"Every variable needs a name of its own, or it could not be restored: give each layer a name. "
                f"Received: {len(seen)} variables with {len(named)} names"
            )
        return named

    @property
    def metrics(self):
        return list(self.trackers.values())


def unchanged(network, inputs):
    """The output of `network` in training mode, leaving its state (moving statistics) as it was."""
    outputs, _ = network.stateless_call(
        network.trainable_variables, network.non_trainable_variables, inputs, training=True
    )
    return outputs
