"""`python -m data_tools.inspect` on folders that have everything wrong with them, and on clean data."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import data_tools
from data_tools import command as commands
from data_tools import dataset_report, inspect


def fill(folder, count, seed, size=(40, 30), mode="RGB"):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{seed}-{i}.png")


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    fill(root / "train" / "ant", 5, 1)
    fill(root / "train" / "bee", 3, 2, (50, 20), "L")
    fill(root / "test" / "ant", 2, 3)
    fill(root / "test" / "bee", 2, 4)
    return root


def inspected(root, name="folder", **form):
    return dataset_report.inspect(name, **{"image_size": 16, "channels": 3, "data_dir": root, **form})[0]


def run(*arguments):
    return commands.run(inspect.main, [*map(str, arguments), "--debug"])


def test_clean_data_have_no_warnings_and_true_numbers(photos):
    report = inspected(photos)
    train = report["splits"]["train"]
    assert train["per_class"] == {"ant": 5, "bee": 3} and train["images"] == 8
    assert report["splits"]["test"]["per_class"] == {"ant": 2, "bee": 2} and set(report["splits"]) == {"train", "test"}
    assert train["files"]["formats"] == {"PNG": 8} and train["files"]["modes"] == {"RGB": 5, "L": 3}
    assert train["files"]["width"] == {"least": 40, "median": 40.0, "most": 50}
    assert train["files"]["height"] == {"least": 20, "median": 30.0, "most": 30}
    pixels = data_tools.load("folder", "train", image_size=16, data_dir=photos).images.astype(np.float64)
    np.testing.assert_allclose(train["mean"], pixels.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(train["standard_deviation"], pixels.std(axis=(0, 1, 2)))
    assert train["broken"]["count"] == train["duplicates"]["count"] == 0
    assert report["in_both_splits"]["train and test"]["count"] == 0
    assert report["warnings"] == []


def test_everything_that_can_be_wrong_is_found(photos):
    (photos / "train" / "ant" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (photos / "train" / "bee" / "copy.png").write_bytes((photos / "train" / "ant" / "1-0.png").read_bytes())
    (photos / "test" / "ant" / "leak.png").write_bytes((photos / "train" / "ant" / "1-1.png").read_bytes())
    (photos / "train" / "cow").mkdir()
    (photos / "train" / "loose.png").write_bytes(b"")
    fill(photos / "train" / "ant" / "red", 2, 7)
    report = inspected(photos)
    train = report["splits"]["train"]
    assert train["broken"]["count"] == 1 and train["broken"]["files"][0]["file"] == "ant/broken.jpg"
    assert "cannot be read" in train["broken"]["files"][0]["reason"]
    assert train["duplicates"] == {"count": 1, "pairs": [["ant/1-0.png", "bee/copy.png"]]}
    assert report["in_both_splits"]["train and test"] == {"count": 1, "pairs": [["ant/1-1.png", "ant/leak.png"]]}
    assert train["files"]["formats"] == {"PNG": 11, "unreadable": 1}
    text = "\n".join(report["warnings"])
    for sentence in (
        "train: no images in 1 of 3 classes: cow",
        "train: 1 images cannot be read",
        "train: 1 images are the same as an earlier one",
        "1 files beside the class folders",
        "2 images stand in folders inside the class folders",
        "the splits do not have the same classes",
        "1 images stand in both train and test",
    ):
        assert sentence in text


def test_a_wrong_folder_level_is_said_in_words(photos, tmp_path):
    (photos / "test").rename(photos / "more")
    (photos / "train").rename(photos / "all")
    (photos / "more").rename(tmp_path / "elsewhere")
    report = inspected(photos)
    assert report["splits"]["train"]["per_class"] == {"all": 8}
    (sentence,) = report["warnings"]
    assert (
        f"in one class, 'all', which holds the folders ant, bee: if those are the classes, give {photos}/all"
        in sentence
    )


@pytest.mark.parametrize(("given", "count"), [("", 3), ("train/ant", 2)])
def test_files_without_a_known_extension_are_counted(photos, given, count):
    for name in ("ant/a.jpe", "ant/._a.jpe", "ant/b", "ant/.thumbs/c", "bee/deeper/a.heic"):
        (photos / "train" / name).parent.mkdir(exist_ok=True)
        (photos / "train" / name).write_bytes(b"x")
    assert f"train: {count} files without a known extension are not used (.jpg, " in "\n".join(
        inspected(photos / given)["warnings"]
    )


def test_a_level_too_deep_is_said_in_words(photos):
    warnings = inspected(photos / "train" / "ant")["warnings"]
    assert warnings == [
        "train: the images are in no class folders, so there are no labels",
        f"train: {photos}/train holds 2 folders of images (ant, bee): if those are the classes, give {photos}/train",
    ]


def test_flat_splits_are_not_taken_for_classes(tmp_path):
    for seed, split in enumerate(("train", "test")):
        fill(tmp_path / split, 2, seed)
    for given in ("", "train"):
        assert inspected(tmp_path / given)["warnings"] == [
            f"{split}: the images are in no class folders, so there are no labels" for split in ("train", "test")
        ]


def test_labels_all_in_one_class_and_constant_pixels_are_said(tmp_path):
    np.savez(
        tmp_path / "a.npz", images=np.full((4, 16, 16), 7, np.uint8), labels=[1] * 4, class_names=np.array(["a", "b"])
    )
    warnings = inspected(tmp_path / "a.npz", "npz")["warnings"]
    assert "train: all images are in one class" in warnings and "train: all pixels have one value" in warnings
    np.savez(tmp_path / "b.npz", images=np.zeros((30, 16, 16), np.uint8), labels=[0] * 28 + [1] * 2)
    assert "train: the largest class has 28 images, the smallest 2" in inspected(tmp_path / "b.npz", "npz")["warnings"]


def test_the_command_prints_and_writes_report_and_sheet(photos, tmp_path, capsys):
    assert run("folder", "--data-dir", photos, "--image-size", "20", "--output", tmp_path / "new" / "report") == 0
    out = capsys.readouterr().out
    assert "ant" in out and "contact sheet" in out and "8" in out
    report = json.loads((tmp_path / "new" / "report" / "report.json").read_text())
    assert report["image_size"] == 20 and report["splits"]["train"]["per_class"] == {"ant": 5, "bee": 3}
    with Image.open(tmp_path / "new" / "report" / "contact-sheet.png") as sheet:
        pixels = np.asarray(sheet)
    first = data_tools.load("folder", "train", image_size=20, data_dir=photos).images[0]
    scaled = first.repeat(2, axis=0).repeat(2, axis=1)  # 20 pixels are shown at twice their size
    np.testing.assert_array_equal(pixels[2:42, 130:170], scaled)
    assert pixels.shape[0] == 4 * 42 + 2  # a row per class and split


@pytest.mark.parametrize("name", data_tools.DATASETS)
def test_every_dataset_can_be_inspected(name, tmp_path, sources, monkeypatch):
    if name == "shapes":
        sources.write_shapes(monkeypatch)
    place = sources.SOURCES[name][0](tmp_path / "source")
    report = inspected(place, name, channels=1)
    assert set(report["splits"]) == set(sources.SOURCES[name][2])
    train = data_tools.load(name, "train", image_size=16, channels=1, data_dir=place)
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    assert report["splits"]["train"]["per_class"] == dict(zip(train.class_names, counts.tolist(), strict=True))


def test_channels_and_size_are_used(photos):
    assert len(inspected(photos, channels=1)["splits"]["train"]["mean"]) == 1
    assert inspected(photos, image_size=20)["splits"]["train"]["mean"] != inspected(photos)["splits"]["train"]["mean"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["folder", "--data-dir", "nowhere"], 1, "nowhere"),
        (["folder"], 1, "needs --data-dir"),
        (["imagenet"], 2, "imagenet"),
        (["shapes", "--image-size", "17"], 2, "multiple of 4, from 16 on"),
        (["shapes", "--channels", "2"], 2, "--channels must be 1 or 3"),
    ],
)
def test_refusals(arguments, status, message, capsys):
    assert commands.run(inspect.main, arguments) == status
    out, err = capsys.readouterr()
    assert out == "" and message in err and len(err.splitlines()) <= 2


def test_help_is_fast_with_examples_and_without_tensorflow(command):
    seconds = []
    while len(seconds) < 5 and min(seconds, default=9) >= 1:
        began = time.monotonic()
        result = command("data_tools.inspect", "--help")
        seconds.append(time.monotonic() - began)
        assert result.returncode == 0 and "python -m data_tools.inspect " in result.stdout.partition("Example")[2]
        assert result.stderr == ""
    assert min(seconds) < 1
    code = "import sys, data_tools.inspect as i; i.main(['shapes', '--help'])"
    checked = f"import atexit, sys; atexit.register(lambda: print('tensorflow' in sys.modules)); {code}"
    shown = subprocess.run([sys.executable, "-c", checked], capture_output=True, text=True, check=False)
    assert shown.stdout.splitlines()[-1] == "False"
