"""Which files are set aside, however hostile, and how near copies are to each other."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from data_tools.flickr.checks import Rules, Unusable, examine, perceptual_hash
from tests.data_tools.flickr.fake_flickr import jpeg, originals


def refusal(body, **rules):
    with pytest.raises(Unusable) as caught:
        examine(body, Rules(**rules))
    return str(caught.value)


def test_photographs_pass():
    for picture in originals():
        facts = examine(jpeg(picture), Rules())
        assert (facts.width, facts.height) == picture.size and len(facts.phash) == 32


def png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_a_grey_picture_of_16_bits_passes():
    grey = np.asarray(originals()[0].convert("L"), dtype=np.uint16) * 257
    facts = examine(png(Image.fromarray(grey)), Rules())
    near = int(facts.phash, 16) ^ int(perceptual_hash(originals()[0].convert("L")), 16)
    assert facts.extension == "png" and near.bit_count() == 0


def test_bombs_are_refused_before_they_are_unpacked():
    noise = Image.effect_noise((400, 300), 60)
    for body in (png(Image.new("L", (14_000, 14_000))), png(Image.new("1", (9_000, 9_000)))):
        assert len(body) < 400_000
        began = time.monotonic()
        assert refusal(body).startswith("too large: ")
        assert time.monotonic() - began < 0.1
    whole = png(noise)
    assert refusal(whole[:-200]).startswith("broken: ")
    for cut in range(0, 200, 7):
        assert refusal(jpeg(noise)[:cut]).startswith("broken: ")
    # a format that no photograph of Flickr has
    tiff = io.BytesIO()
    noise.save(tiff, "TIFF")
    assert refusal(tiff.getvalue()).startswith("broken: ")


def test_damaged_bytes_never_raise_anything_else():
    body = bytearray(jpeg(originals()[0].resize((300, 200))))
    for seed in range(300):
        damaged = bytearray(body)
        damaged[seed * 7 % len(body)] ^= 1 << seed % 8
        try:
            examine(bytes(damaged), Rules())
        except Unusable as error:
            assert str(error)


def test_copies_are_near_and_others_far():
    pictures = originals()
    hashes = [int(perceptual_hash(picture), 16) for picture in pictures]
    assert min((a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]) > 20
    for picture, value in zip(pictures, hashes, strict=True):
        half = picture.resize((picture.width // 2, picture.height // 2))
        copy = Image.open(io.BytesIO(jpeg(half, quality=75)))
        assert (int(perceptual_hash(copy), 16) ^ value).bit_count() <= 10
