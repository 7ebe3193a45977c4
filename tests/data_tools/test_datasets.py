"""Every dataset of the table, by the same questions."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data_tools
from data_tools import splits
from data_tools.errors import NoSplitError
from data_tools.images import LabelledImages
from data_tools.resized import prepared


@pytest.fixture(params=data_tools.DATASETS)
def name(request, monkeypatch, sources):
    if request.param == "shapes":
        sources.write_shapes(monkeypatch)
    return request.param


@pytest.fixture
def place(name, tmp_path, sources):
    return sources.SOURCES[name][0](tmp_path / "source")


def test_every_split_is_what_was_asked_for(name, place, sources):
    _, class_names, own = sources.SOURCES[name]
    for split in splits.SPLITS:
        for image_size, channels in ((16, 3), (20, 1), (36, 3)):
            form = {"image_size": image_size, "channels": channels, "data_dir": place}
            if split not in (*own, "selection"):
                with pytest.raises(NoSplitError):
                    data_tools.load(name, split, **form)
                continue
            data = data_tools.load(name, split, **form)
            assert data.images.dtype == np.uint8 and data.labels.dtype == np.int32
            assert data.images.shape == (len(data), image_size, image_size, channels) and len(data) > 0
            assert data.class_names == class_names
            assert len(np.unique(data.images)) > 10
            assert data_tools.load(name, split, **form).fingerprint() == data.fingerprint()


def test_grey_is_pillows(name, place):
    """Of the colours before they are resized: at the native size, where nothing is, they can be compared."""
    size = {"folder": 30, "npz": 30, "reptiles": 64, "mnist": 28, "fashion_mnist": 28}.get(name, 32)
    colour, grey = (
        data_tools.load(name, "train", image_size=size, channels=channels, data_dir=place) for channels in (3, 1)
    )
    for i in range(5):
        expected = np.asarray(Image.fromarray(np.asarray(colour.images[i])).convert("L"))
        np.testing.assert_array_equal(grey.images[i, ..., 0], expected)


def test_selection_is_never_the_test_split_and_the_rule_is_kept(name, place, sources):
    own = sources.SOURCES[name][2]
    form = {"image_size": 16, "data_dir": place}
    train, selection = data_tools.load(name, "train", **form), data_tools.load(name, "selection", **form)
    rows = {image.tobytes() for image in train.images}
    inside = [image.tobytes() in rows for image in selection.images]
    if "selection" in own:
        assert not any(inside)
        return
    assert all(inside) and len(selection) == len(train) // 10
    if "test" in own:
        test = {image.tobytes() for image in data_tools.load(name, "test", **form).images}
        assert not any(image.tobytes() in test for image in selection.images)


def test_every_dataset_has_a_source_and_is_a_file(sources):
    assert set(sources.SOURCES) == set(data_tools.DATASETS)
    for module in data_tools.DATASETS.values():
        assert (Path(data_tools.__file__).parent / f"{module.partition('.')[2]}.py").is_file()


@pytest.mark.parametrize(("count", "selected"), [(3, 1), (100, 10), (60_000, 5000)])
def test_selection_is_a_tenth_up_to_a_bound_and_always_the_same(count, selected):
    images = np.zeros((count, 1, 1, 1), np.uint8)
    train = LabelledImages(images, np.arange(count, dtype=np.int32), tuple(map(str, range(count))))
    first, second = splits.selection_of(train), splits.selection_of(train)
    assert len(first) == selected and first.labels.tolist() == second.labels.tolist()
    assert len(set(first.labels.tolist())) == selected and first.labels.tolist() == sorted(first.labels.tolist())
    if selected > 1:
        assert first.labels.tolist() != list(range(count - selected, count))


def test_selection_is_the_end_of_the_permutation():
    """The rule to the image: scores of checkpoints that were chosen before stay comparable."""
    order = np.random.default_rng(20_260).permutation(40)
    train = LabelledImages(np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1), np.zeros(40, np.int32), ("only",))
    chosen = splits.selection_of(train).images.ravel().tolist()
    assert chosen == sorted(order[36:].tolist()) != sorted(order[:4].tolist())
    assert chosen == [12, 15, 36, 39]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "imagenet"}, "name must be one of shapes, .*Received: name='imagenet'"),
        ({"split": "valid"}, "split must be one of train, test, selection. Received: split='valid'"),
        ({"channels": 4}, "channels must be 1 or 3. Received: channels=4"),
    ],
)
def test_unknown_words_are_refused(change, message):
    arguments = {"name": "shapes", "split": "train", "image_size": 32, **change}
    with pytest.raises(ValueError, match=message):
        data_tools.load(**arguments)


def test_prepared_arrays_are_pillows_and_untouched_where_nothing_is_to_do():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (3, 30, 40, 3), dtype=np.uint8)
    result = prepared(colour, 20, 1)
    for image, ours in zip(colour, result, strict=True):
        square = Image.fromarray(image).convert("L").crop((5, 0, 35, 30))
        np.testing.assert_array_equal(ours[..., 0], np.asarray(square.resize((20, 20), Image.Resampling.BICUBIC)))
    tripled = prepared(result, 20, 3)
    assert tripled.shape == (3, 20, 20, 3) and all((tripled[..., c] == result[..., 0]).all() for c in range(3))
    assert prepared(result, 20, 1) is result


def test_the_fingerprint_is_the_same_for_a_memory_map(tmp_path, monkeypatch):
    monkeypatch.setattr("data_tools.images._CHUNK_BYTES", 1000)
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    data = LabelledImages(images, np.zeros(50, np.int32), ("a",))
    mapped = dataclasses.replace(data, images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert mapped.fingerprint() == data.fingerprint()
    assert dataclasses.replace(data, images=images[::-1]).fingerprint() != data.fingerprint()


def test_importing_is_cheap():
    code = "import sys, data_tools, data_tools.inspect; sys.exit('tensorflow' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
