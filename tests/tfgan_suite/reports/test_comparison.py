"""Which runs are seeds of one configuration, and which scores may stand in one column."""

import statistics

import numpy as np
import pytest

from data_tools.errors import SuiteError
from tfgan_suite.reports import comparison
from tfgan_suite.reports.comparison import BEST, LAST


def compared(*places):
    return comparison.compare(places)


def columns_of(found, metric):
    return [column for section in found.sections for column in section.columns if column.metric == metric]


@pytest.fixture
def several(tmp_path, made_runs):
    place = made_runs.write_several(tmp_path / "runs")
    return comparison.compare(sorted(place.iterdir()))


def test_seeds_of_one_configuration_are_one_row(several):
    rows = {row.label: [run.seed for run in row.runs] for row in several.configurations}
    assert rows == {
        "dcgan on shapes": ["0", "1", "2"],
        "dcgan on shapes (only 90 steps)": ["3"],
        "wgan_gp on shapes": ["0", "1"],
    }
    assert [row.number for row in several.configurations] == [1, 2, 3]


def test_mean_spread_and_every_value(several):
    row = several.configurations[0]
    (column, _) = columns_of(several, "classifier_score")
    cell = several.cell(row, column, LAST)
    assert (cell.values, cell.seeds, cell.steps) == ([6, 7], ["0", "1"], [200, 200])
    assert (cell.mean, cell.spread) == (6.5, pytest.approx(np.std([6, 7], ddof=1)))
    assert cell.spread == pytest.approx(statistics.stdev(cell.values))
    best = several.cell(row, column, BEST)
    assert (best.values, best.steps) == ([5, 6], [100, 100])  # 30 from the selection split there, 35 at the end
    alone = several.cell(several.configurations[1], column, LAST)
    assert (alone.values, alone.spread, alone.steps) == ([2], None, [50])


def test_scores_of_another_protocol_never_share_a_column(several):
    first, second = several.sections
    assert first.why == ["num_generated: 500; elsewhere 400"] and second.why == ["num_generated: 400; elsewhere 500"]
    assert [row.number for row in second.configurations] == [1]
    for section, seeds in ((first, ["0", "1"]), (second, ["2"])):
        for column in section.columns:
            assert several.cell(several.configurations[0], column, LAST).seeds == seeds


CHANGES = {
    "num_generated": 50, "classifier_fingerprint": "d00f", "resize": "clean to 299", "values": "x / 255",
    "quantisation": "none", "weights": "raw", "latent_seed": 3, "image_size": 64, "order": "shuffled",
    "shuffle_seed": 1, "something_new": True,
}  # fmt: skip
OF_A_METRIC = {
    "splits": 10, "parameters": {"k": 3}, "reference_fingerprint": "5a3e", "num_real": 7, "dtype": "float32",
    "spread_is": "standard error", "reference_shuffle_seed": 4,
}  # fmt: skip


@pytest.mark.parametrize("field", [*CHANGES, *OF_A_METRIC])
def test_each_field_of_the_protocol_keeps_numbers_apart(tmp_path, made_runs, field):
    other = {field: {**CHANGES, **OF_A_METRIC}[field]}
    one = made_runs.write_run(tmp_path / "a", seed=0, metrics=[made_runs.score("fid", 1.0, 200)])
    two = made_runs.write_run(tmp_path / "b", seed=1, metrics=[made_runs.score("fid", 2.0, 200, **other)])
    found = compared(one, two)
    columns = columns_of(found, "fid")
    assert [found.cell(found.configurations[0], column, LAST).values for column in columns] == [[1.0], [2.0]]
    if field in CHANGES:
        assert len(found.sections) == 2 and all(why.startswith(f"{field}: ") for why in found.sections[0].why)
    else:
        assert len(found.sections) == 1 and all(field.removesuffix("_fingerprint") in c.remark for c in columns)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classifier", "the/same/file.npz"),
        ("versions", {"tfgan_suite": "0.2.0"}),
        ("labels", "uniform"),
        ("seconds", 9.0),
        ("source", "elsewhere"),
        ("class_fractions", {"circle": 1.0}),
        ("at_half", 3.0),
        ("parameters", {"counts": {"circle": 3}}),
    ],
)
def test_outcomes_names_and_versions_keep_nothing_apart(tmp_path, made_runs, field, value):
    one = made_runs.write_run(tmp_path / "a", seed=0, metrics=[made_runs.score("fid", 1.0, 200)])
    two = made_runs.write_run(tmp_path / "b", seed=1, metrics=[made_runs.score("fid", 2.0, 200, **{field: value})])
    (column,) = columns_of(compared(one, two), "fid")
    if field == "versions":
        assert column.versions == [{"tfgan_suite": "0.1.0"}, {"tfgan_suite": "0.2.0"}]


def test_a_measured_again_score_is_the_newest(tmp_path, made_runs):
    again = [made_runs.score("fid", 3.0, 200)]
    run = made_runs.write_run(tmp_path / "a", metrics=[made_runs.score("fid", 1.0, 200)], evaluation=again)
    found = compared(run)
    (column,) = columns_of(found, "fid")
    assert found.cell(found.configurations[0], column, LAST).values == [3.0]


@pytest.mark.parametrize(
    ("field", "value", "same"),
    [
        ("seed", 1, True),
        ("data_dir", "/elsewhere", True),
        ("sample_every", 7, True),
        ("num_images", 77, True),
        ("generator_learning_rate", 1e-3, False),
        ("width", 0.5, False),
        ("options", {"augment": "color"}, False),
        ("evaluate_every", 10, False),  # the best of more evaluations is better
    ],
)
def test_rows_differ_by_what_changes_the_run(tmp_path, made_runs, field, value, same):
    one = made_runs.write_run(tmp_path / "a", seed=0)
    two = made_runs.write_run(tmp_path / "b", **{"seed": 1, field: value})
    found = compared(one, two)
    assert len(found.configurations) == (1 if same else 2)
    if not same:
        name, shown = ("augment", "color") if field == "options" else (field, str(value))
        assert found.configurations[1].differences == {name: shown}
        assert found.configurations[1].label == f"dcgan on shapes {name}={shown}"


def test_other_data_are_another_row(tmp_path, made_runs):
    one, two = made_runs.write_run(tmp_path / "a", seed=0), made_runs.write_run(tmp_path / "b", seed=1)
    (two / "config.json").write_text((two / "config.json").read_text().replace("da7a", "07e4"))
    assert [row.differences for row in compared(one, two).configurations] == [{"data": "da7a"}, {"data": "07e4"}]


def test_the_same_seed_twice_is_no_second_seed(tmp_path, made_runs):
    one, two = made_runs.write_run(tmp_path / "a", seed=0), made_runs.write_run(tmp_path / "b", seed=0)
    found = compared(one, two)
    assert [run.path for _, run in found.runs] == [one]
    assert found.left_out == [(str(two), f"the same configuration and seed as {one}, so it is no further seed")]


def test_what_cannot_be_read_is_left_out_with_a_reason(tmp_path, made_runs):
    good, bad = made_runs.write_run(tmp_path / "good"), made_runs.write_run(tmp_path / "bad")
    (bad / "config.json").write_text("{")
    found = compared(bad, good)
    assert [run.path for _, run in found.runs] == [good]
    ((name, why),) = found.left_out
    assert name == str(bad) and "readable JSON" in why
    with pytest.raises(SuiteError, match="none of the runs can be read"):
        compared(bad)


def test_a_name_of_two_meanings_is_drawn_in_two_groups(several):
    assert several.quantities("discriminator") == several.quantities("discriminator_scores") == ["d_real", "d_fake"]
    for group, of_wgan in (("discriminator", False), ("discriminator_scores", True)):
        for (row, _), (steps, _) in zip(several.runs, several.curves(group, "d_real"), strict=True):
            assert bool(steps) == (row.method.startswith("wgan") == of_wgan)
