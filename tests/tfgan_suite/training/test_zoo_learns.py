"""Every variant learns: the `*-shapes` presets, one seed of the three in `results/zoo.md`, by the rule stated there."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "results" / "zoo.py"
spec = importlib.util.spec_from_file_location("zoo", SCRIPT)
zoo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(zoo)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", zoo.NAMES)
def test_a_variant_learns_the_shapes(name, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "RUNS", tmp_path)
    zoo.train(name, seed=0)
    scores = zoo.scores_of(name, seed=0)
    print(name, scores)
    assert zoo.holds(name, scores), scores


def test_the_rule_is_two_sided():
    good = {"ratio": 0.04, "score": 6.0, "classes": 9, "asked": float("nan")}
    assert zoo.holds("dcgan-shapes", good) and zoo.holds("cgan-shapes", {**good, "asked": 0.86})
    for worse in ({"ratio": 0.06}, {"score": 4.9}, {"classes": 8}, {"asked": 0.84}):
        assert not zoo.holds("cgan-shapes", {**good, **worse})
