"""The six "add" rows of CONTRIBUTING's table, done in a copy of the packages as it says, and used by commands."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("data_tools", "models_zoo", "tfgan_suite")
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SMALL = ["--width", "0.05", "--latent-dim", "8", "--batch-size", "4", "--steps", "1", "--classifier", "none"]

STRIPES = '''"""`stripes`: twenty images, black and white by turns."""

import numpy as np

from data_tools import splits
from data_tools.images import LabelledImages


def load(split, *, image_size, channels=3, data_dir=None):
    splits.require("stripes", split, ("train", "test"))
    labels = np.arange(20, dtype=np.int32) % 2
    images = np.broadcast_to(255 * labels[:, None, None, None], (20, image_size, image_size, channels))
    return LabelledImages(images.astype(np.uint8), labels, ("black", "white"))
'''
METRIC = """def _brightness(scored: Scored) -> list[Result]:
    return [{"metric": "brightness", "value": float(scored.generated.kept("images").mean())}]


"""
RESIZE = '''def negative(images: tf.Tensor, side: int) -> tf.Tensor:
    """Bilinear, and black for white."""
    return 255 - bilinear(images, side)


'''
PRESET = """    "tiny": Preset(
        Config(variant="dcgan", dataset="stripes", image_size=16, width=0.05, latent_dim=4, batch_size=4, steps=2),
        paper="none",
        about="two steps",
        seconds_per_step=0.1,
    ),
"""
# task -> {file: what it is, if it is new, or (text before which, what is put there)}
ADDITIONS = {
    "loss": {
        "models_zoo/losses.py": [
            (r'(?m)^    "non_saturating": ', '    "halved": AdversarialLoss(hinge_discriminator, minimax_generator),\n')
        ]
    },
    "variant": {
        "models_zoo/smoothed.py": re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0],
        "models_zoo/__init__.py": [(r'(?m)^    "dcgan": ', '    "smoothed": "models_zoo.smoothed:SmoothedGAN",\n')],
    },
    "dataset": {
        "data_tools/stripes.py": STRIPES,
        "data_tools/__init__.py": [(r'(?m)^    "shapes": ', '    "stripes": "data_tools.stripes",\n')],
    },
    "metric": {
        "tfgan_suite/scores/metrics.py": [
            (r"(?m)^METRICS = ", METRIC),
            (
                r'(?m)^    "score": ',
                '    "brightness": Metric(_brightness, "mean of all pixels", (), Needs(pictures=True), False),\n',
            ),
        ]
    },
    "resize rule": {
        "tfgan_suite/networks/input_rules.py": [
            (r"(?m)^# name -> \(rule", RESIZE),
            (r'(?m)^    "tf1": ', '    "negative": (negative, "negative bilinear"),\n'),
        ]
    },
    "preset": {"tfgan_suite/runs/presets.py": [(r'(?m)^    "quickstart": ', PRESET)]},
}
SCRIPT = """
import contextlib, io, json, sys
from data_tools import inspect
from tfgan_suite import evaluate, fit

small, said = json.loads(sys.argv[1]), {}

def call(task, main, *arguments):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            main([*arguments])
    except Exception as error:
        said.setdefault(task, []).append(f"{arguments}: {type(error).__name__}: {error}")
    return printed.getvalue()

call("preset", fit.main, "--preset", "tiny", "--run-dir", "tiny", "--num-images", "20")
if "tiny\\n" not in call("preset", fit.main, "--list-presets"):
    said["preset"] = ["it is not listed"]
for variant in ("dcgan", "sngan", "wgan_gp", "cgan"):
    call("loss", fit.main, "--variant", variant, "--loss", "halved", "--dry-run", *small)
call("loss", fit.main, "--loss", "halved", "--run-dir", "loss", "--dataset", "stripes", *small)
call("variant", fit.main, "--variant", "smoothed", "--run-dir", "own", "--options", "real_target=0.8",
     "--dataset", "stripes", *small)
call("dataset", inspect.main, "stripes", "--output", "report")
call("metric", evaluate.main, "stripes:test", "--classifier", "shapes", "--metrics", "brightness", "--output", "m.json")
call("resize rule", evaluate.main, "stripes:test", "--classifier", "shapes", "--resize", "negative",
     "--output", "r.json", "--image-size", "40", "--metrics", "classes", "--splits", "2")
print(json.dumps(said))
"""


def tree_with_all_additions(root):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for files in ADDITIONS.values():
        for name, content in files.items():
            path = root / name
            if isinstance(content, str):
                assert not path.exists()
                path.write_text(content, encoding="utf-8")
                continue
            text = path.read_text(encoding="utf-8")
            for before, added in content:
                assert len(re.findall(before, text)) == 1, f"{name}: {before}"
                text = re.sub(before, lambda found, added=added: added + found.group(), text)
            path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder in which the commands ran, and what each task raised."""
    place = tmp_path_factory.mktemp("additions")
    tree_with_all_additions(place / "tree")
    environment = {**os.environ, "TFGAN_SUITE_CACHE": str(place / "cache")}
    environment["PYTHONPATH"] = os.pathsep.join([str(place / "tree"), environment["PYTHONPATH"]])
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(SMALL)],
        cwd=place, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return place, json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("task", ADDITIONS)
def test_what_is_added_in_one_or_two_files_is_used_by_the_commands(done, task):
    place, said = done
    assert said.get(task) is None
    assert len(ADDITIONS[task]) <= 2
    assert re.search(rf"(?m)^\| add an? {task} \|", TEXT), "it has no row in CONTRIBUTING's table"
    if task == "preset":
        assert json.loads((place / "tiny" / "config.json").read_text())["config"]["dataset"] == "stripes"
    if task == "loss":
        assert json.loads((place / "loss" / "config.json").read_text())["config"]["loss"] == "halved"
    if task == "variant":
        record = json.loads((place / "own" / "config.json").read_text())["config"]
        assert record["variant"] == "smoothed" and record["options"]["real_target"] == 0.8
    if task == "dataset":
        assert json.loads((place / "report" / "report.json").read_text())["splits"]["train"]["images"] == 20
    if task == "metric":
        (line,) = json.loads((place / "m.json").read_text())
        assert (line["metric"], line["value"], line["reference"]) == ("brightness", 127.5, None)
    if task == "resize rule":
        assert json.loads((place / "r.json").read_text())[0]["resize"] == "negative bilinear to 32"
