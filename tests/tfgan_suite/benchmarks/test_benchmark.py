"""The command that measures: what it refuses, what it writes, and how ratios are taken."""

import json

import pytest

from data_tools import command as cli
from tfgan_suite import benchmark
from tfgan_suite.benchmarks import Row, data, evaluation, interleaved, ratio


def test_rows_know_whether_they_keep_their_bounds():
    assert Row("a", 2, "x").met is None
    assert Row("a", 2, "x", at_least=2).met and not Row("a", 1.9, "x", at_least=2).met
    assert Row("a", 2, "x", at_most=2).met and not Row("a", 2.1, "x", at_most=2).met


def test_ratios_are_medians_of_rounds_measured_in_turn():
    order = []

    def function(name, values):
        def measure():
            order.append(name)
            return values.pop(0)

        return measure

    results = interleaved({"one": function("one", [1, 20, 30]), "two": function("two", [1, 10, 10])}, 3)
    assert order == ["one", "two"] * 3 and results == {"one": [1, 20, 30], "two": [1, 10, 10]}
    assert ratio(results, "one", "two") == 2


def test_the_fastest_preset_is_at_full_width():
    from tfgan_suite.runs.presets import PRESETS

    config = PRESETS[data.fastest_preset()].config
    assert config.width == 1 and config.image_size == 32


def test_every_benchmark_has_a_flag(capsys):
    for name in benchmark.BENCHMARKS:
        assert getattr(benchmark.arguments_kind()(), name) is False
    assert cli.run(benchmark.main, []) == 2
    assert "choose what to measure: --data" in capsys.readouterr().err


def test_the_table_and_the_file_say_the_same(tmp_path, monkeypatch, capsys):
    rows = [Row("reading", 12.5, "x", at_least=20, repeats=3), Row("memory", 1.0, "x", at_most=1.25)]
    asked = []
    monkeypatch.setattr(data, "run", lambda quick: asked.append(quick) or rows)
    path = tmp_path / "new" / "b.json"
    assert cli.run(benchmark.main, ["--data", "--quick", "--output", str(path), "--debug"]) == 0
    out = capsys.readouterr().out
    assert "at least 20: NO" in out and "at most 1.25: yes" in out and "12.50" in out
    record = json.loads(path.read_text())
    assert record["quick"] is True and asked == [True] and {"machine", "versions", "data"} <= record.keys()
    assert record["data"][0]["met"] is False and record["data"][0]["value"] == 12.5
    assert cli.run(benchmark.main, ["--data", "--debug"]) == 0 and asked == [True, False]


@pytest.mark.slow
def test_all_of_the_data_benchmark_runs():
    rows = {row.name: row for row in data.run(True)}
    assert len(rows) == 17 and all(row.value > 0 for row in rows.values())
    assert rows["packed reading, the loop's, of training"].met
    assert rows["peak memory, ten times the images"].met


@pytest.mark.slow
def test_the_benchmark_of_the_evaluation_runs():
    rows = {row.name: row for row in evaluation.run(quick=True)}
    assert len(rows) >= 12 and all(row.value > 0 for row in rows.values())
    assert rows["peak memory, more / fewer images"].met
    assert (
        rows["Frechet distance, 256 dimensions"].value
        < rows["Frechet distance, 256 dimensions, TF-GAN's function"].value
    )
