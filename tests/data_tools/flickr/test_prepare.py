"""Preparation against an independent computation with Pillow, and what is done about copies and lost files."""

import io
import itertools
import json
import random

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from data_tools.flickr.checks import Unusable
from data_tools.flickr.duplicates import near_copies
from data_tools.flickr.prepare import prepare_picture
from tests.data_tools.flickr.fake_flickr import Photo, jpeg, originals


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def independent(body, size=108):
    """Centre crop by other means: Pillow decodes, turns and converts; NumPy cuts and resizes."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(body)))
    profile = picture.info.get("icc_profile")
    if profile:
        picture = ImageCms.profileToProfile(
            picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    weights = bicubic(side, size)
    pixels = (weights @ pixels[top : top + side, left : left + side]).round().clip(0, 255)
    return np.tensordot(weights, pixels, (1, 0)).round().clip(0, 255)


def bicubic(length, size):
    """Keys' cubic convolution with a = -1/2, as wide as a pixel of the result: float64 [size, length]."""
    scale = length / size
    x = np.abs(np.arange(length) + 0.5 - (np.arange(size)[:, None] + 0.5) * scale) / max(scale, 1)
    weights = np.select([x < 1, x < 2], [1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2])
    return weights / weights.sum(axis=1, keepdims=True)


def with_orientation(picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(picture, exif=exif)


def difference(picture, expected):
    return np.abs(np.asarray(picture).astype(int) - expected).max()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_equal_an_independent_computation(orientation):
    upright = originals()[0].crop((0, 0, 311, 200))
    stored = {1: upright, 2: upright.transpose(0), 3: upright.rotate(180), 4: upright.transpose(1),
              5: upright.transpose(5), 6: upright.transpose(2), 7: upright.transpose(6),
              8: upright.transpose(4)}[orientation]  # fmt: skip
    body = with_orientation(stored, orientation)
    prepared = prepare_picture(body, 108, "crop")
    assert prepared.size == (108, 108) and prepared.mode == "RGB"
    assert difference(prepared, independent(body)) <= 1
    # and to the eye: whatever way it was stored, the picture is the same but for JPEG's loss
    truth = prepare_picture(encoded(upright), 108, "crop")
    assert np.abs(np.asarray(prepared).astype(int) - np.asarray(truth)).mean() < 4


def test_photographs_equal_an_independent_computation():
    for picture in originals():
        body = jpeg(picture)
        assert difference(prepare_picture(body, 108, "crop"), independent(body)) <= 1


def test_crop_is_the_centre_and_exact_at_the_size():
    noise = np.random.default_rng(0).integers(0, 256, (108, 160, 3), dtype=np.uint8)
    assert (np.asarray(prepare_picture(encoded(Image.fromarray(noise)), 108, "crop")) == noise[:, 26:134]).all()
    assert (np.asarray(prepare_picture(encoded(Image.fromarray(noise)), 64, "crop")).shape) == (64, 64, 3)


@pytest.mark.parametrize(("size", "bars"), [((300, 200), (0, 18)), ((200, 300), (18, 0)), ((250, 250), (0, 0))])
def test_pad_keeps_the_whole_picture_between_black_bars(size, bars):
    picture = Image.new("RGB", size, (10, 200, 90))
    prepared = np.asarray(prepare_picture(encoded(picture), 108, "pad"))
    across, down = bars
    inside = prepared[down : 108 - down, across : 108 - across]
    assert (inside == (10, 200, 90)).all()
    assert prepared.sum() == inside.astype(int).sum()


def test_resizing_is_antialiased():
    checks = np.indices((432, 432)).sum(axis=0) % 2 * 255
    prepared = np.asarray(prepare_picture(encoded(Image.fromarray(checks.astype(np.uint8))), 108, "crop"))
    assert prepared.std() < 3 and abs(prepared.mean() - 127.5) < 2


def test_colour_profiles_are_brought_to_srgb():
    # a matrix profile with red and blue exchanged: sRGB's own with two tags renamed
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"xxxx", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"xxxx", b"bXYZ", 1)
    red = Image.new("RGB", (200, 200), (230, 20, 20))
    plain = np.asarray(prepare_picture(jpeg(red, icc_profile=srgb), 108, "crop"))
    changed = np.asarray(prepare_picture(jpeg(red, icc_profile=exchanged), 108, "crop"))
    assert np.abs(plain.astype(int) - (230, 20, 20)).max() <= 3
    assert np.abs(changed.astype(int) - (20, 20, 230)).max() <= 3
    photograph = jpeg(originals()[0], icc_profile=exchanged)
    assert difference(prepare_picture(photograph, 108, "crop"), independent(photograph)) <= 1


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200, b""])
def test_a_damaged_profile_counts_as_none(profile):
    picture = originals()[0]
    prepared = prepare_picture(jpeg(picture, icc_profile=profile), 108, "crop")
    assert (np.asarray(prepared) == np.asarray(prepare_picture(jpeg(picture), 108, "crop"))).all()


def test_damaged_exif_counts_as_none():
    picture = originals()[0]
    body = jpeg(picture, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert (
        np.asarray(prepare_picture(body, 108, "crop")) == np.asarray(prepare_picture(jpeg(picture), 108, "crop"))
    ).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode):
    grey = Image.new("L", (150, 150), 255)
    if mode == "I;16":
        body = encoded(Image.fromarray(np.full((150, 150), 65_535, dtype=np.uint16)))
    elif mode == "CMYK":
        body = encoded(grey.convert("CMYK"), "JPEG")
    else:
        body = encoded(grey.convert(mode))
    prepared = np.asarray(prepare_picture(body, 108, "crop"))
    assert prepared.shape == (108, 108, 3) and prepared.min() >= 254


def test_transparency_is_laid_on_black():
    picture = Image.new("RGBA", (150, 150), (200, 100, 50, 0))
    assert np.asarray(prepare_picture(encoded(picture), 108, "crop")).max() == 0
    picture = Image.new("RGB", (150, 150), (7, 7, 7))
    assert np.asarray(prepare_picture(encoded(picture, transparency=(7, 7, 7)), 108, "crop")).max() == 0


def test_a_broken_file_is_unusable():
    with pytest.raises(Unusable):
        prepare_picture(b"no picture", 108, "crop")


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
    from data_tools.flickr import prepare as module

    real = module.in_parallel
    monkeypatch.setattr(
        module, "in_parallel", lambda work, items, workers: seen.append(workers) or real(work, items, workers)
    )
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
    from data_tools.flickr import prepare as module

    def full(path, _):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(module, "write_whole", full)
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
