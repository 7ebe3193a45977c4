"""Curves of a run, one picture for each group of quantities."""

import pytest
from PIL import Image

from tfgan_suite.reports import curves

LOG = [
    {"step": step, **dict.fromkeys(("d_loss", "g_loss", "d_gradient_norm", "g_gradient_norm", "d_real", "d_fake"), 1.0)}
    for step in (10, 20)
]


def test_the_log_is_drawn_in_groups(tmp_path):
    paths = curves.draw(LOG, tmp_path)
    assert [path.name for path in paths] == ["losses.png", "gradient_norms.png", "discriminator.png"]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size == (800, 450)


@pytest.mark.parametrize(("steps", "drawn"), [((1, 2), ["metric-score.png"]), ((2, 2), []), ((2,), [])])
def test_a_metric_is_drawn_if_it_was_measured_at_two_steps(tmp_path, steps, drawn):
    lines = [{"step": step, "metric": "score", "reference": None, "value": 1.0} for step in steps]
    assert [path.name for path in curves.draw_metrics(lines, tmp_path)] == drawn


def test_lines_without_a_quantity_are_left_out(tmp_path):
    assert len(curves.draw([*LOG, {"step": 30, "seconds": 1.0}], tmp_path)) == 3
