"""What the README promises of the command without arguments: minutes and scores, over three seeds."""

import json
import time

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quickstart_covers_all_classes_in_two_minutes(command, tmp_path, seed):
    began = time.monotonic()
    result = command("tfgan_suite.fit", "--seed", seed, timeout=600)
    seconds = time.monotonic() - began
    assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "results" / "runs").iterdir()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    scores = {line["metric"]: line["value"] for line in lines}
    print(seed, seconds, scores)
    assert scores["classifier_score"] >= 7
    assert scores["smallest_class_fraction"] > 0.02
    assert seconds < 240  # under 120 on two idle cores; other tests may be running beside it
