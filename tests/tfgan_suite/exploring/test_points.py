"""Points as JSON and back, to the bit, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_tools.errors import UsageError
from tfgan_suite.exploring import points

CLASSES = ("ant", "cat", "ant and cat")
FILE = Path("f.json")


def some():
    latents = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    labels = np.array([0, 2, 1], np.int32)
    shares = np.array([0, 1 / 3, 0], np.float32)
    return points.Points(latents, labels, np.array([0, 1, 1], np.int32), shares, ("7:0", "", "7:2"))


def test_points_are_read_as_they_were_written():
    given = some()
    found = points.of_records(json.loads(json.dumps(points.as_records(given, CLASSES))), 4, CLASSES, FILE)
    for name in ("latents", "labels", "others", "shares"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given, name))
        assert getattr(found, name).dtype == getattr(given, name).dtype
    assert found.names == given.names and found.between.tolist() == [False, True, False]
    assert "class" not in points.as_records(given, ())[0]


def test_rows_and_joins_keep_what_belongs_together():
    given = some()
    again = points.joined([given[:1], given[[2, 1]]])
    np.testing.assert_array_equal(again.latents, given.latents[[0, 2, 1]])
    assert again.names == ("7:0", "7:2", "") and again.labels.tolist() == [0, 1, 2]
    assert not given.with_labels(np.array([1, 1, 1])).between.any()


@pytest.mark.parametrize(("text", "expected"), [("7", (7, 0)), ("7:3", (7, 3)), (" 0:12 ", (0, 12))])
def test_names_of_samples(text, expected):
    assert points.parse_name(text) == expected


@pytest.mark.parametrize("text", ["", "7:", ":3", "-1", "7:-3", "2147483648", "1.5", "7:3:2", "\u0663"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(UsageError, match="named SEED:INDEX"):
        points.parse_name(text)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"latents": [1, 2, 3], "class": "ant"}, "latents of 3 numbers, where the generator takes 4"),
        ({"latents": [1, 2, 3, float("nan")], "class": "ant"}, "finite numbers"),
        ({"latents": [1, 2, 3, 1e39], "class": "ant"}, "finite numbers"),
        ({"latents": [1, 2, 3, True], "class": "ant"}, "finite numbers"),
        ({"latents": [1, 2, 3, "4"], "class": "ant"}, "finite numbers"),
        ({"latents": [1, 2, 3, 4]}, "has the class 'None', which is none of ant, cat"),
        ({"latents": [1, 2, 3, 4], "class": ["ant"]}, "which is none of"),
        ({"latents": [1, 2, 3, 4], "class": "ant", "towards": "dog", "share": 0.5}, "'dog', which is none"),
        ({"latents": [1, 2, 3, 4], "class": "ant", "towards": "cat", "share": 2}, "shares from 0 to 1"),
        ([1, 2, 3, 4], "finite numbers"),
    ],
)
def test_records_of_anything_else_are_refused(record, message):
    with pytest.raises(UsageError, match=message):
        points.of_records([record], 4, CLASSES, FILE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"samples": []}', '{"samples": 3}', "[" * 100_000, "\udc80"])
def test_files_of_anything_else_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match="JSON file|beside a picture"):
        points.read_file(tmp_path / "a.json")
    with pytest.raises(UsageError, match="JSON file"):
        points.read_file(tmp_path / "nowhere.json")
