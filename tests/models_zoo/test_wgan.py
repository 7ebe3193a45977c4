"""WGAN: the critic's weights are clipped."""

import numpy as np
import pytest
from small_gans import BATCH, build, real_images

pytestmark = pytest.mark.usefixtures("short_warm_up")


@pytest.mark.parametrize("clip", [0.01, 0.2])
def test_wgan_clips_the_critic_after_each_update_and_nothing_else(clip):
    gan = build("wgan", rate=100.0, discriminator_steps=2, clip=clip)
    bound, largest = np.float32(clip), []

    def watched(name):
        original = getattr(gan, name)

        def call(*arguments):
            result = original(*arguments)
            largest.append((name, max(np.abs(v.numpy()).max() for v in gan.discriminator.trainable_variables)))
            return result

        return call

    for name in ("discriminator_step", "clip_weights", "generator_step"):
        setattr(gan, name, watched(name))
    gan.train_step(real_images(count=2 * BATCH))
    order = ["discriminator_step", "clip_weights"] * 2 + ["generator_step"]
    assert [name for name, _ in largest] == order, "clipped after the first critic update and after the second"
    assert all((value == bound) == (name != "discriminator_step") for name, value in largest)
    statistics = [v for v in gan.discriminator.non_trainable_variables if "moving_variance" in v.path]
    assert all(v.numpy().max() > clip for v in statistics)
    assert all(np.abs(v.numpy()).max() > clip for v in gan.generator.trainable_variables)


def test_wgan_clips_to_a_hundredth_unless_told():
    gan = build("wgan", rate=100.0)
    gan.train_step(real_images())
    assert max(np.abs(v.numpy()).max() for v in gan.discriminator.trainable_variables) == np.float32(0.01)
