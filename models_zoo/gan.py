"""The base of every variant: two networks, their updates, the averaged generator, and all state by name."""

import inspect

import keras
import tensorflow as tf

from models_zoo import augmentation, randomness, spectral_normalization
from models_zoo.augmentation import augment
from models_zoo.losses import LOSSES
from models_zoo.penalties import PENALTIES


class GAN(keras.Model):
    """A generator and a discriminator that train against each other.

    It trains under plain `compile` and `fit` as well as from the suite's own loop. One call of `train_step` is one
    step: `discriminator_steps` discriminator updates, each on images of its own, then one generator update. A batch
    therefore holds `discriminator_steps` times the batch size of one update; where that number is above 1, give
    `fit` a dataset with `drop_remainder=True`.

    A variant says what its paper changes: `networks`, `discriminator_loss`, `generator_loss`, and, where the algorithm
    itself differs, the steps. Keyword-only arguments of `networks` and `__init__` are the variant's options.

    Args:
        generator: model from latents [B, latent_dim], or from [latents, labels], to images [B, H, W, C] in [-1, 1].
        discriminator: model from such images, or from [images, labels], to logits [B, 1], or whatever the variant's
            losses take.
        loss: one of the class's `losses`, the first of them if None; names in `models_zoo.losses.LOSSES`, but for a
            variant with a loss of its own.
        discriminator_steps: discriminator updates per generator update, at least 1.
        ema_decay: decay of the moving average of the generator's weights, in [0, 1); 0 keeps the newest weights.
        seed: seed of all noise, an integer in [0, 2**31).
        num_classes: number of classes; needed if the generator takes labels.
        augment: differentiable augmentations of all images that the discriminator sees, names in
            `models_zoo.augmentation.AUGMENTATIONS` joined by commas; none if empty (Zhao et al., 2020).
        discriminator_clip_norm: bound of the global norm of the discriminator's gradient; 0 for none.
    """

    losses = tuple(LOSSES)
    logged = ("d_loss", "d_gradient_norm", "d_real", "d_fake", "g_loss", "g_gradient_norm")
    conditional = False
    raw_scores = False

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
        if self.conditional and (num_classes or 0) < 2:
            raise ValueError(f"{type(self).__name__} needs two classes or more. Received: num_classes={num_classes}")
        outputs = discriminator.output if isinstance(discriminator.output, dict) else {}
        if "class_logits" in outputs and outputs["class_logits"].shape[-1] != num_classes:
            raise ValueError(
                f"num_classes must be that of the networks, {outputs['class_logits'].shape[-1]}. "
                f"Received: num_classes={num_classes}"
            )
        if discriminator_clip_norm < 0:
            raise ValueError(
                f"discriminator_clip_norm must be positive, or 0 for none. Received: {discriminator_clip_norm=}"
            )
        augmentation.parse(augment)  # refuses unknown names
        self.generator = generator
        self.discriminator = discriminator
        self.ema_generator = keras.models.clone_model(generator)
        self.ema_generator.set_weights(generator.get_weights())
        self.ema_generator.trainable = False
        self.adversarial_loss = loss
        self.discriminator_steps = discriminator_steps
        self.ema_decay = ema_decay
        self.seed = seed
        self.num_classes = num_classes
        self.augment = augment
        self.discriminator_clip_norm = discriminator_clip_norm
        self.latent_dim = generator.inputs[0].shape[-1]
        self.step = self.add_weight(shape=(), initializer="zeros", dtype="int64", trainable=False, name="step")
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.logged}
        self.built = True

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

    @classmethod
    def options(cls):
        """What can be chosen beside the arguments that all variants share: two dicts from name to default value, the
        options of `networks` and those of `__init__`."""
        network = _keyword_only(cls.networks)
        training = _keyword_only(GAN.__init__) | _keyword_only(cls.__init__)
        return network, training

    def compile(self, generator_optimizer, discriminator_optimizer, jit_compile=False, **kwargs):
        """Take one optimizer per network, or its name; further arguments go to `keras.Model.compile`.

        XLA is off unless asked for: it draws other random numbers, so it is part of a run's identity.
        """
        if generator_optimizer is discriminator_optimizer and not isinstance(generator_optimizer, str):
            raise ValueError("each network needs an optimizer object of its own. Received: one for both")
        if "float16" in (self.generator.compute_dtype, self.discriminator.compute_dtype):
            raise ValueError(
                "float16 needs loss scaling, which is not here: use mixed_bfloat16. Received: mixed_float16"
            )
        super().compile(optimizer=None, jit_compile=jit_compile, **kwargs)
        self.generator_optimizer = keras.optimizers.get(generator_optimizer)
        self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def call(self, inputs, training=False):
        """Images of the averaged generator, in [-1, 1], from latents, or from [latents, labels]."""
        return tf.clip_by_value(self.ema_generator(inputs, training=training), -1.0, 1.0)

    def train_step(self, batch):
        """One step.

        Args:
            batch: images float32 [discriminator_steps * B, H, W, C] in [-1, 1], or a tuple (images, labels int [...]);
                conditional variants need the labels.

        Returns:
            Means of every logged quantity since the trackers were last reset, scalar float32 by name.
        """
        images, labels = self.unpacked(batch)
        logs = {}
        parts = tf.split(images, self.discriminator_steps), tf.split(labels, self.discriminator_steps)
        for index, (real, real_labels) in enumerate(zip(*parts, strict=True)):
            logs |= self.discriminator_step(real, real_labels, index)
        logs |= self.generator_step(tf.shape(real)[0])
        self.step.assign_add(1)
        return self.track(logs)

    def discriminator_step(self, images, labels=None, index=0):
        """One update of the discriminator; nothing in the generator changes."""
        spectral_normalization.update_all(self.discriminator)
        latents, fake_labels = self.noise(
            tf.shape(images)[0], randomness.DISCRIMINATOR_LATENTS, randomness.DISCRIMINATOR_LABELS, index
        )
        fake = unchanged(self.generator, self.generator_inputs(latents, fake_labels))
        real = augment(images, self.augment, self.key(randomness.AUGMENT_REAL, index))
        fake = augment(fake, self.augment, self.key(randomness.AUGMENT_FAKE, index))
        with tf.GradientTape() as tape:
            loss, logs = self.discriminator_loss(real, labels, fake, fake_labels, index)
        norm = self.apply(self.discriminator_optimizer, tape, loss, self.discriminator, self.discriminator_clip_norm)
        return {"d_loss": loss, "d_gradient_norm": norm, **logs}

    def generator_step(self, batch_size):
        """One update of the generator and its moving average; nothing in the discriminator changes."""
        spectral_normalization.update_all(self.generator)
        latents, labels = self.noise(batch_size, randomness.GENERATOR_LATENTS, randomness.GENERATOR_LABELS)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in self.generator.trainable_variables])
            fake = self.generator(self.generator_inputs(latents, labels), training=True)
            fake = augment(fake, self.augment, self.key(randomness.AUGMENT_GENERATED))
            loss, logs = self.generator_loss(fake, labels)
        norm = self.apply(self.generator_optimizer, tape, loss, self.generator)
        self.update_ema()
        return {"g_loss": loss, "g_gradient_norm": norm, **logs}

    def discriminator_loss(self, real, labels, fake, fake_labels, index):
        """What the discriminator descends, and more to log: two separate passes, real images, then generated ones.

        Args:
            real, fake: images [B, H, W, C].
            labels, fake_labels: their classes, int32 [B].
            index: which of the step's discriminator updates this is, for noise of its own.
        """
        real_logits = self.discriminate(real, labels)
        fake_logits = self.discriminate(fake, fake_labels)
        loss = LOSSES[self.adversarial_loss].discriminator(real_logits, fake_logits)
        return loss, self.opinions(real_logits, fake_logits)

    def generator_loss(self, fake, labels):
        """What the generator descends, and more to log; `fake` [B, H, W, C] are its images, `labels` [B] the classes
        that were asked for."""
        return LOSSES[self.adversarial_loss].generator(self.judge(fake, labels)), {}

    def discriminate(self, images, labels):
        """The discriminator's output in its own update."""
        return self.discriminator(self.discriminator_inputs(images, labels), training=True)

    def judge(self, images, labels):
        """The discriminator's output in the generator's update: nothing in the discriminator changes."""
        return unchanged(self.discriminator, self.discriminator_inputs(images, labels))

    def opinions(self, real_logits, fake_logits):
        """D(x) and D(G(z)) for the log: means of the logits' sigmoid, in [0, 1], which with a cross-entropy loss is the
        probability of "real"; with `raw_scores`, means of the logits."""
        squash = tf.identity if self.raw_scores else tf.sigmoid
        return {"d_real": tf.reduce_mean(squash(real_logits)), "d_fake": tf.reduce_mean(squash(fake_logits))}

    def gradient_penalty(self, name, real, labels, fake, index):
        """A penalty of `models_zoo.penalties`, unweighted, on the discriminator in its own update."""
        key = self.key(randomness.PENALTY, index)
        return PENALTIES[name](lambda images: self.discriminate(images, labels), real, fake, key)

    def unpacked(self, batch):
        """Images and labels int32 of a batch; zeros where a variant that needs none was given none."""
        images, labels = batch if isinstance(batch, (tuple, list)) else (batch, None)
        images = tf.convert_to_tensor(images)
        if not images.dtype.is_floating:
            raise ValueError(f"images must be floats in [-1, 1], x / 127.5 - 1. Received: dtype={images.dtype.name}")
        if labels is None:
            if self.conditional:
                raise ValueError(
                    f"{type(self).__name__} is conditional: batches must be (images, labels). Received: images only"
                )
            return images, tf.zeros(tf.shape(images)[:1], tf.int32)
        labels = tf.convert_to_tensor(labels)
        if labels.shape.rank == 2 and labels.shape[1] == 1:  # as `keras.datasets` gives them
            labels = labels[:, 0]
        if labels.shape.rank != 1 or labels.dtype.is_floating:
            raise ValueError(
                f"labels must be integers [B], not one-hot rows. "
                f"Received: shape={tuple(labels.shape)}, dtype={labels.dtype.name}"
            )
        labels = tf.cast(labels, tf.int32)
        if self.conditional:
            labels = check_labels(labels, self.num_classes)
        return images, labels

    def generator_inputs(self, latents, labels):
        return [latents, labels] if len(self.generator.inputs) == 2 else latents

    def discriminator_inputs(self, images, labels):
        return [images, labels] if len(self.discriminator.inputs) == 2 else images

    def noise(self, batch_size, latents_use, labels_use, index=0):
        """Standard normal latents [batch_size, latent_dim] and uniform labels int32 [batch_size] of this step."""
        latents = randomness.normal([batch_size, self.latent_dim], self.key(latents_use, index))
        return latents, randomness.labels(batch_size, self.num_classes or 1, self.key(labels_use, index))

    def key(self, use, index=0):
        """The key of this step for one of the uses in `models_zoo.randomness`."""
        return randomness.key(self.seed, self.step.value, use, index)

    def apply(self, optimizer, tape, loss, network, clip_norm=0.0):
        """Apply the gradients of `loss` to `network`; returns their global norm on this replica, before clipping.

        `optimizer.apply` adds up the gradients of all replicas, so each is divided by their number: the update is that
        of the mean over the whole batch. With `clip_norm` that mean is scaled down to this norm if it is above it.
        """
        context = tf.distribute.get_replica_context()
        variables = network.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]  # those of embeddings come as slices
        norm = tf.linalg.global_norm(gradients)
        if clip_norm:
            if context.num_replicas_in_sync > 1:
                gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
        optimizer.apply([gradient / context.num_replicas_in_sync for gradient in gradients], variables)
        return norm

    def update_ema(self):
        """Move the averaged generator towards the generator.

        decay = min(ema_decay, (1 + t) / (10 + t)) after t steps, so that the random beginning is forgotten soon (the
        rule of `tf.train.ExponentialMovingAverage`). Statistics of batch normalization, already averages, are copied;
        so are the vectors of spectral normalization, and moved on to the averaged kernels.
        """
        t = tf.cast(self.step.value, tf.float32)
        decay = tf.minimum(self.ema_decay, (1 + t) / (10 + t))
        for average, variable in zip(self.ema_generator.variables, self.generator.variables, strict=True):
            if variable.trainable:
                average.assign(average * decay + variable * (1 - decay))
            else:
                average.assign(variable)
        spectral_normalization.update_all(self.ema_generator)

    def track(self, logs):
        """Add this step's values to the running means; `logged` names them all, so that none is born mid-graph."""
        logs = self.mean_over_replicas(logs)
        for name, value in logs.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def mean_over_replicas(self, values):
        """Scalars by name, each averaged over the replicas."""
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, values) if context.num_replicas_in_sync > 1 else values

    def state(self):
        """Every variable that the rest of training depends on, by a unique and stable name.

        Both networks, the averaged generator, both optimizers, the step, the running means of the log, and whatever
        else the variant added. There is no hidden state: noise is a function of the seed and the step, and the random
        state of dropout is a variable of its network.
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

    def get_config(self):
        """Refuses: a GAN is two networks and how they train, which is Python code, not a configuration."""
        raise NotImplementedError(
            "A GAN cannot be saved whole. Save its generator with gan.ema_generator.save(...), or all weights with "
            "gan.save_weights(...), and build the GAN anew before gan.load_weights(...)"
        )

    @property
    def metrics(self):
        return list(self.trackers.values())


def unchanged(network, inputs):
    """The output of `network` in training mode, leaving its state (moving statistics) as it was."""
    outputs, _ = network.stateless_call(
        network.trainable_variables, network.non_trainable_variables, inputs, training=True
    )
    return outputs


def check_labels(labels, num_classes):
    """`labels`; raises InvalidArgumentError, in a graph when it runs, unless all of them are classes."""
    message = f"labels must be from 0 to {num_classes - 1}, as num_classes is {num_classes}"
    checks = [tf.debugging.assert_non_negative(labels, message), tf.debugging.assert_less(labels, num_classes, message)]
    # Whatever uses the labels comes after the checks: an embedding would fail in its own words first.
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(labels)


def _keyword_only(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
