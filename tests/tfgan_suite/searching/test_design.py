"""The design of a study: balanced, the same for a seed, and one configuration five times."""

import importlib.util
from collections import Counter

import numpy as np
import pytest

from data_tools.errors import UsageError
from tfgan_suite.searching import design
from tfgan_suite.searching.spaces import SPACES, Choice, Range, Space

optuna = pytest.importorskip("optuna", reason="needs the extra [search]")
SPACE = SPACES["conditional"]


def test_choices_are_balanced_and_every_part_of_a_range_is_met_once():
    points = design.hypercube(SPACE, 48, seed=3)
    assert set(Counter(point["generator_conditioning"] for point in points).values()) == {12}
    assert set(Counter(point["kernel_size"] for point in points).values()) == {16}
    slopes = sorted(int(point["slope"] / 0.3 * 48) for point in points)
    assert slopes == list(range(48))
    logs = sorted(int(np.log(point["generator_learning_rate"] / 1e-4) / np.log(40) * 48) for point in points)
    assert logs == list(range(48))


def test_parameters_are_not_bound_to_each_other():
    points = design.hypercube(SPACE, 400, seed=0)
    columns = np.array([[point["slope"], point["latent_dim"], point["beta_1"]] for point in points])
    correlations = np.corrcoef(columns.T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.15


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_plan_is_a_function_of_its_seed(sampler):
    if sampler == "qmc":
        pytest.importorskip("scipy")
    assert design.plan(SPACE, sampler, 20, 1) == design.plan(SPACE, sampler, 20, 1)
    assert design.plan(SPACE, sampler, 20, 1) != design.plan(SPACE, sampler, 20, 2)
    assert design.plan(SPACE, sampler, 20, 1) != design.plan(SPACE, "random" if sampler != "random" else "tpe", 20, 1)


@pytest.mark.parametrize("sampler, explored", [("tpe", 60), ("gp", 60), ("random", 80)])
def test_defaults_have_other_seeds_and_all_exploring_trials_one(sampler, explored):
    planned = design.plan(SPACE, sampler, 80, 7)
    defaults = [one for one in planned if one.role == design.DEFAULT]
    assert [one.seed for one in defaults] == [7, 8, 9, 10, 11]
    assert all(one.point == SPACE.default_point() for one in defaults)
    exploring = [one for one in planned if one.role == design.EXPLORE]
    assert {one.seed for one in exploring} == {7} and [one.row for one in exploring] == list(range(explored))


def test_the_grid_of_acgan_has_27_points_and_that_of_abc_21():
    assert len(design.grid(SPACES["acgan"])) == 27 and len(design.grid(SPACES["abc"])) == 21
    with pytest.raises(UsageError, match="ranges"):
        design.grid(SPACE)
    with pytest.raises(UsageError, match="27 points"):
        design.plan(SPACES["acgan"], "grid", 26, 0)


def test_points_that_differ_in_nothing_stand_in_the_grid_once():
    space = Space("", "", "sngan", {"a": Choice(("x", "y")), "b": Choice((1, 2), when=("a", ("x",)))})
    assert design.grid(space) == [{"a": "x", "b": 1}, {"a": "x", "b": 2}, {"a": "y"}]


def asked(seed, trials=12, forget=()):
    """The points of a study of the learning sampler on a function; the process ends before the trials in `forget`."""
    storage = optuna.storages.InMemoryStorage()
    space = Space("", "", "sngan", {"x": Range(0.0, 1.0), "kind": Choice(("a", "b")),
                                    "y": Range(0, 9, whole=True, when=("kind", ("a",)))})  # fmt: skip

    def opened():
        return optuna.create_study(
            storage=storage, study_name="s", sampler=design.sampler("tpe", seed, 1), load_if_exists=True
        )

    study, points = opened(), []
    for point in design.hypercube(space, 8, seed):
        study.enqueue_trial(point)
    for number in range(trials):
        study = opened() if number in forget else study
        trial = study.ask()
        point = design.suggest(space, trial)
        points.append(point)
        study.tell(trial, (point["x"] - 0.3) ** 2 + (point["kind"] == "b"))
    return points


def test_suggestions_follow_from_the_seed_also_after_a_new_start():
    assert asked(0) == asked(0) == asked(0, forget=(3, 9, 10))
    assert asked(0)[8:] != asked(1)[8:]


def test_what_is_learnt_is_used():
    late = [point for seed in range(5) for point in asked(seed, trials=24)[14:]]
    assert np.mean([point["kind"] == "a" for point in late]) > 0.7
    assert np.mean([abs(point["x"] - 0.3) for point in late]) < 0.2


def test_gaussian_processes_say_what_they_need():
    if importlib.util.find_spec("torch"):
        pytest.skip("PyTorch is here")
    with pytest.raises(UsageError, match="torch"):
        design.sampler("gp", 0, 1)


def test_halving_begins_with_many_trials():
    assert isinstance(design.pruner(149, False), optuna.pruners.NopPruner)
    assert isinstance(design.pruner(150, False), optuna.pruners.SuccessiveHalvingPruner)
    assert isinstance(design.pruner(150, True), optuna.pruners.NopPruner)
