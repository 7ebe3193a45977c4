"""What the collector collected, a GAN trains on."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.data_tools.flickr.fake_flickr import Photo

STEPS = 200


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_gan_trains_on_the_photographs_that_were_collected(flickr, collect, distinct_photographs, tmp_path):
    names = ("gecko", "turtle")
    photos = [Photo(1_000 + i, [names[i % 2]], body) for i, body in enumerate(distinct_photographs(120))]
    server = flickr(photos)
    assert collect(server, "search", "--tags", *names, "--per-query", 1_000) == 0
    assert collect(server, "download") == 0
    assert collect(server, "prepare", "--size", 108) == 0
    run = tmp_path / "run"
    form = ["--dataset", "reptiles", "--data-dir", tmp_path / "collection", "--image-size", 108, "--preset", "dcgan"]
    small = ["--width", 0.125, "--batch-size", 8, "--steps", STEPS, "--sample-every", 100, "--run-dir", run]
    command = [sys.executable, "-m", "tfgan_suite.fit", *map(str, [*form, *small])]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads((run / "config.json").read_text())["class_names"] == list(names)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == STEPS and all(np.isfinite(line["d_loss"]) for line in log)
    with Image.open(run / "samples" / f"step-{STEPS:06d}.png") as grid:
        assert grid.mode == "RGB" and grid.size == (8 * 110 + 2, 8 * 110 + 2)
        cells = np.asarray(grid)
    first, last = cells[2:110, 2:110], cells[772:880, 772:880]
    assert not np.array_equal(first, last) and first.std() > 5
    assert (run / "export" / "saved_model.pb").is_file()
