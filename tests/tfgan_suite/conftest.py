"""The small models of `tiny_models.py`, for whichever test wants one."""

import importlib.util
from pathlib import Path

import pytest

from data_tools import shapes


def module_beside(name):
    """A module of this folder: the tests are no package, so it cannot be imported by name."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_models():
    """The module `tiny_models`."""
    return module_beside("tiny_models")


@pytest.fixture(scope="session")
def made_runs():
    """The module `made_runs`: folders of runs that nobody trained."""
    return module_beside("made_runs")


@pytest.fixture(scope="session")
def tiny_inception(tiny_models, tmp_path_factory):
    """Folder of a SavedModel with the inputs and outputs of TF-GAN's Inception."""
    return tiny_models.save(tmp_path_factory.mktemp("tiny") / "inception")


@pytest.fixture
def few_shapes(monkeypatch):
    """`shapes` with 200, 100 and 50 images, in this process; drawing all 65,000 takes seconds."""
    for split, count in {"train": 200, "test": 100, "selection": 50}.items():
        monkeypatch.setitem(shapes.NUM_IMAGES, split, count)
