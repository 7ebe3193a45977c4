"""The page as text: one file, small, with nothing in it that a run could make do anything."""

import base64
import hashlib
import json
import re

import pytest

from tfgan_suite.reports import comparison, page

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)> ${x} `y` <!-- \u2028 @@policy@@ &amp;"


def data_of(html, name="data"):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.DOTALL)[1])


@pytest.fixture
def several(tmp_path, made_runs):
    place = made_runs.write_several(tmp_path / "runs")
    return comparison.compare(sorted(place.iterdir()))


def test_the_page_holds_the_comparison(several):
    html = page.page(several)
    data = data_of(html)
    assert [run["seed"] for run in data["runs"]] == ["0", "1", "2", "3", "0", "1"]
    dcgan = data["runs"][0]
    assert dcgan["steps"] == list(range(10, 201, 10)) and dcgan["minutes"][-1] == pytest.approx(1 / 3, rel=1e-3)
    assert dcgan["log"]["losses"]["d_loss"][0] == 1.1 and "d_real" in dcgan["log"]["discriminator"]
    assert "d_real" in data["runs"][4]["log"]["discriminator_scores"]
    assert dcgan["spikes"] == {"d_gradient_norm": [9]}
    assert dcgan["scores"][0] == [0, [100, 200], pytest.approx([1 / 6, 1 / 3], rel=1e-3), [5, 6]]
    row, ((last, best), _) = data["sections"][0]["rows"][0]
    assert (row, last, best[0]) == (0, [6.5, 0.707107, [6, 7], ["0", "1"], [200]], 5.5)
    protocol = dict(data["sections"][0]["columns"][1]["protocol"])
    assert protocol["reference"] == "shapes:test" and protocol["num_generated"] == "500"
    assert [one["key"] for one in data["groups"]][:2] == ["losses", "penalties"]


def test_pictures_are_embedded_byte_by_byte(several):
    html = page.page(several)
    runs, pictures = data_of(html)["runs"], data_of(html, "pictures")
    for run, (_, record) in zip(runs, several.runs, strict=True):
        if record.newest_grid() is None:
            assert run["grid"] is None
            continue
        kind, _, content = pictures[run["grid"]["index"]].partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content) == record.newest_grid().read_bytes()
        assert (run["grid"]["step"], run["grid"]["width"], run["grid"]["height"]) == (200, 68, 34)


def test_its_policy_allows_its_own_script_and_style_alone(several):
    html = page.page(several)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'; img-src data:; ") and "unsafe" not in policy and "http" not in policy
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert re.findall(r"(?:src|href)=\"(?!data:|#)", html) == [] and "https:" not in html
    assert "innerHTML" not in html and "eval(" not in html and " style=" not in html


def test_what_a_run_says_stays_text(tmp_path, made_runs):
    settings = dict.fromkeys(("variant", "dataset", "seed", "loss", EVIL), EVIL) | {"steps": 200, "num_classes": 2}
    metrics = [made_runs.score(EVIL, 1.0, step, classifier=EVIL, **{EVIL: EVIL}) for step in (100, 200)]
    log = [{"step": 200, EVIL: 1.0}]
    names = [EVIL, EVIL]
    folder = tmp_path / "<img src=x onerror=alert(3)>"
    run = made_runs.write_run(folder, settings=settings, metrics=metrics, log=log, class_names=names)
    plain_page = page.page(comparison.compare([made_runs.write_run(tmp_path / "good")]))
    html = page.page(comparison.compare([run]))
    for word in ("<script", "</script", "<img", "<!--"):
        assert html.count(word) == plain_page.count(word), word
    assert "alert(1)" in data_of(html)["configurations"][0]["method"]
    protocol = dict(data_of(html)["sections"][0]["columns"][0]["protocol"])
    assert "@@policy@@" in protocol["classifier"]  # what is put in is no template


def test_pictures_that_are_none_are_left_out_with_a_note(tmp_path, made_runs):
    run = made_runs.write_run(tmp_path / "run")
    for content, why in (
        (b"<svg onload=alert(1)>", "cannot identify"),
        (b"GIF89a" + bytes(40), "cannot identify"),
        ((run / "samples" / "step-000200.png").read_bytes()[:-60], "is no picture"),
        (bytes(5 * 2**20), "larger than 4 MB"),
    ):
        (run / "samples" / "step-000200.png").write_bytes(content)
        html = page.page(comparison.compare([run]))
        (entry,) = data_of(html)["runs"]
        assert entry["grid"] is None and data_of(html, "pictures") == []
        assert why in entry["notes"][-1]


def test_few_runs_are_drawn_in_full(several):
    data = data_of(page.page(several))
    assert data["mostPoints"] == 300 and len(data["runs"][0]["steps"]) == 20


def test_runs_without_scores_or_log_make_a_page(tmp_path, made_runs):
    html = page.page(comparison.compare([made_runs.write_run(tmp_path / "run", log=[], picture=False)]))
    data = data_of(html)
    assert data["sections"] == [] and data["groups"] == [] and data["runs"][0]["notes"][0] == "no log yet"
