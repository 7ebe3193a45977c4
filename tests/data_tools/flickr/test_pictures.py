"""Preparation against an independent computation with Pillow and NumPy."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from data_tools.flickr import prepare
from data_tools.flickr.checks import Unusable
from data_tools.flickr.prepare import prepare_picture
from tests.data_tools.flickr.fake_flickr import jpeg, originals


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


def test_prepared_bytes_do_not_depend_on_when_they_are_made(monkeypatch):
    """A profile says when it was made; Pillow would write the one that was converted to into the PNG."""
    body = jpeg(originals()[0], icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    files = []
    for minute in (11, 42):
        made = bytearray(prepare._SRGB.tobytes())
        made[24:36] = np.array([2024, 5, 17, 10, minute, 0], ">u2").tobytes()  # the ICC header's date and time
        monkeypatch.setattr(prepare, "_SRGB", ImageCms.ImageCmsProfile(io.BytesIO(bytes(made))))
        files.append({fit: encoded(prepare_picture(body, 108, fit)) for fit in prepare.FITS})
    assert files[0] == files[1]
    assert all(b"iCCP" not in file for file in files[0].values())


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200, b""])
def test_a_damaged_profile_counts_as_none(profile):
    picture = originals()[0]
    prepared = prepare_picture(jpeg(picture, icc_profile=profile), 108, "crop")
    assert (np.asarray(prepared) == np.asarray(prepare_picture(jpeg(picture), 108, "crop"))).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
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
