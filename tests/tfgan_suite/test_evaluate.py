"""`python -m tfgan_suite.evaluate`, from what a user types to the scores in the file."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from data_tools import command as cli
from data_tools import shapes
from data_tools.errors import UsageError
from tfgan_suite import evaluate
from tfgan_suite.networks import inception, scoring_network
from tfgan_suite.networks import small_classifiers as classifier
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.generator_export import export
from tfgan_suite.runs.run_folder import RunFolder, create
from tfgan_suite.scores import protocol
from tfgan_suite.scores.feature_metrics import KERNEL_PROTOCOLS, ScoreSums, split_assignment
from tfgan_suite.scores.metrics import METRICS, Request
from tfgan_suite.scores.moments import Moments, squared_frechet_distance
from tfgan_suite.training import building

DATA = shapes.draw(120, seed=1)
SETTINGS = Config(variant="cgan", width=0.05, latent_dim=4, batch_size=4, steps=1, num_classes=10)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("real.npz", images=DATA.images, labels=DATA.labels, class_names=np.array(DATA.class_names))
    few = shapes.draw(60, seed=2)
    np.savez("other.npz", images=few.images, labels=few.labels, class_names=np.array(few.class_names))
    return tmp_path


def scores(*arguments):
    evaluate.main([*map(str, arguments), "--output", "out.json"])
    lines = json.loads(Path("out.json").read_text())
    for line in lines:
        protocol.check(line)
    return {line["metric"]: line for line in lines}


def values(*arguments):
    return {name: line["value"] for name, line in scores(*arguments).items()}


def classifier_score(logits, splits=1, order=None):
    sums = ScoreSums(split_assignment(len(logits), splits, order), splits, np.shape(logits)[-1])
    sums.update(0, logits)
    return sums.value()


def frechet_distance(one, other):
    return squared_frechet_distance(Moments.of(one), Moments.of(other))


def test_the_command_and_the_functions_agree(place):
    network = scoring_network.load("shapes")
    outputs = [
        {name: np.asarray(value) for name, value in network(data.images).items()}
        for data in (shapes.draw(60, seed=2), DATA)
    ]
    found = scores("other.npz", "--reference", "real.npz", "--classifier", "shapes", "--shuffle-seed", "None",
                   "--splits", 3)  # fmt: skip
    mean, deviation = classifier_score(outputs[0]["logits"], 3)
    assert found["classifier_score"]["value"] == pytest.approx(mean, rel=1e-5)
    assert found["classifier_score"]["spread"] == pytest.approx(deviation, rel=1e-4)
    distance = frechet_distance(outputs[0]["pool_3"], outputs[1]["pool_3"])
    line = found["frechet_classifier_distance"]
    assert line["value"] == pytest.approx(distance, rel=1e-4)
    order = np.random.default_rng(line["half_seed"]).permutation(60)
    halves = [frechet_distance(outputs[0]["pool_3"][rows], outputs[1]["pool_3"]) for rows in np.split(order, 2)]
    assert line["at_half"] == pytest.approx(np.mean(halves), rel=1e-4)
    assert line["extrapolated"] == pytest.approx(2 * line["value"] - line["at_half"], rel=1e-9)
    assert (line["num_generated"], line["num_real"], line["order"]) == (60, 120, "as stored")


@pytest.mark.parametrize(
    "option",
    [
        ("--splits", 2),
        ("--num-images", 50),
        ("--shuffle-seed", 4),
        ("--resize", "tf1", "--image-size", 24),
        ("--reference", "shapes:test"),
        ("--per-class",),
        ("--metrics", "score"),
        ("--kernel-protocol", "blocks"),
        ("--values", "sigmoid"),
        ("--classifier", "mine.npz"),
        ("--training", "real.npz"),
        ("--data-dir", "elsewhere"),
    ],
)
def test_every_option_does_something(option, place):
    """Another result, or a refusal that names what was given: never the same numbers in silence."""
    import keras

    from models_zoo.classifier import small

    keras.utils.set_random_seed(0)
    about = {"test_accuracy": 0.1}
    classifier.save(place / "mine.npz", small(32, 3, 10), name="mine", data=DATA, about=about)
    arrays = dict(np.load("other.npz"))
    arrays["images"] = arrays["images"] / np.float32(127.5) - 1
    if "--values" in option:
        arrays["images"] = (arrays["images"] + 1) / 2
    np.savez("other.npz", **arrays)
    base = ["other.npz", "--classifier", "shapes", "--reference", "real.npz"]
    if "--training" in option:
        assert "authenticity" in values(*base, "--metrics", "memorisation", "score", *option)
        return
    if "--kernel-protocol" in option:
        with pytest.raises(UsageError, match="--kernel-protocol blocks"):
            values(*base, "--metrics", "kernel")
        assert values(*base, "--metrics", "kernel", *option)
        return
    if "--values" in option:
        with pytest.raises(Exception, match="--values"):
            values(*base)
        assert values(*base, *option)
        return
    if "--data-dir" in option:
        with pytest.raises(Exception, match="elsewhere"):
            values("shapes:test", "--classifier", "shapes", *option)
        return
    if "--resize" in option:
        for i in range(20):
            Image.fromarray(DATA.images[i]).save(f"{i}.png")
        base = [".", "--classifier", "shapes", "--reference", "shapes:test", "--image-size", 24]
        assert values(*base) != values(*base, "--resize", "tf1")
        assert scores(*base, "--resize", "tf1")["classifier_score"]["resize"].startswith("tf1")
        return
    assert values(*base) != values(*base, *option)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A run folder with two checkpoints, and its export."""
    import tensorflow as tf

    gan = building.build(SETTINGS)
    run = create(SETTINGS, tmp_path_factory.mktemp("template") / "run")
    run.write_config(SETTINGS, "0", DATA.class_names)
    images = tf.random.stateless_uniform((4, 32, 32, 3), [1, 2], -1, 1)
    for step in (1, 2):
        gan.train_step((images, tf.constant([0, 1, 2, 3])))
        checkpoints.save(run.checkpoints, step, checkpoints.arrays_of(gan.state()), keep=3)
    checkpoints.write(run.best, checkpoints.read(checkpoints.path_of(run.checkpoints, 1)))
    export(gan.ema_generator, run.export, settings=SETTINGS, class_names=DATA.class_names, scores=[])
    return run.path


@pytest.fixture
def run(place, template):
    """A copy of the template that a test may change."""
    return RunFolder(Path(shutil.copytree(template, place / "run")))


def test_a_run_is_scored_by_default_against_its_test_split(run, capsys):
    evaluate.main([str(run.path), "--num-images", "60"])
    evaluate.main([str(run.path), "--num-images", "60", "--metrics", "score"])
    lines = [json.loads(line) for line in (run.path / "evaluation.jsonl").read_text().splitlines()]
    *lines, last = lines  # the second command's is put behind those of the first
    assert last["value"] == lines[0]["value"]
    assert {line["metric"] for line in lines} == {
        "classifier_score", "frechet_classifier_distance", "class_coverage", "smallest_class_fraction",
        "class_histogram_kl", "asked_class_fraction",
    }  # fmt: skip
    assert {(line["weights"], line["step"], line["images_seen"]) for line in lines} == {("ema", 2, 8)}
    assert {line["metric"] for line in lines if line["reference"] == "shapes:test"} == {
        "frechet_classifier_distance", "class_histogram_kl",
    }  # fmt: skip
    printed = capsys.readouterr()
    assert (
        "extrapolated" in printed.out
        and str(run.path / "evaluation.jsonl") in printed.out
        and "step 2, ema weights" in printed.err
    )
    assert "warning: a Frechet distance of 60 images is mostly bias; 2,048" in printed.err
    assert "60 images against 10,000 of shapes:test" in printed.err


@pytest.mark.parametrize(
    "option", [("--weights", "raw"), ("--checkpoint", "best"), ("--latent-seed", 3), ("--shuffle-seed", 3)]
)
def test_options_of_runs(run, option):
    base = [run.path, "--num-images", 40]
    if "--shuffle-seed" in option:  # of the reference, for what depends on its order
        base += ["--metrics", "sliced_wasserstein"]
        plain, other = scores(*base)["sliced_wasserstein"], scores(*base, *option)["sliced_wasserstein"]
        assert plain["value"] != other["value"] and other["reference_shuffle_seed"] == 3
        return
    plain, other = scores(*base), scores(*base, *option)
    assert plain["classifier_score"]["value"] != other["classifier_score"]["value"]
    if option == ("--checkpoint", "best"):
        assert other["classifier_score"]["step"] == 1
    exported = scores(run.export, "--num-images", 40, "--classifier", "shapes", "--reference", "shapes:test")
    assert exported["classifier_score"]["value"] == plain["classifier_score"]["value"]
    assert exported["frechet_classifier_distance"]["value"] == plain["frechet_classifier_distance"]["value"]


def test_memorisation_shows_copies(place):
    copies = DATA.images[:40].copy()
    copies[20:] = shapes.draw(40, seed=9).images[20:]
    np.savez("half.npz", images=copies)
    arguments = ("--classifier", "shapes", "--metrics", "score", "memorisation", "--training", "real.npz")
    line = scores("half.npz", *arguments)["authenticity"]
    assert 0 < line["value"] <= 0.5 and line["parameters"]["training_images"] == 120
    picture = Image.open(place / line["parameters"]["picture"])
    assert picture.size == (9 * 34 + 2, 10 * 34 + 2)
    pixels = np.asarray(picture)
    for row in range(10):  # the most suspicious rows are copies, whose nearest neighbour they are themselves
        top = 2 + 34 * row
        np.testing.assert_array_equal(pixels[top : top + 32, 2:34], pixels[top : top + 32, 36:68])


def test_statistics_as_reference(place):
    from_images = scores("other.npz", "--classifier", "shapes", "--reference", "real.npz", "--save-reference", "s.npz")
    from_file = scores("other.npz", "--classifier", "shapes", "--reference", "s.npz")
    one, other = (found["frechet_classifier_distance"] for found in (from_images, from_file))
    assert other["value"] == pytest.approx(one["value"], rel=1e-6)
    assert (other["reference"], other["num_real"]) == ("s.npz", 120)
    np.savez("wrong.npz", mu=np.zeros(7), sigma=np.eye(7))
    with pytest.raises(Exception, match="have 64 columns, those of wrong.npz 7"):
        scores("other.npz", "--classifier", "shapes", "--reference", "wrong.npz")
    with pytest.raises(Exception, match="features of single images, and s.npz has none"):
        scores("other.npz", "--classifier", "shapes", "--reference", "s.npz", "--metrics", "precision_recall")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("other.npz --num-images 61", "has 60 images, fewer than the 61"),
        ("other.npz --splits 61", "--splits must be from 1 to the number of images, 60. Received: 61"),
        ("other.npz --splits 31", "leave a split with one image"),
        ("other.npz --num-images 1", "2 images or more"),
        ("other.npz --metrics frechet", "give --reference"),
        (
            "other.npz --metrics kernel --reference real.npz",
            "need 1,000 images or more, or --kernel-protocol blocks. Received: 60 of other.npz",
        ),
        (
            "real.npz --num-images 11 --metrics kernel --kernel-protocol blocks --reference other.npz",
            "60 images make 6 blocks, of which each needs 2 of the 11 others",
        ),
        (
            "real.npz --metrics frechet --reference single.npz",
            "2 images or more. Received: 1 of single.npz",
        ),
        ("single.npz --num-images 2 --splits 1", "has 1 images, fewer than the 2"),
        (
            "real.npz --metrics precision_recall --num-images 3 --splits 1 --reference other.npz",
            "4 images or more. Received: 3",
        ),
        ("small.npz --metrics ms_ssim", "ms_ssim needs images of 11 pixels or more. Received: 8"),
        ("small.npz --metrics sliced_wasserstein --reference real.npz", "needs images of 16 pixels"),
        (
            "one.npz --per-class --reference real.npz",
            "2 images or more of each class. Received: hourglass (1) of 120 of one.npz",
        ),
        ("grey.npz --per-class --reference real.npz", "needs images with classes. Received: grey.npz"),
        (
            "other.npz --metrics memorisation --training single.npz",
            "memorisation needs 2 training images or more of the generated size, 32. Received: 1 of 32 pixels",
        ),
        ("other.npz --metrics memorisation --training nowhere", "--training must be a run folder"),
        ("other.npz --metrics memorisation --training text.npz", "text.npz cannot be read as an .npz file"),
        ("other.npz --metrics memorisation --training complex.npz", "must hold an array 'images'"),
        ("other.npz --training real.npz", "--training is for --metrics memorisation"),
        ("other.npz --reference nowhere", "--reference must be a run folder"),
        ("other.npz --reference text.npz", "text.npz cannot be read as an .npz file"),
        ("other.npz --reference complex.npz", "an array must hold real numbers or strings. Received: complex128"),
        ("other.npz --reference negative.npz", "labels must be from 0 to 99999. Received: -1..8"),
        ("other.npz --reference real.npz --save-reference .", "--save-reference must be a file"),
        (
            "other.npz --metrics kernel --kernel-protocol torch-fidelity --shuffle-seed None",
            "need 1,000 images or more",
        ),
        (
            "shapes:test --metrics kernel --kernel-protocol torch-fidelity --reference real.npz",
            "draws from images in their stored order: give --shuffle-seed None. Received: shapes:test shuffled by 0",
        ),
        ("other.npz --metrics memorisation", "give --training"),
        ("other.npz --save-reference x.npz", "--save-reference needs --reference"),
        ("other.npz --per-class --reference grey.npz", "same classes"),
        ("other.npz --per-class --reference one.npz", "2 images or more of each class"),
        ("other.npz --resize nearest", "nearest"),
        ("other.npz --weights raw", "--weights would do nothing for other.npz"),
        ("other.npz --checkpoint best --latent-seed 3", "--checkpoint, --latent-seed would do nothing"),
        ("other.npz --shuffle-seed -1", "--shuffle-seed must be from 0"),
        ("shapes:tset", "shapes:tset cannot be opened: split must be one of"),
        ("other.npz --output .", "--output must be a file"),
        ("nowhere", "SOURCE must be"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_words_before_a_pass(
    place, capsys, monkeypatch, few_shapes, arguments, message
):
    monkeypatch.setattr("tfgan_suite.scores.scoring.gather", None)
    monkeypatch.setitem(KERNEL_PROTOCOLS, "blocks", KERNEL_PROTOCOLS["blocks"]._replace(size=10))
    if "blocks" not in arguments:  # where only a reference that was gathered says how many images it has
        monkeypatch.setattr("tfgan_suite.scores.references.gather", None)
    np.savez("grey.npz", images=DATA.images[..., 0])
    np.savez("single.npz", images=DATA.images[:1])
    np.savez("small.npz", images=DATA.images[:, :8, :8])
    np.savez("negative.npz", images=DATA.images, labels=DATA.labels - 1)
    np.savez("complex.npz", mu=np.zeros(64), sigma=np.eye(64) * (1 + 1j))
    Path("text.npz").write_text("hello")
    labels = np.where(np.arange(120) == 0, 9, DATA.labels % 9)
    np.savez("one.npz", images=DATA.images, labels=labels, class_names=np.array(DATA.class_names))
    assert cli.run(evaluate.main, [*arguments.split(), "--classifier", "shapes"]) in (1, 2)
    printed = capsys.readouterr().err.strip().splitlines()
    assert message in " ".join(printed) and sum(line.startswith("error") for line in printed) == 1
    assert not (place / "evaluation.jsonl").exists()


def test_halves_of_images_in_the_order_of_their_classes_are_like_those_of_others(place):
    """Real beside real images: half of them, in the order of a file, would be of other classes than the reference."""
    data = shapes.draw(400, seed=5)
    order = np.argsort(data.labels, kind="stable")
    np.savez("sorted.npz", images=data.images[order], labels=data.labels[order], class_names=np.array(data.class_names))
    base = ("sorted.npz", "--classifier", "shapes", "--reference", "shapes:selection", "--metrics", "frechet")
    as_stored = scores(*base, "--shuffle-seed", "None")["frechet_classifier_distance"]
    shuffled = scores(*base)["frechet_classifier_distance"]
    assert as_stored["order"] == "as stored" and as_stored["half_seed"] == 0
    assert as_stored["value"] == pytest.approx(shuffled["value"], rel=1e-6)
    assert as_stored["at_half"] == pytest.approx(shuffled["at_half"], abs=4 * shuffled["at_half_error"])
    assert abs(as_stored["extrapolated"]) < 3 * as_stored["extrapolated_error"]


def test_the_kernel_distance_by_the_rule_of_torch_fidelity(place, monkeypatch):
    monkeypatch.setitem(KERNEL_PROTOCOLS, "torch-fidelity", KERNEL_PROTOCOLS["torch-fidelity"]._replace(size=20))
    base = ("other.npz", "--classifier", "shapes", "--reference", "real.npz", "--metrics", "kernel",
            "--shuffle-seed", "None", "--kernel-protocol", "torch-fidelity")  # fmt: skip
    line = scores(*base)["kernel_classifier_distance"]
    network = scoring_network.load("shapes")
    few = np.load("other.npz")["images"]
    features = [np.asarray(network(images)["pool_3"], np.float64) for images in (few, DATA.images)]
    draws, values = np.random.RandomState(2020), []
    for _ in range(100):
        x, y = (rows[draws.choice(len(rows), 20, replace=False)] for rows in features)
        products = [(a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
        own = [(each.sum() - np.trace(each)) / (20 * 19) for each in products[:2]]
        values.append(sum(own) - 2 * products[2].mean())
    assert (line["value"], line["spread"]) == pytest.approx((np.mean(values), np.std(values)), rel=1e-3)
    assert line["parameters"] == {"protocol": "torch-fidelity", "subset_size": 20, "seed": 2020}


def test_few_images_to_a_split_and_values_below_zero_are_said(place, capsys):
    base = ("real.npz", "--classifier", "shapes", "--metrics", "score")
    scores(*base)
    assert "warning: 120 images in 10 splits are 12 to a split" in capsys.readouterr().err
    scores(*base, "--splits", 1)
    assert "to a split" not in capsys.readouterr().err
    line = {"metric": "fid", "value": 1.0, "spread": None, "error": 0.2, "at_half": 2.1, "at_half_error": 0.3}
    for value, said in ((-0.1, "no more than twice its error: as good as 0"), (-3, "too few images"), (0.1, "")):
        evaluate.show([line | {"extrapolated": value, "extrapolated_error": 0.4}])
        printed = capsys.readouterr().out
        assert said in printed and ("below 0" in printed) == (value < 0)
        assert "1.0000, error 0.2000   at N/2 2.1000, error 0.3000, extrapolated" in printed


def test_inception_gives_its_names_and_tfgan_gives_its_values(tiny_inception, place):
    found = scores("other.npz", "--reference", "real.npz", "--inception", tiny_inception, "--splits", 1,
                   "--metrics", "score", "frechet", "kernel", "--kernel-protocol", "blocks")  # fmt: skip
    assert set(found) == {"inception_score", "fid", "kid", "tfgan_inception_score", "tfgan_fid", "tfgan_kid"}
    for exact, other in (("inception_score", "tfgan_inception_score"), ("kid", "tfgan_kid")):
        assert found[other]["value"] == pytest.approx(found[exact]["value"], rel=1e-3, abs=1e-5)
    assert found["fid"]["classifier"] == "tfgan-inception" and found["fid"]["resize"] == "tf1 bilinear to 299"
    assert found["fid"]["values"] == "(x - 128) / 128"
    assert found["fid"]["classifier_fingerprint"] == inception.load(tiny_inception).fingerprint
    assert found["tfgan_fid"]["value"] == pytest.approx(found["fid"]["value"], rel=0.02)
    alone = scores("other.npz", "--reference", "real.npz", "--inception", tiny_inception, "--no-tfgan")
    assert {"inception_score", "fid"} <= set(alone) and not {"tfgan_inception_score", "tfgan_fid"} & set(alone)
    clean = scores("other.npz", "--reference", "real.npz", "--inception", tiny_inception, "--resize", "clean")
    assert clean["fid"]["value"] != found["fid"]["value"] and clean["fid"]["resize"].startswith("clean")


@pytest.mark.parametrize("given", ["folder", "archive"])
def test_a_network_with_the_operations_of_the_inception_of_2015_gives_a_score(place, tiny_models, given):
    folder = tiny_models.save(place / "inception", tiny_models.InceptionOf2015())
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    nodes = [node for f in model.meta_graphs[0].graph_def.library.function for node in f.node_def]
    assert {"CheckNumerics", "Concat", "ResizeBilinear", "AvgPool", "Softmax"} <= {node.op for node in nodes}
    assert sum(name.startswith("^") and "CheckNumerics" in name for node in nodes for name in node.input) >= 4
    path = folder if given == "folder" else tiny_models.pack(folder, place / "inception.tar.gz")
    found = scores("other.npz", "--reference", "real.npz", "--inception", path, "--splits", 1, "--no-tfgan",
                   "--metrics", "score", "frechet")  # fmt: skip
    assert found["inception_score"]["value"] > 1 and found["fid"]["value"] > 0
    network = scoring_network.load("inception", inception=folder)
    outputs = network(shapes.draw(60, seed=2).images)
    assert outputs["pool_3"].shape == (60, 2048)
    score, _ = classifier_score(outputs["logits"])
    assert found["inception_score"]["value"] == pytest.approx(score, rel=1e-4)


def test_classes_in_another_order_are_found_by_name(place):
    """The reference names the same classes alphabetically, as a folder would."""
    order = np.argsort(DATA.class_names)
    where = np.argsort(order)
    np.savez("sorted.npz", images=DATA.images, labels=where[DATA.labels], class_names=np.array(DATA.class_names)[order])
    more = shapes.draw(200, seed=3)
    np.savez("more.npz", images=more.images, labels=more.labels, class_names=np.array(more.class_names))
    base = ("more.npz", "--classifier", "shapes", "--per-class", "--reference")
    one, other = scores(*base, "real.npz"), scores(*base, "sorted.npz")
    line = one["frechet_classifier_distance_per_class"]
    assert line["value"] == pytest.approx(other["frechet_classifier_distance_per_class"]["value"], rel=1e-9)
    assert line["at_half"] > line["value"] and line["parameters"]["counts"]["circle"] == [20, 12]
    np.savez("other.npz", images=DATA.images, labels=where[DATA.labels], class_names=np.array(DATA.class_names)[order])
    assert values("other.npz", "--classifier", "shapes")["asked_class_fraction"] == 1.0


def test_pictures_of_npz_files_are_resized_if_asked(place):
    large = shapes.draw(60, seed=2, image_size=48)
    np.savez("large.npz", images=large.images)
    found = []
    for size in (48, 32):
        options = ("--classifier", "shapes", "--reference", "real.npz", "--image-size", size)
        line = scores("large.npz", *options)["frechet_classifier_distance"]
        assert line["image_size"] == size
        found.append(line["value"])
    assert found[0] != pytest.approx(found[1], rel=1e-6)


def test_a_generator_of_bright_images_is_scored_all_the_same(run):
    """A collapse to white is what a score is to show, not a wrong range of pixels."""
    arrays = checkpoints.read(checkpoints.path_of(run.checkpoints, 2))
    last = [name for name in arrays if name.startswith("ema_generator/") and name.endswith("bias")][-1]
    arrays[last] = np.full_like(arrays[last], 9)
    checkpoints.write(checkpoints.path_of(run.checkpoints, 2), arrays)
    assert values(run.path, "--num-images", 40)["classifier_score"] < 2
    with pytest.raises(UsageError, match="--values would do nothing"):
        scores(run.path, "--values", "sigmoid")


def test_a_classifier_that_a_run_names_is_loaded_unasked_only_if_it_is_data(run, place, monkeypatch):
    """A .keras file and a SavedModel are programs: that of a run from somebody else is not run by scoring it."""
    asked = []
    load = scoring_network.load
    monkeypatch.setattr(scoring_network, "load", lambda name, **options: asked.append(name) or load("shapes"))
    named = {"evil.keras": False, "evil_folder": False, "small.npz": True, "shapes": True}
    for entry, taken in named.items():
        run.update_config(dataclasses.replace(SETTINGS, classifier=entry))
        if taken:
            assert scores(run.path, "--num-images", 20, "--metrics", "score")
            assert asked.pop() == entry
        else:
            with pytest.raises(UsageError, match="is not loaded unasked, as it is a program"):
                scores(run.path, "--num-images", 20)
            assert not asked
            assert scores(run.path, "--num-images", 20, "--metrics", "score", "--classifier", entry)
            assert asked.pop() == entry
    run.metrics.write_text('{"step": 1, "metric": "fid", "value": 1, "classifier_fingerprint": "0123456789abcdef"}\n')
    run.update_config(dataclasses.replace(SETTINGS, classifier="small.npz"))
    with pytest.raises(UsageError, match="is not that of the classifier of .*run, 0123456789ab"):
        scores(run.path, "--num-images", 20, "--metrics", "score")
    assert scores(run.path, "--num-images", 20, "--metrics", "score", "--classifier", "small.npz")


def test_a_damaged_newest_checkpoint_is_named(run, capsys):
    path = checkpoints.path_of(run.checkpoints, 2)
    path.write_bytes(path.read_bytes()[:500])
    assert scores(run.path, "--num-images", 40)["classifier_score"]["step"] == 1
    printed = capsys.readouterr().err
    assert "is damaged" in printed and "step 1, ema weights" in printed


def test_metrics_are_those_of_the_table():
    names = evaluate.MetricName.__args__
    assert set(names) == set(METRICS)
    assert all(metric.about for metric in METRICS.values())
    with pytest.raises(UsageError, match="2 images or more"):
        Request(1)
