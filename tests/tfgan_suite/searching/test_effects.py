"""Effects: against known ones, and that nothing is claimed where there is nothing."""

import numpy as np
import pytest

from data_tools.errors import UsageError
from tfgan_suite.searching import design, effects
from tfgan_suite.searching.spaces import SPACES, Choice, Range, Space

SPACE = SPACES["conditional"]
# On the logarithm of the distance; all other parameters change nothing.
KNOWN = {
    "discriminator_conditioning": {"concat": 0.0, "hidden_concat": -0.1, "projection": -0.8, "auxiliary": 0.4},
    "generator_conditioning": {"concat": 0.0, "hidden_concat": 0.0, "cbn_embedding": -0.5, "cbn_linear": -0.5},
    "normalization": {"none": 0.0, "spectral": -0.3},
}
STUDIES, TRIALS, NOISE = 20, 40, 0.15


def objective(point):
    return 3.0 + sum(levels[point[name]] for name, levels in KNOWN.items())


def studies(shuffled):
    """How many studies rank the three that matter first and resolve none of the others."""
    right = 0
    for seed in range(STUDIES):
        random = np.random.default_rng([seed, 1])
        points = design.hypercube(SPACE, TRIALS, seed)
        values = np.array([objective(point) for point in points])
        if shuffled:
            values = random.permutation(values)
        found = effects.fit(SPACE, points, values + NOISE * random.normal(size=TRIALS), seed)
        first = list(found.importance)[: len(KNOWN)]
        false = {effect.parameter for effect in found.effects if effect.resolved} - KNOWN.keys()
        right += first[0] == "discriminator_conditioning" and set(first) == set(KNOWN) and not false
    return right


def test_known_effects_are_ranked_and_nothing_else_is_resolved(monkeypatch):
    monkeypatch.setattr(effects, "_RESAMPLES", 300)
    assert studies(shuffled=False) >= 19


def test_it_would_not_pass_without_the_effects(monkeypatch):
    monkeypatch.setattr(effects, "_RESAMPLES", 300)
    assert studies(shuffled=True) <= 2


def test_effects_are_what_they_are_without_noise():
    """Every difference to the default exactly, also of a range: from its low end to its high end."""
    space = Space(
        "", "", "sngan",
        {"kind": Choice(("a", "b", "c")), "x": Range(1.0, 16.0, log=True), "n": Range(0, 4, whole=True,
                                                                                     when=("kind", ("c",)))},
        default={"kind": "b", "x": 1.0},
    )  # fmt: skip
    points = design.hypercube(space, 40, 0)
    values = [{"a": 1.0, "b": 0.5, "c": 2.0}[p["kind"]] + 0.25 * np.log2(p["x"]) + 0.1 * p.get("n", 0) for p in points]
    found = effects.fit(space, points, values)
    differences = {(effect.parameter, effect.change): effect.difference for effect in found.effects}
    assert differences["kind", "b -> a"] == pytest.approx(0.5)
    assert differences["x", "1 -> 16"] == pytest.approx(1.0)
    assert differences["n", "0 -> 4"] == pytest.approx(0.4)
    mean = np.mean([p["n"] for p in points if "n" in p])
    assert differences["kind", "b -> c"] == pytest.approx(1.5 + 0.1 * mean)
    assert found.explained == pytest.approx(1) and found.residual == pytest.approx(0, abs=1e-9)


def test_intervals_shrink_with_trials_and_grow_with_noise():
    def width(count, noise):
        random = np.random.default_rng(0)
        points = design.hypercube(SPACES["acgan"], count, 0)
        values = [point["dropout"] + noise * random.normal() for point in points]
        found = effects.fit(SPACES["acgan"], points, values)
        return np.mean([effect.high - effect.low for effect in found.effects])

    assert width(160, 0.1) < 0.65 * width(40, 0.1)
    assert width(40, 0.2) == pytest.approx(2 * width(40, 0.1), rel=0.1)


def test_too_few_trials_are_said():
    points = design.hypercube(SPACE, 12, 0)
    with pytest.raises(UsageError, match="exploring trials or more"):
        effects.fit(SPACE, points, np.zeros(12))


def test_cells_hold_the_values_of_both():
    points = [{"a": 1, "b": "x"}, {"a": 1, "b": "x"}, {"a": 2, "b": "x"}, {"a": 2}]
    assert effects.cells(points, [1.0, 2.0, 3.0, 4.0], "a", "b") == {(1, "x"): [1.0, 2.0], (2, "x"): [3.0]}
