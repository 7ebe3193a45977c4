"""Curves of a run: one picture for each group of quantities, each saying what it shows."""

import pytest
from PIL import Image

from tfgan_suite.reports import curves


@pytest.fixture
def figures(monkeypatch):
    """The figures that would be saved, by the name of their file."""
    kept = {}

    def keep(figure, path):
        kept[path.stem] = figure
        return path

    monkeypatch.setattr(curves, "save", keep)
    return kept


def lines_of(figure):
    """Label -> line."""
    (axes,) = figure.axes
    return {line.get_label(): line for line in axes.get_lines()}


def test_the_log_is_drawn_in_groups(tmp_path, made_runs):
    log = made_runs.log_lines(200, gradient_penalty=lambda step: 0.1, mystery=lambda step: step)
    paths = curves.draw(log, tmp_path, "non_saturating")
    assert [path.stem for path in paths] == ["losses", "penalties", "discriminator", "gradient_norms", "other"]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size == (800, 450)


def test_each_quantity_is_a_line_over_the_steps(tmp_path, made_runs, figures):
    log = made_runs.log_lines(200, gradient_penalty=lambda step: 0.1, mystery=lambda step: step)
    curves.draw(log, tmp_path, "non_saturating")
    drawn = lines_of(figures["penalties"])["gradient_penalty"]
    assert list(drawn.get_xdata()) == list(range(10, 201, 10)) and set(drawn.get_ydata()) == {0.1}
    assert set(lines_of(figures["other"])) == {"mystery"}


@pytest.mark.parametrize(
    ("loss", "key", "unit"),
    [
        ("hinge", "discriminator", "mean sigmoid of the logits"),
        ("wasserstein", "discriminator_scores", "mean score, unbounded"),
        ("least_squares", "discriminator_scores", "mean score, unbounded"),
        ("equilibrium", "discriminator_energies", "mean reconstruction error"),
    ],
)
def test_only_a_sigmoid_is_called_one(tmp_path, made_runs, figures, loss, key, unit):
    curves.draw(made_runs.log_lines(50), tmp_path, loss)
    assert [name for name in figures if name.startswith("discriminator")] == [key]
    (axes,) = figures[key].axes
    assert axes.get_ylabel() == unit


def test_images_seen_stand_over_the_steps(tmp_path, made_runs, figures):
    curves.draw(made_runs.log_lines(200), tmp_path, "hinge")
    (axes,) = figures["losses"].axes
    (top,) = axes.child_axes
    assert (axes.get_xlabel(), top.get_xlabel()) == ("step", "images seen")
    figures["losses"].draw_without_rendering()  # which places it
    assert top.get_xlim() == pytest.approx([64 * x for x in axes.get_xlim()])


def test_spikes_are_marked_in_gradient_norms_alone(tmp_path, made_runs, figures):
    curves.draw(made_runs.log_lines(200, d_loss=lambda step: 50.0 if step == 100 else 2.0), tmp_path, "hinge")
    marks = lines_of(figures["gradient_norms"])["spikes of d_gradient_norm: 1"]
    assert (list(marks.get_xdata()), list(marks.get_ydata()), marks.get_marker()) == ([100], [50.0], "v")
    assert set(lines_of(figures["losses"])) == {"d_loss", "g_loss"}


def test_test_images_are_dashed_beside_training_images(tmp_path, made_runs, figures):
    rising = {f"{name}_test": lambda step: step for name in ("d_loss", "d_class_real")}
    log = made_runs.log_lines(100, d_class_real=lambda step: 0.25, g_class=lambda step: 0.5, **rising)
    curves.draw(log, tmp_path, "hinge")
    for key, name in (("losses", "d_loss"), ("d_class_losses", "d_class_real")):
        ours, theirs = lines_of(figures[key])[name], lines_of(figures[key])[f"{name}_test"]
        assert ours.get_color() == theirs.get_color()
        assert (ours.get_linestyle(), theirs.get_linestyle()) == ("-", "--")
    source = lines_of(figures["source_losses"])["d_source"]
    assert list(source.get_ydata()) == pytest.approx([line["d_loss"] - 0.25 for line in log])
    assert set(lines_of(figures["g_class_losses"])) == {"g_class"}


def test_of_many_sigmas_the_largest_are_drawn(tmp_path, made_runs, figures):
    sigmas = {f"sigma_{i}": lambda step, i=i: float(i) for i in range(12)}
    curves.draw(made_runs.log_lines(50, **sigmas), tmp_path, "hinge")
    assert set(lines_of(figures["sigma"])) == {f"sigma_{i}" for i in range(4, 12)}
    assert "8 of 12" in figures["sigma"].get_suptitle()


def test_three_orders_of_magnitude_go_on_a_logarithmic_axis(tmp_path, made_runs, figures):
    curves.draw(made_runs.log_lines(50, d_loss=lambda step: 10.0 ** (step / 10), g_loss=lambda step: 1.0), tmp_path, "")
    assert [figures[key].axes[0].get_yscale() for key in ("losses", "gradient_norms")] == ["log", "linear"]


def test_a_quantity_that_only_later_lines_have_is_drawn_from_there(tmp_path, made_runs, figures):
    log = made_runs.log_lines(50)
    log[-1]["sigma_g"] = 3.0
    curves.draw(log, tmp_path, "hinge")
    assert list(lines_of(figures["sigma"])["sigma_g"].get_xdata()) == [50]


def test_of_no_log_nothing_is_drawn(tmp_path):
    assert curves.draw([], tmp_path, "hinge") == []


@pytest.mark.parametrize(("steps", "drawn"), [((1, 2), ["metric-score.png"]), ((2, 2), []), ((2,), [])])
def test_a_metric_is_drawn_if_it_was_measured_at_two_steps(tmp_path, steps, drawn):
    lines = [{"step": step, "metric": "score", "reference": None, "value": 1.0} for step in steps]
    assert [path.name for path in curves.draw_metrics(lines, tmp_path)] == drawn


def test_a_metric_says_what_is_good_and_stays_in_its_folder(tmp_path, figures):
    lines = [{"step": step, "metric": "fid", "reference": "shapes:test", "value": 1.0} for step in (1, 2)]
    paths = curves.draw_metrics([*lines, *({**line, "metric": "../$x"} for line in lines)], tmp_path)
    assert paths == [tmp_path / "metric-fid.png", tmp_path / "metric-x.png"]
    assert "lower is better" in figures["metric-fid"].get_suptitle()
    assert set(lines_of(figures["metric-fid"])) == {"shapes:test"}


def test_lines_without_a_quantity_are_left_out(tmp_path):
    log = [{"step": step, "d_loss": 1.0, "g_loss": 2.0} for step in (10, 20)]
    whole = curves.draw(log, tmp_path, "hinge")
    assert curves.draw([*log, {"step": 30, "seconds": 1.0}], tmp_path, "hinge") == whole and whole
