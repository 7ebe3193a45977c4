"""The tables: for people in Markdown, for programs in CSV and JSON."""

import csv
import io
import json
import statistics

import pytest

from tfgan_suite.reports import comparison, tables


@pytest.fixture
def several(tmp_path, made_runs):
    place = made_runs.write_several(tmp_path / "runs")
    (made_runs.write_run(place / "broken") / "config.json").write_text("[]")
    return comparison.compare(sorted(place.iterdir()))


def rows_of(text):
    """Cells of each row of the Markdown tables."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]


def test_the_markdown_has_all_there_is(several):
    text = tables.markdown_table(several)
    rows = rows_of(text)
    facts = ["200", "12,800", "20 s, 20 s, 20 s", "2 cores x86_64", "12", "5", ""]
    assert ["1", "dcgan on shapes", "0, 1, 2", *facts] in rows
    (short,) = (row for row in rows if row[1:3] == ["dcgan on shapes (only 90 steps)", "3"])
    assert "unfinished: step 90 of 200" in short[-1]
    cells = ["6.500 +- 0.7071 (6.000, 7.000) only seed 0, 1", "50.50 +- 0.7071 (50.00, 51.00) only seed 0, 1"]
    assert ["1", "dcgan on shapes", "last step", *cells] in rows
    cells = ["8.500 +- 0.7071 (8.000, 9.000)", "20.50 +- 0.7071 (20.00, 21.00)"]
    assert ["3", "wgan_gp on shapes", "best by the selection split", *cells] in rows
    heads = [row[3:] for row in rows if row[:3] == ["#", "configuration", "at"]]
    assert heads == [["classifier_score ↑", "frechet_classifier_distance ↓"]] * 2
    assert text.count("## Scores, protocol ") == 2 and "- num_generated: 400; elsewhere 500" in text
    assert "classifier_fingerprint c0ffee" in text and "reference shapes:test" in text
    assert any(row[0].endswith("broken") and "JSON object" in row[1] for row in rows)


def test_the_csv_has_every_value_and_its_mean(several):
    rows = list(csv.DictReader(io.StringIO(tables.csv_table(several))))
    assert len(rows) == 2 * 2 * (3 + 1)  # two metrics, at two steps, of three rows in one table and one in the other
    for row in rows:
        values = [float(value) for value in row["values"].split()]
        assert float(row["mean"]) == pytest.approx(statistics.fmean(values)) and int(row["num_seeds"]) == len(values)
        spread = row["sample_standard_deviation"]
        assert (spread == "") == (len(values) == 1)
        assert spread == "" or float(spread) == pytest.approx(statistics.stdev(values))
    (row,) = (r for r in rows if (r["variant"], r["metric"], r["at"]) == ("wgan_gp", "classifier_score", "last"))
    assert (row["seeds"], row["values"], row["steps"], row["better"]) == ("0 1", "8.0 9.0", "200", "higher")
    assert (row["images_seen"], row["seconds"], row["hardware"]) == ("12800", "20.0 20.0", "2 cores x86_64")
    assert (row["generator_parameters"], row["discriminator_parameters"], row["finished"]) == ("12", "5", "True")


def test_every_column_has_its_protocol_as_json(several):
    columns = json.loads(tables.protocols_json(several))
    assert [(column["protocol"], column["metric"]) for column in columns] == [
        (n, metric) for n in (1, 2) for metric in ("classifier_score", "frechet_classifier_distance")
    ]
    assert [column["how"]["num_generated"] for column in columns] == [500, 500, 400, 400]
    assert columns[1]["names"] == {"classifier": "shapes", "reference": "shapes:test"}


def test_hostile_text_changes_no_table(tmp_path, made_runs):
    evil = "=HYPERLINK(1)|<script>\n| new | row |"
    settings = {"variant": evil, "dataset": evil, "steps": 200, "seed": evil, "options": {evil: evil}}
    metrics = [made_runs.score(evil, 1.0, 200, classifier=evil, **{evil: evil})]
    run = made_runs.write_run(tmp_path / "a|b", settings=settings, metrics=metrics)
    found = comparison.compare([run])
    text = tables.markdown_table(found)
    assert "<script>" not in text and "| new |" not in text
    widths = {line.replace("\\|", "").count("|") for line in text.splitlines() if line[:1] == "|"}
    assert widths == {11, 5}  # ten cells, and four
    (row,) = csv.DictReader(io.StringIO(tables.csv_table(found)))
    assert all(not value.startswith(("=", "@", "+")) for value in row.values()) and row["variant"].startswith("'=HYP")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.000"),
        (8.85, "8.850"),
        (1234.4, "1234"),
        (-0.0123456, "-0.01235"),
        (123456.7, "123,457"),
        (9999.4, "9999"),
    ],
)
def test_numbers_have_four_digits(value, shown):
    assert tables.number(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(5.4, "5 s"), (119, "119 s"), (120, "2.0 min"), (7200, "2.0 h")])
def test_durations_are_for_people(seconds, shown):
    assert tables.duration(seconds) == shown
