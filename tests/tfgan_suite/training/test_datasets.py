"""Training on each kind of dataset from the command line."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_tools import command as cli
from tfgan_suite import fit

SMALL = ["--width", "0.05", "--batch-size", "4", "--steps", "2", "--variant", "dcgan", "--debug"]


def trained(tmp_path, *arguments):
    run = tmp_path / "run"
    assert cli.run(fit.main, [*SMALL, "--run-dir", str(run), *map(str, arguments)]) == 0
    return run


def test_grey_images_all_the_way(tmp_path, sources):
    """One channel in the networks, the grid, the scores, the export and what a resumed run reads."""
    place = sources.write_idx(tmp_path / "mnist")
    form = ["--dataset", "mnist", "--data-dir", place, "--image-size", "28", "--channels", "1"]
    scores = ["--classifier", "shapes", "--num-images", "20"]
    run = trained(tmp_path, *form, *scores)
    assert json.loads((run / "config.json").read_text())["config"]["channels"] == 1
    with Image.open(run / "samples" / "step-000002.png") as grid:
        assert grid.mode == "L"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines and all(np.isfinite(line["value"]) for line in lines)
    sample = tf.saved_model.load(str(run / "export")).signatures["sample"]
    outputs = sample(num_images=tf.constant(3), seed=tf.constant(1))
    assert outputs["uint8"].shape == (3, 28, 28, 1)
    assert json.loads((run / "export" / "assets" / "metadata.json").read_text())["channels"] == 1
    assert cli.run(fit.main, ["--resume", str(run), "--extend", "3", "--debug"]) == 0


def test_grey_images_in_three_channels(tmp_path, sources):
    place = sources.write_idx(tmp_path / "mnist")
    run = trained(tmp_path, "--dataset", "mnist", "--data-dir", place, "--image-size", "28")
    with Image.open(run / "samples" / "step-000002.png") as grid:
        assert grid.mode == "RGB"


def test_a_flat_folder_trains_without_classes_and_refuses_them(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for i in range(5):
        Image.new("RGB", (20, 20), (i * 50, 0, 0)).save(tmp_path / "photos" / f"{i}.png")
    form = ["--dataset", "folder", "--data-dir", str(tmp_path / "photos"), "--image-size", "16"]
    run = trained(tmp_path, *form)
    assert json.loads((run / "config.json").read_text())["class_names"] == ["images"]
    capsys.readouterr()
    for classes in ([], ["--num-classes", "2"]):
        arguments = ["--variant", "acgan", "--steps", "2", "--run-dir", str(tmp_path / "other"), *form, *classes]
        assert cli.run(fit.main, arguments) == 2
        error = capsys.readouterr().err
        assert "--variant acgan learns classes and needs two or more. Received: folder with one, 'images'" in error
        assert "Put the images into a folder per class" in error
    assert not (tmp_path / "other").exists()


def test_a_run_says_which_images_it_saw_wherever_they_are(tmp_path, sources):
    """The same images from an .npz file and from a folder have one fingerprint, so a run can go on from either."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8), np.repeat([0, 1], 4)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "photos" / "ab"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "photos" / "ab"[label] / f"{i}.png")
    np.savez(tmp_path / "photos.npz", images=images, labels=labels, class_names=np.array(["a", "b"]))
    fingerprints = set()
    for dataset, place in (("folder", "photos"), ("npz", "photos.npz")):
        run = trained(tmp_path / dataset, "--dataset", dataset, "--data-dir", tmp_path / place, "--image-size", "16")
        fingerprints.add(json.loads((run / "config.json").read_text())["dataset_fingerprint"])
    assert len(fingerprints) == 1


@pytest.mark.parametrize("classifier", [[], ["--classifier", "none"]])
def test_scores_on_the_way_without_a_network_are_refused(tmp_path, sources, capsys, classifier):
    place = sources.write_idx(tmp_path / "mnist")
    form = ["--dataset", "mnist", "--data-dir", str(place), "--image-size", "28", "--evaluate-every", "1"]
    arguments = ["--variant", "dcgan", "--steps", "2", "--width", "0.05", "--batch-size", "8"]
    arguments += ["--run-dir", str(tmp_path / "run")]
    assert cli.run(fit.main, [*form, *arguments, *classifier]) == 2
    assert "--evaluate-every needs a network that scores mnist: give --classifier" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("selection", [None, "selection"])
def test_a_checkpoint_chosen_by_images_that_are_reported_on_is_said_to_be(tmp_path, sources, capsys, selection):
    place = sources.write_folder(tmp_path / "photos" / "train", (16, 16))
    if selection:
        sources.write_folder(tmp_path / "photos" / selection, (16, 16), suffix="png")
    form = ["--dataset", "folder", "--data-dir", place, "--image-size", "16", "--classifier", "shapes"]
    trained(tmp_path, *form, "--num-images", "20", "--evaluate-every", "2")
    said = "the best checkpoint is chosen by images of the training split, on which scores are reported too"
    assert (said in capsys.readouterr().err) == (selection is None)


@pytest.mark.slow
def test_reptiles_train_at_108_and_make_the_grid(tmp_path, sources):
    sources.write_collection(tmp_path / "reptiles", 108)
    form = ["--dataset", "reptiles", "--data-dir", tmp_path / "reptiles", "--preset", "dcgan-108"]
    run = tmp_path / "run"
    arguments = [*form, "--width", "0.25", "--steps", "4", "--batch-size", "8", "--sample-every", "2"]
    assert cli.run(fit.main, [*map(str, arguments), "--run-dir", str(run), "--debug"]) == 0
    assert sorted(path.name for path in (run / "samples").iterdir()) == [f"step-00000{i}.png" for i in (0, 2, 4)]
    grids = []
    for path in sorted((run / "samples").iterdir()):
        with Image.open(path) as grid:
            assert grid.mode == "RGB" and grid.size == (8 * 110 + 2, 8 * 110 + 2)
            grids.append(np.asarray(grid))
    assert not np.array_equal(grids[0], grids[-1])
    assert len({grids[-1][2:110, 2 + 110 * i : 110 + 110 * i].tobytes() for i in range(8)}) == 8
    assert json.loads((run / "config.json").read_text())["class_names"] == list(sources.CLASSES)
