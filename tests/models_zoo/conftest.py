"""The helper modules of these tests, and short beginnings for spectral normalization."""

import importlib.util
import sys
from pathlib import Path

import pytest

for _name in (
    "small_gans",
    "papers",
    "layer_tables",
):  # the tests are no package, so these can be imported by name only from here on
    _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
    sys.modules[_name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_name])


@pytest.fixture
def short_warm_up(monkeypatch):
    """One power iteration at the beginning, for tests that do not ask how good the first norm is: twenty of them take
    most of the time that it takes to build a network."""
    from models_zoo.spectral_normalization import SpectralNormalization

    monkeypatch.setattr(SpectralNormalization, "WARM_UP", 1)
