"""The command prepare on a collection: copies, lost files, originals, and what status and attribution say of it."""

import io
import itertools
import json
import random

import numpy as np
import pytest
from PIL import Image

from data_tools.flickr import prepare
from data_tools.flickr.duplicates import near_copies
from data_tools.flickr.prepare import prepare_picture
from tests.data_tools.flickr.fake_flickr import Photo, jpeg, originals


def test_near_copies_equal_a_count_of_bits():
    draw = random.Random(0)
    values = [draw.getrandbits(128) for _ in range(300)]
    for index in draw.sample(range(300), 150):
        values[index] = values[draw.randrange(300)] ^ sum(
            1 << bit for bit in draw.sample(range(128), draw.randrange(14))
        )
    expected = {}
    for index, value in enumerate(values):
        near = [(other, (value ^ values[other]).bit_count()) for other in range(index)]
        near = [(other, bits) for other, bits in near if bits <= 9]
        if near:
            expected[index] = near[0]
    assert 20 < len(expected) < 200
    assert near_copies([f"{value:032x}" for value in values], 9) == expected
    assert near_copies([], 9) == {}


@pytest.fixture
def downloaded(flickr, collect, distinct_photographs):
    """A server and a collection with everything downloaded: six photographs, a same file, a near copy."""

    def make(extra=()):
        files = distinct_photographs(6)
        photos = [Photo(1_000 + index, ["gecko"], body) for index, body in enumerate(files)]
        near = Image.open(io.BytesIO(files[1])).resize((400, 300))
        photos += [Photo(2_000, ["gecko"], files[0]), Photo(2_001, ["gecko"], jpeg(near, quality=70)), *extra]
        server = flickr(photos)
        assert collect(server, "search", "--tags", "gecko") == 0
        assert collect(server, "download") == 0
        return server

    return make


def pictures(tmp_path, size=108):
    root = tmp_path / "collection" / "prepared" / str(size)
    return {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}


def test_prepared_files_are_the_prepared_pictures(downloaded, collect, known, tmp_path):
    server = downloaded()
    assert collect(server, "prepare") == 0
    found = pictures(tmp_path)
    assert set(found) == {f"gecko/{1_000 + index}.png" for index in range(6)}
    for name, path in found.items():
        body = server.photos[name[6:-4]].body
        assert (np.asarray(Image.open(path)) == np.asarray(prepare_picture(body, 108, "crop"))).all()
        assert Image.open(path).info == {}
    record = known()["1000"]
    assert record["state"] == "prepared" and record["prepared"]["108"]["file"] == "prepared/108/gecko/1000.png"


def test_size_and_fit(downloaded, collect, known, tmp_path):
    server = downloaded()
    assert collect(server, "prepare", "--size", 32) == 0
    assert {Image.open(path).size for path in pictures(tmp_path, 32).values()} == {(32, 32)}
    assert collect(server, "prepare", "--size", 32, "--fit", "pad") == 0
    expected = np.asarray(prepare_picture(server.photos["1000"].body, 32, "pad"))
    assert (np.asarray(Image.open(pictures(tmp_path, 32)["gecko/1000.png"])) == expected).all()
    assert known()["1000"]["prepared"]["32"]["fit"] == "pad"


def test_limit_and_workers(downloaded, collect, tmp_path, monkeypatch):
    server = downloaded()
    assert collect(server, "prepare", "--limit", 2) == 0
    assert len(pictures(tmp_path)) == 2
    seen = []
    real = prepare.in_parallel

    def counted(work, items, workers):
        seen.append(workers)
        return real(work, items, workers)

    monkeypatch.setattr(prepare, "in_parallel", counted)
    assert collect(server, "prepare", "--workers", 3) == 0
    assert seen == [3] and len(pictures(tmp_path)) == 6


def test_near(downloaded, collect, known):
    server = downloaded()
    assert collect(server, "prepare", "--near", -1) == 0
    aside = {identity: record["reason"] for identity, record in known().items() if record["state"] == "set_aside"}
    assert aside == {"2000": "duplicate: the same file as photograph 1000"}
    assert collect(server, "prepare") == 0
    assert known()["2001"]["reason"].startswith("duplicate: nearly photograph 1001, ")
    assert collect(server, "prepare", "--near", -1) == 0  # decided anew
    assert known()["2001"]["state"] == "prepared"


def test_copies_do_not_depend_on_the_order_of_downloads(
    downloaded, collect, known, flickr, tmp_path, distinct_photographs
):
    files = distinct_photographs(6)
    extra = [
        Photo(500, ["gecko"], files[2]),
        *(Photo(3_000 + i, ["gecko"], files[5], owner=f"{i}@N01") for i in range(2)),
    ]
    server = downloaded(extra)
    (tmp_path / "collection").rename(tmp_path / "early")
    assert collect(server, "search", "--tags", "gecko") == 0
    decisions = []
    for order in itertools.permutations([("2000", "1000"), ("500", "1002"), ("1005", "3000", "3001", "2001", "1001")]):
        for part in [*order, ()]:
            for photo in server.photos.values():
                photo.status = 200 if not part or photo.id in part else 500
            assert collect(server, "download", "--retries", 0) == 0
            assert collect(server, "prepare") == 0
        decisions.append({identity: (record["state"], record["reason"]) for identity, record in known().items()})
        files_there = {name[6:-4] for name in pictures(tmp_path)}
        assert files_there == {identity for identity, (state, _) in decisions[-1].items() if state == "prepared"}
        (tmp_path / "collection").rename(tmp_path / f"late{len(decisions)}")
        assert collect(server, "search", "--tags", "gecko") == 0
    assert all(decision == decisions[0] for decision in decisions)
    assert {identity for identity, (state, _) in decisions[0].items() if state == "set_aside"} == {
        *("1002", "2000", "2001", "1005", "3000", "3001")  # the last three are one file of three people
    }
    assert decisions[0]["1005"][1] == "stand-in: the same file for photographs of 3 people"


def test_originals_are_deleted_only_on_demand(downloaded, collect, known, tmp_path, capsys):
    server = downloaded()
    assert collect(server, "prepare", "--no-keep-originals") == 0
    assert not [path for path in (tmp_path / "collection" / "originals").rglob("*") if path.is_file()]
    assert len(pictures(tmp_path)) == 6
    assert collect(server, "prepare") == 0
    assert collect(server, "prepare", "--size", 32) == 1
    assert "6 photographs have no original any more: run download --again, then prepare" in capsys.readouterr().err
    server.delivered.clear()
    assert collect(server, "download") == 0
    assert not server.delivered
    assert collect(server, "download", "--again") == 0
    assert len(server.delivered) == 6
    assert collect(server, "prepare", "--size", 32) == 0
    assert len(pictures(tmp_path, 32)) == len(pictures(tmp_path)) == 6


def test_enlarged_pictures_are_counted(downloaded, collect, capsys):
    downloaded()  # all are 200 x 150 pixels, after the copies of other sizes are set aside
    for size, fit, told in ((150, "crop", 0), (151, "crop", 6), (200, "pad", 0), (201, "pad", 6)):
        assert collect(None, "prepare", "--size", size, "--fit", fit) == 0
        message = capsys.readouterr().err
        assert ("are enlarged" in message) == bool(told)
        assert not told or f"6 of the pictures are enlarged to {size} pixels" in message


@pytest.mark.parametrize("before", [("--size", 32), ("--size", 108, "--fit", "pad")], ids=["size", "fit"])
def test_only_originals_of_what_is_prepared_in_this_way_are_deleted(downloaded, collect, known, before):
    downloaded()
    assert collect(None, "prepare", *before) == 0
    assert collect(None, "prepare", "--size", 108, "--limit", 2, "--no-keep-originals") == 0
    kept = {identity for identity, record in known().items() if record["state"] == "prepared" and record["original"]}
    assert kept == {"1002", "1003", "1004", "1005"}
    assert collect(None, "prepare", "--size", 108, "--no-keep-originals") == 0
    assert not any(record["original"] for record in known().values())


@pytest.mark.parametrize("harm", ["changed", "deleted"])
def test_a_lost_original_is_fetched_again(downloaded, collect, known, tmp_path, harm):
    server = downloaded()
    path = tmp_path / "collection" / known()["1003"]["original"]
    path.write_bytes(b"changed") if harm == "changed" else path.unlink()
    assert collect(server, "prepare") == 1
    assert len(pictures(tmp_path)) == 5
    assert collect(server, "download") == 0
    assert collect(server, "prepare") == 0
    assert len(pictures(tmp_path)) == 6 and server.delivered["1003"] == 2


def test_lost_and_foreign_prepared_files(downloaded, collect, tmp_path):
    server = downloaded()
    assert collect(server, "prepare") == 0
    found = pictures(tmp_path)
    found["gecko/1000.png"].unlink()
    for name in (".1001.png.tmp", "77.png", "notes.txt"):
        (tmp_path / "collection" / "prepared" / "108" / "gecko" / name).write_bytes(b"x")
    assert collect(server, "prepare") == 0
    assert set(pictures(tmp_path)) == set(found) | {"gecko/notes.txt"}


def test_a_full_disk_is_one_line(downloaded, collect, tmp_path, monkeypatch, capsys):
    server = downloaded()

    def full(path, _):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(prepare, "write_whole", full)
    assert collect(server, "prepare") == 1
    assert "error: No space left on device: " in capsys.readouterr().err


def test_status_tells_counts_and_reasons(downloaded, collect, tmp_path, capsys):
    server = downloaded([Photo(4_000, ["gecko"], b"no picture")])
    assert collect(server, "prepare") == 0
    capsys.readouterr()
    assert collect(server, "status") == 0
    printed = capsys.readouterr().out
    assert "prepared at 108 x 108: 6" in printed and "1  duplicate: same file" in printed
    counts = json.loads((tmp_path / "collection" / "status.json").read_text())
    assert counts["reasons"] == {"broken": 1, "duplicate: nearly the same": 1, "duplicate: same file": 1}
    assert counts["photographs"] == {"found": 0, "downloaded": 6, "failed": 0, "set_aside": 3}
    assert counts["queries"][0]["search"] == "done" and counts["queries"][0]["target"] == 1_000


def test_attribution_names_every_photograph_that_is_used(downloaded, collect, tmp_path):
    nasty = "](javascript:x) <b>*bold*</b> | `code`"
    server = downloaded(
        [Photo(4_000, ["gecko"], b"no picture"), Photo(4_001, ["gecko"], jpeg(originals()[0]), title=nasty)]
    )
    assert collect(server, "prepare") == 0
    text = (tmp_path / "collection" / "ATTRIBUTION.md").read_text()
    assert text.count("\n- ") == 7 and "4000" not in text and "2000" not in text
    line = '- 1000: "Photograph 1000" by Owner 3, https://www.flickr.com/photos/3@N01/1000/, CC BY 2.0 ('
    assert line in text
    assert r"\]\(javascript" in text or r"\](javascript" in text
    assert "<b>" not in text.replace(r"\<b\>", "") and "| CC BY 2.0 | 7 |" in text
