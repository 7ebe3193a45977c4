"""What certainly does not fit is refused, and nothing that may fit."""

import dataclasses
import resource

import pytest

from data_tools.errors import SuiteError
from tfgan_suite.runs.config import Config
from tfgan_suite.training import building, memory_needed

SETTINGS = Config(variant="dcgan", image_size=16, width=0.02, latent_dim=4, batch_size=10, steps=3)
# by hand, from the layer table: dense, two deconvolutions; two convolutions, dense
OUTPUTS = 80 + 8 * 8 * 4 + 16 * 16 * 3 + 8 * 8 * 4 + 4 * 4 * 4 + 1


@pytest.fixture(scope="module")
def gan():
    return building.build(SETTINGS)


def test_the_least_is_twice_what_the_kernels_give(gan):
    assert memory_needed.least_bytes(SETTINGS, gan) == 2 * 10 * OUTPUTS * 4
    half = dataclasses.replace(SETTINGS, mixed_precision="bfloat16")
    assert memory_needed.least_bytes(half, gan) == 2 * 10 * OUTPUTS * 2


def test_more_than_is_free_is_refused_and_no_less(gan, monkeypatch):
    least = memory_needed.least_bytes(SETTINGS, gan)
    for free in (least, None):
        monkeypatch.setattr(memory_needed, "free_bytes", lambda free=free: free)
        memory_needed.require_fits(SETTINGS, gan)
    monkeypatch.setattr(memory_needed, "free_bytes", lambda: least - 1)
    with pytest.raises(SuiteError, match="a step of 10 images needs .* lower --batch-size, --width or --image-size"):
        memory_needed.require_fits(SETTINGS, gan)


def test_the_limit_of_the_process_counts():
    before = resource.getrlimit(resource.RLIMIT_AS)
    unlimited = memory_needed.free_bytes()
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    try:
        resource.setrlimit(resource.RLIMIT_AS, (taken + (300 << 20), before[1]))
        assert 200 << 20 < memory_needed.free_bytes() <= 300 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert unlimited > 1 << 20
