import numpy as np
import pytest

from data_tools import reptiles
from data_tools.errors import DataError, NoSplitError
from data_tools.images import read_image


def test_the_size_asked_for_or_else_the_largest(tmp_path, sources):
    for size in (64, 108):
        sources.write_collection(tmp_path, size)
    for asked, read in ((64, 64), (108, 108), (32, 108), (80, 108)):
        data = reptiles.load("train", image_size=asked, data_dir=tmp_path)
        assert data.class_names == sources.CLASSES and len(data) == 30
        expected = read_image(tmp_path / "prepared" / str(read) / "cat" / "014.png", asked)
        np.testing.assert_array_equal(data.images[29], expected)


def test_what_is_missing_is_said(tmp_path, sources):
    with pytest.raises(DataError, match="needs --data-dir DIR, a collection"):
        reptiles.load("train", image_size=108)
    with pytest.raises(DataError, match="existing folder. Received: .*nowhere"):
        reptiles.load("train", image_size=108, data_dir=tmp_path / "nowhere")
    command = f"\npython -m data_tools.flickr prepare --output {tmp_path} --size 108 makes them"
    with pytest.raises(DataError, match="prepared at 108 pixels or more. Received: none") as caught:
        reptiles.load("train", image_size=108, data_dir=tmp_path)
    assert command in str(caught.value)
    sources.write_collection(tmp_path, 64)
    (tmp_path / "prepared" / "108.part").mkdir()
    with pytest.raises(DataError, match="Received: only those of 64 pixels") as caught:
        reptiles.load("train", image_size=108, data_dir=tmp_path)
    assert command in str(caught.value)
    with pytest.raises(NoSplitError):
        reptiles.load("test", image_size=64, data_dir=tmp_path)
