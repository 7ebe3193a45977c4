"""Training on several replicas: two logical CPUs in one process. Several processes: `test_workers.py`."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

SMALL = ["--width", "0.05", "--latent-dim", "4", "--batch-size", "8", "--steps", "6", "--log-every", "3"]
SMALL += ["--classifier", "none", "--checkpoint-every", "3"]

ONE_STEP = textwrap.dedent(
    """
    import json, os, sys
    import numpy as np, tensorflow as tf, keras
    replicas = int(sys.argv[1])
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    from tfgan_suite.training import building, loop
    from tfgan_suite.runs import checkpoints
    from tfgan_suite.runs.config import Config
    from models_zoo import gan, randomness
    settings = dict(image_size=16, width=0.05, latent_dim=4, batch_size=8, discriminator_steps=2, steps=3,
                    num_classes=10, distribute="mirrored", ema_decay=0.5)
    settings = Config(**{**settings, **json.loads(sys.argv[3])})
    strategy = building.strategy_of(settings)
    assert strategy.num_replicas_in_sync == replicas

    def noise(self, batch_size, latents_use, labels_use, index=0, real_labels=None):
        # the same for image i, wherever it is made
        context = tf.distribute.get_replica_context()
        own = 8 // context.num_replicas_in_sync
        start = context.replica_id_in_sync_group * own
        latents = randomness.latents_of(8, 100 * latents_use + index, 4)
        return latents[start:][:own], randomness.labels_of(8, 100 * labels_use + index, 10)[start:][:own]

    gan.GAN.noise = noise
    with strategy.scope():
        model = building.build(settings)
        model.compile(*[keras.optimizers.SGD(0.05, name=name) for name in "gd"])
    rows = 8 * settings.discriminator_steps
    images = np.random.default_rng(0).integers(0, 255, (3, rows, 16, 16, 3), dtype=np.uint8)
    labels = np.tile(np.arange(rows, dtype=np.int32) % 10, (3, 1))
    assert bool(loop.compiled_steps(model, settings, strategy)(images, labels))
    logs = {f"mean/{name}": np.float32(t.result()) for name, t in model.trackers.items() if "norm" not in name}
    np.savez(sys.argv[2], **checkpoints.arrays_of(model.state()), **logs)
    """
)


VARIANTS = {
    "sngan": {"options": {"architecture": "strided"}},
    "clipped gradient": {"variant": "dcgan", "options": {"discriminator_clip_norm": 0.5}},
    "wgan": {"variant": "wgan"},
    "began": {"variant": "began", "discriminator_steps": 1, "options": {"lambda_k": 0.5}},
    "cgan": {"variant": "cgan", "options": {"generator_conditioning": "cbn_linear"}},
}


@pytest.mark.parametrize(
    "name", [name if name in ("sngan", "cgan") else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
def test_two_replicas_equal_one(tmp_path, name):
    """Three steps of a batch of 8, and of two shares of 4, with the same noise: the same weights up to rounding."""
    for replicas in (1, 2):
        arguments = [str(replicas), str(tmp_path / f"{replicas}.npz"), json.dumps(VARIANTS[name])]
        result = subprocess.run(
            [sys.executable, "-c", ONE_STEP, *arguments], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
    one, two = (np.load(tmp_path / f"{replicas}.npz") for replicas in (1, 2))
    names = [name for name in one.files if not name.startswith("log/")]
    assert "training/step" in names and "mean/d_loss" in names
    for name in names:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-3, atol=2e-5, err_msg=name)
    if name == "began":
        assert one["training/k"] > 0


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    code = ONE_STEP.replace("batch_size=8", "batch_size=9")
    arguments = [sys.executable, "-c", code, "2", str(tmp_path / "x.npz"), "{}"]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert "must be a multiple of the 2 replicas. Received: 9" in result.stderr


def test_multiworker_needs_its_environment(command):
    result = command("tfgan_suite.fit", *SMALL, "--distribute", "multiworker", env={"TF_CONFIG": ""})
    assert result.returncode == 2 and "needs the environment variable TF_CONFIG" in result.stderr
