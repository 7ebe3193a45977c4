"""`compare` as a user calls it."""

import csv
import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from data_tools import command as cli
from models_zoo.gan import GAN
from tfgan_suite import compare
from tfgan_suite.reports import comparison, comparison_curves
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.training import building


def test_the_files_it_writes(tmp_path, made_runs, capsys):
    place = made_runs.write_several(tmp_path / "runs")
    (made_runs.write_run(place / "broken") / "config.json").write_text("[]")
    out = tmp_path / "out"
    assert cli.run(compare.main, [str(place), "--output", str(out)]) == 0
    printed, said = capsys.readouterr()
    written = [str(out / name) for name in ("table.md", "table.csv", "report.html")]
    assert printed.splitlines() == ["6 runs of 3 configurations", *written]
    assert len(said.splitlines()) == 2 and "broken" in said and "unfinished: step 90 of 200" in said
    assert {path.name for path in out.iterdir()} == {"curves", "protocols.json", "report.html", "table.csv", "table.md"}
    assert len(list(csv.reader((out / "table.csv").open(encoding="utf-8")))) == 17
    assert len(json.loads((out / "protocols.json").read_text())) == 4
    assert {path.stem for path in (out / "curves").iterdir()} == {
        "losses", "penalties", "discriminator", "discriminator_scores", "gradient_norms",
        "metric-classifier_score-protocol-1", "metric-frechet_classifier_distance-protocol-1",
    }  # fmt: skip
    for path in (out / "curves").iterdir():
        with Image.open(path) as picture:
            assert picture.width == 1500


def test_curves_of_an_earlier_comparison_are_replaced(tmp_path, made_runs):
    log = [{"step": 200, "d_loss": 1.0}]
    run, out = made_runs.write_run(tmp_path / "run", log=log), tmp_path / "out"
    (out / "curves").mkdir(parents=True)
    (out / "curves" / "mine.png").write_bytes(b"")
    compare.main([str(run), "--output", str(out)])
    assert (out / "curves" / "mine.png").exists() and (out / "curves" / "losses.png").exists()
    made_runs.write_lines(run / "log.jsonl", [{"step": 200, "mystery": 1.0}])
    compare.main([str(run), "--output", str(out)])
    assert {path.name for path in (out / "curves").iterdir()} == {"other.png"}


def test_runs_are_drawn_against_steps_images_and_wall_time(tmp_path, made_runs, monkeypatch):
    figures = {}
    monkeypatch.setattr(comparison_curves.curves, "save", lambda figure, path: figures.setdefault(path.stem, figure))
    place = made_runs.write_several(tmp_path / "runs")
    comparison_curves.draw_comparison(comparison.compare(sorted(place.iterdir())), tmp_path)
    by_step, by_images, by_minutes = figures["losses"].axes[:3]
    assert [axes.get_xlabel() for axes in (by_step, by_images, by_minutes)] == ["step", "images seen", "minutes"]
    assert len({line.get_color() for line in by_step.get_lines()}) == len(by_step.get_lines()) == 3
    for line, images, minutes in zip(*(axes.get_lines() for axes in (by_step, by_images, by_minutes)), strict=True):
        steps, losses = line.get_xdata(), line.get_ydata()
        np.testing.assert_array_equal(images.get_xdata(), 64 * steps)
        np.testing.assert_allclose(minutes.get_xdata(), steps * 0.1 / 60)
        np.testing.assert_array_equal(images.get_ydata(), losses)
        np.testing.assert_array_equal(minutes.get_ydata(), losses)
    first = by_step.get_lines()[0]  # three seeds of 20 lines each, with gaps
    assert list(np.flatnonzero(np.isnan(first.get_xdata()))) == [20, 41, 62]
    np.testing.assert_allclose(first.get_ydata()[:20], [1 + 1 / step for step in range(10, 201, 10)])
    (marks,) = figures["gradient_norms"].axes[0].collections
    assert marks.get_offsets().tolist() == [[100, 50]] * 5 and len(set(map(tuple, marks.get_facecolors()))) == 2
    assert len(figures["discriminator_scores"].axes[0].get_lines()) == 1  # WGAN-GP's alone


def test_hostile_names_are_drawn_as_text(tmp_path, made_runs):
    evil = "$\\frac{1$ _x ../../y"
    metrics = [made_runs.score(evil, 1.0, step) for step in (100, 200)]
    settings = {"variant": evil, "dataset": evil, "steps": 200, "batch_size": 64}
    log = [{"step": step, evil: 1.0} for step in (100, 200)]
    made_runs.write_run(tmp_path / "runs" / "a", settings=settings, metrics=metrics, log=log)
    out = tmp_path / "out"
    assert cli.run(compare.main, [str(tmp_path / "runs"), "--output", str(out)]) == 0
    assert "metric-frac-1-_x-y-protocol-1.png" in {path.name for path in (out / "curves").iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "out"}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere", "--output", "out"], 2, "nowhere must be a run folder"),
        ([".", "--output", "out"], 2, "holds no run"),
        (["nowhere"], 2, "--output"),
        (["broken", "--output", "out"], 1, "none of the runs can be read"),
        (["good", "--output", "file"], 1, "cannot be written"),
    ],
)
def test_refusals_write_nothing(tmp_path, made_runs, monkeypatch, capsys, arguments, status, message):
    place = tmp_path / "place"
    if arguments[0] != ".":
        made_runs.write_run(place / "good")
        (made_runs.write_run(place / "broken") / "config.json").write_text("{}")
    place.mkdir(exist_ok=True)
    (place / "file").write_text("")
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    assert cli.run(compare.main, arguments) == status
    out, err = capsys.readouterr()
    assert out == "" and message in err and len(err.splitlines()) <= 2
    assert sorted(place.rglob("*")) == before


def test_no_tensorflow_is_imported(tmp_path, made_runs):
    log = [{"step": 200, "d_loss": 1.0}]
    place = made_runs.write_run(tmp_path / "run", log=log, metrics=made_runs.scores(200, 5, 40, 30))
    code = (
        "import sys\nfrom tfgan_suite import compare\n"
        f"compare.main([{str(place)!r}, '--output', {str(tmp_path / 'out')!r}])\n"
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_hundred_runs_take_less_than_ten_seconds_and_300_kb(tmp_path, made_runs):
    metrics = [line for step in range(0, 2001, 100) for line in made_runs.scores(step, 5, 40, 30)]
    log = made_runs.log_lines(2000, every=20, gradient_penalty=lambda step: step / 7)
    for i in range(100):
        made_runs.write_run(tmp_path / "runs" / f"{i:03d}", seed=i % 3, steps=2000, metrics=metrics, log=log,
                            generator_learning_rate=1e-4 * (1 + i // 3))  # fmt: skip
    began = time.process_time()  # of this process alone: other tests keep the cores busy
    compare.main([str(tmp_path / "runs"), "--output", str(tmp_path / "out")])
    assert time.process_time() - began < 10
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    data, pictures = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html)
    assert len(json.loads(pictures)) == 100
    assert 200_000 < len(html) - len(pictures) < 300_000
    runs = json.loads(data)["runs"]
    assert len(runs) == 100
    for run in runs:  # thinned, but from the first to the last step, and with every spike
        assert 10 <= len(run["steps"]) < 100 and (run["steps"][0], run["steps"][-1]) == (20, 2000)
        assert run["spikes"] == {"d_gradient_norm": [run["steps"].index(200)]}


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_parameters_are_those_that_are_trained(tmp_path, optimizer):
    settings = Config(variant="acgan", width=0.05, latent_dim=4, num_classes=3, optimizer=optimizer)
    gan: GAN = building.build(settings)
    path = tmp_path / "step-00000001.npz"
    checkpoints.write(path, checkpoints.arrays_of(gan.state()))
    counted = {
        network: sum(variable.numpy().size for variable in getattr(gan, network).trainable_variables)
        for network in ("generator", "discriminator")
    }
    assert checkpoints.num_parameters(path) == counted and min(counted.values()) > 100
