"""What is opened and how it is prepared, whatever a file is called and holds; folders and the collector alike."""

import ast
import importlib
import io
import os
import re
import stat
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from data_tools import command as commands
from data_tools import folder, pictures
from data_tools.errors import DataError
from data_tools.flickr.checks import Rules, Unusable, examine, open_picture
from data_tools.flickr.prepare import prepare_picture
from data_tools.pictures import Unreadable, opened, read_header, read_image

BASE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize((90, 70))
SOLID = np.dstack([np.asarray(BASE), np.random.default_rng(1).integers(0, 256, (70, 90), dtype=np.uint8)])
DEEP = Image.fromarray(np.asarray(BASE.convert("L")).astype(np.uint16) * 257)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def write(place, picture, kind="PNG", **options):
    picture.save(place, kind, **options)
    return place


ODD = {
    "16 bits": (DEEP, {}),
    "16 bits, turned": (DEEP, {"exif": exif(6)}),
    "palette with transparency": (BASE.convert("P"), {"transparency": 3}),
    "palette with alpha": (BASE.convert("P"), {"transparency": bytes(range(200))}),
    "colour key": (BASE, {"transparency": BASE.getpixel((45, 35))}),
    "grey with alpha": (Image.fromarray(SOLID).convert("LA"), {}),
    "alpha, mirrored": (Image.fromarray(SOLID), {"exif": exif(2)}),
    "one bit": (BASE.convert("1"), {}),
    "CMYK": (BASE.convert("CMYK"), {"kind": "JPEG"}),
    "of a GIF": (BASE.convert("P"), {"kind": "GIF", "transparency": 3}),
}


@pytest.mark.parametrize("fit_size", [70, 33])
@pytest.mark.parametrize("name", ODD)
def test_the_collector_prepares_a_picture_as_a_folder_of_pictures_is_prepared(tmp_path, name, fit_size):
    picture, options = ODD[name]
    path = write(tmp_path / "odd", picture, **options)
    ours = read_image(path, fit_size)
    np.testing.assert_array_equal(np.asarray(prepare_picture(path.read_bytes(), fit_size, "crop")), ours)
    assert ours.shape == (fit_size, fit_size, 3) and len(np.unique(ours)) > 1


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_equal_an_independent_computation(tmp_path, name):
    """At their own size, where nothing is resized: Pillow decodes, NumPy does the rest."""
    picture, options = ODD[name]
    path = write(tmp_path / "odd", picture, **options)
    with Image.open(path) as file:
        if file.mode.startswith("I;16"):
            expected = np.dstack([np.asarray(file) / 257] * 3)
        else:
            stored = np.asarray(file.convert("RGBA")).astype(np.float64)
            expected = stored[..., :3] * stored[..., 3:] / 255
    expected = {6: np.rot90(expected, -1), 2: expected[:, ::-1]}.get(options.get("exif", {}).get(0x0112), expected)
    top, left = (expected.shape[0] - 70) // 2, (expected.shape[1] - 70) // 2
    square = expected[top : top + 70, left : left + 70]
    assert np.abs(read_image(path, 70) - square).max() <= 1


@pytest.mark.parametrize("kind", pictures.FORMATS)
def test_every_format_is_read_whatever_the_file_is_called(tmp_path, kind):
    path = write(tmp_path / "picture.jpg", BASE, kind)
    assert read_image(path, 16).std() > 10
    assert read_header(path) == pictures.Header(kind, "RGB" if kind != "GIF" else "P", 90, 70)
    assert opened(path.read_bytes()).format == kind


def test_several_pictures_in_one_jpeg_are_read_as_the_first(tmp_path):
    path = write(tmp_path / "a.jpg", BASE, "MPO", save_all=True, append_images=[BASE.rotate(180)])
    np.testing.assert_array_equal(read_image(path, 16), read_image(write(tmp_path / "b.jpg", BASE, "JPEG"), 16))
    assert open_picture(path.read_bytes()).format == "MPO"


@pytest.mark.parametrize("kind", ["ICO", "PCX", "TGA", "SGI", "PDF", "EPS", "JPEG2000", "DDS"])
def test_other_formats_are_refused_whatever_the_file_is_called(tmp_path, kind):
    path = write(tmp_path / "picture.jpg", BASE, kind)
    for read in (lambda: read_image(path, 16), lambda: read_header(path)):
        with pytest.raises(DataError, match="picture.jpg cannot be read as an image: mend or remove it"):
            read()
    with pytest.raises(Unusable, match="broken: UnidentifiedImageError") as caught:
        examine(path.read_bytes(), Rules())
    assert caught.value.extension == "bin"


def test_every_ending_that_is_looked_at_is_of_a_format_that_is_opened():
    for ending in pictures.EXTENSIONS:
        assert Image.registered_extensions()[ending] in pictures.FORMATS


STARTS = """
import sys
from PIL import Image
if sys.argv[1] == "plain":
    Image.open(sys.argv[2]).load()
else:
    from data_tools import dataset_report, folder
    from pathlib import Path
    place = Path(sys.argv[2]).parent
    report, _ = dataset_report.inspect("folder", image_size=16, channels=3, data_dir=place)
    print(report["splits"]["train"]["broken"]["count"])
"""


@pytest.mark.skipif(os.name != "posix", reason="the program that stands for Ghostscript is a shell script")
@pytest.mark.parametrize("how", ["plain", "ours"])
def test_postscript_that_is_called_jpg_starts_no_ghostscript(tmp_path, how):
    """Nor does anything else; Pillow by itself would start it, as the first case shows."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "gs"
    script.write_text(f"#!/bin/sh\necho started >> {tmp_path}/started\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "photos").mkdir()
    path = write(tmp_path / "photos" / "picture.jpg", BASE, "EPS")
    result = subprocess.run(
        [sys.executable, "-c", STARTS, how, str(path)],
        env={**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "started").exists() == (how == "plain"), result.stderr
    assert how == "plain" or result.stdout.strip() == "1", result.stderr


def bomb(width, height):
    """A whole PNG of few bytes, but for its header, which claims this size."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    content = bytearray(file.getvalue())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("limit", [None, 10**12])
def test_bombs_are_refused_whatever_pillow_was_told_to_allow(monkeypatch, tmp_path, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    (tmp_path / "bomb.png").write_bytes(bomb(30_000, 20_000))
    with pytest.raises(DataError, match="bomb.png has 30000 x 20000 pixels, more than 64,000,000: make it smaller"):
        read_image(tmp_path / "bomb.png", 16)
    with pytest.raises(Unusable, match="too large: 30000 x 20000 pixels") as caught:
        examine(bomb(30_000, 20_000), Rules())
    assert caught.value.extension == "png"


def test_the_most_pixels_are_allowed_and_one_more_is_not(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 90 * 70)
    file = io.BytesIO()
    BASE.save(file, "PNG")
    assert opened(file.getvalue()).size == (90, 70)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 90 * 70 - 1)
    with pytest.raises(pictures.TooLarge) as caught:
        opened(file.getvalue())
    assert caught.value.size == (90, 70) and caught.value.format == "PNG"


def test_a_refusal_knows_the_format_once_the_header_was_read():
    file = io.BytesIO()
    BASE.save(file, "PNG")
    for body, kind in ((b"nothing", ""), (file.getvalue()[:-40], "PNG")):
        with pytest.raises(Unreadable) as caught:
            opened(body)
        assert caught.value.format == kind and caught.value.error is not None


def test_what_pillow_cannot_convert_is_one_sentence(tmp_path, monkeypatch):
    path = write(tmp_path / "picture.png", BASE)

    def fail(*_):
        raise ValueError("conversion not supported")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(DataError, match=r"picture.png cannot be read as an image: mend or remove it \(conversion not"):
        read_image(path, 16, channels=1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_damaged_exif_says_nothing(tmp_path, kind):
    damaged = write(tmp_path / "damaged", BASE, kind, exif=b"\0\0nonsense", lossless=True)
    whole = write(tmp_path / "whole", BASE, kind, lossless=True)
    np.testing.assert_array_equal(read_image(damaged, 16), read_image(whole, 16))


def test_a_photograph_of_16_bits_is_seen_as_its_copy_of_8():
    """Pillow alone clips it to white, which would be one colour, and a hash of nothing."""
    bodies = []
    for picture in (DEEP, BASE.convert("L")):
        file = io.BytesIO()
        picture.save(file, "PNG")
        bodies.append(file.getvalue())
    deep, plain = (examine(body, Rules(min_side=50)) for body in bodies)
    assert deep == plain


def test_whether_a_listing_has_classes(tmp_path):
    (tmp_path / "images").mkdir()
    for place in (tmp_path, tmp_path / "images"):
        write(place / "0.png", BASE)
    assert folder.images_in(tmp_path).has_classes
    flat = folder.images_in(tmp_path / "images")
    assert not flat.has_classes and flat.class_names == (folder.ONLY_CLASS,)
    assert folder.images_in(tmp_path).class_names == flat.class_names  # so the names alone do not tell


def test_warnings_of_pillow_are_kept_quiet_for_a_while(recwarn):
    picture = BASE.convert("P")
    picture.info["transparency"] = b"\0\1\2"
    with pictures.quietly():
        picture.convert("RGB")
    assert not recwarn
    picture.convert("RGB")
    assert len(recwarn) == 1


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n%%EOF\n"


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A program `gs` before all others, which only says that it was started; gives whether it was, and forgets it."""
    (tmp_path / "bin").mkdir()
    mark = tmp_path / "it-ran"
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def ran():
        found = mark.exists()
        mark.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # forget what an earlier search for it found
    (tmp_path / "photo.jpg").write_bytes(EPS)
    with pytest.raises(subprocess.CalledProcessError), Image.open(tmp_path / "photo.jpg") as picture:
        picture.load()
    assert ran()  # it is what Pillow starts
    return ran


def test_postscript_in_a_picture_starts_nothing(ghostscript, tmp_path):
    path = tmp_path / "photo.jpg"
    for read in (lambda: read_image(path, 8), lambda: read_header(path), lambda: opened(path), lambda: opened(EPS)):
        with pytest.raises((DataError, Unreadable)):
            read()
    with pytest.raises(Unusable):
        examine(EPS, Rules())
    with pytest.raises(Unusable):
        prepare_picture(EPS, 8, "crop")
    assert not ghostscript()


@pytest.mark.parametrize(
    "module, arguments",
    [
        ("data_tools.inspect", "folder --data-dir pictures"),
        ("tfgan_suite.fit", "--dataset folder --data-dir pictures --steps 1 --classifier none"),
        ("tfgan_suite.evaluate", "pictures --reference shapes:test --classifier shapes"),
    ],
)
def test_no_command_that_reads_pictures_starts_ghostscript(
    ghostscript, tmp_path, monkeypatch, capsys, module, arguments
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures" / "class").mkdir(parents=True)
    for i, ending in enumerate(pictures.EXTENSIONS):
        (tmp_path / "pictures" / "class" / f"{i}{ending}").write_bytes(EPS)
    status = commands.run(importlib.import_module(module).main, arguments.split())
    out, err = capsys.readouterr()
    assert re.search("cannot be read as (an )?image|broken", out + err), out + err
    assert status in (0, 1) and not ghostscript()


def test_every_file_that_pillow_opens_is_of_a_format_that_is_named():
    """In all packages, and in the scripts beside the figures: `Image.open` with `formats`."""
    root = Path(pictures.__file__).parents[1]
    found = []
    for package in ("data_tools", "models_zoo", "tfgan_suite", "results"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Image.open", "PIL.Image.open"):
                    found.append((path.name, any(keyword.arg == "formats" for keyword in node.keywords)))
    assert len(found) >= 4 and all(named for _, named in found), found
