"""The worked example of CONTRIBUTING.md, as it stands there."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import models_zoo
from data_tools.errors import UsageError
from models_zoo import randomness
from tfgan_suite.runs.config import Config
from tfgan_suite.training import building

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def smoothed(tmp_path, monkeypatch):
    """The example's file and its line in VARIANTS, put where the text says."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    name, place = re.search(r'`"(\w+)": "([\w.]+:\w+)",`', TEXT).groups()
    assert len(code.splitlines()) < 40
    path = tmp_path / "smoothed.py"
    path.write_text(code)
    monkeypatch.setattr(models_zoo, "__path__", [*models_zoo.__path__, str(tmp_path)])
    monkeypatch.setitem(models_zoo.VARIANTS, name, place)
    yield name
    sys.modules.pop("models_zoo.smoothed", None)


def test_the_example_trains_with_its_own_loss(smoothed):
    images = tf.random.stateless_uniform((4, 32, 32, 3), [1, 2], -1, 1)
    losses = {}
    for target in (0.9, 1.0):
        settings = Config(variant=smoothed, width=0.05, latent_dim=4, options={"real_target": target})
        gan = building.build(settings)
        latents = randomness.normal([4, 4], randomness.key(0, 0, randomness.DISCRIMINATOR_LATENTS, 0))
        real = gan.discriminator(images, training=True).numpy().astype(np.float64)
        fake = gan.discriminator(gan.generator(latents, training=True), training=True).numpy().astype(np.float64)
        logs = tf.function(gan.train_step)(images)
        expected = np.mean(target * np.log1p(np.exp(-real)) + (1 - target) * np.log1p(np.exp(real)))
        losses[target] = float(logs["d_loss"])
        assert losses[target] == pytest.approx(expected + np.mean(np.log1p(np.exp(fake))), rel=1e-5)
    assert losses[0.9] != losses[1.0]
    with pytest.raises(UsageError, match="real_target must be in"):
        building.build(Config(variant=smoothed, width=0.05, options={"real_target": 0.3}))
