"""The page in Debian's Chromium: sort, filter, hover, keyboard, enlarge; no error, and no request for anything."""

import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tfgan_suite.reports import comparison, page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
SIZES = {"desktop": (1360, 900), "phone": (390, 844)}
EVIL = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright, which the extra [test] has")
    if CHROMIUM is None:
        pytest.skip("needs Debian's package chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def html(tmp_path_factory, made_runs):
    """A page of six runs, one of them hostile in all that it says."""
    place = made_runs.write_several(tmp_path_factory.mktemp("runs"))
    log = [{"step": step, EVIL: 1.0, "d_loss": 1.0} for step in (10, 20)]
    settings = {"variant": EVIL, "dataset": EVIL, "steps": 20, "seed": EVIL, "batch_size": 64, "num_classes": 2}
    made_runs.write_run(place / "<b>evil", settings=settings, steps=20, log=log, class_names=[EVIL, EVIL],
                        metrics=[made_runs.score(EVIL, 1.0, step, classifier=EVIL) for step in (10, 20)])  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page.page(comparison.compare(sorted(place.iterdir()))), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, html, request):
    """The page, at the size and colours that the test asks for; whatever it asks for or complains of fails the test."""
    size, scheme = getattr(request, "param", ("desktop", "light"))
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    tab, asked, said = context.new_page(), [], []
    tab.on("request", lambda one: asked.append(one.url) if not one.url.startswith("data:image/png;") else None)
    tab.on("console", lambda one: said.append(one.text))
    tab.on("pageerror", lambda one: said.append(str(one)))
    tab.goto(html.as_uri())
    yield tab
    title = tab.title()
    context.close()
    assert asked in ([html.as_uri()], [html.as_uri(), "data:,"]) and said == []
    assert title == "Comparison of 7 runs"


def labels(tab, table=0):
    """What stands at the head of each row of a table of scores."""
    heads = tab.locator("#scores table").nth(table).locator("tbody th").all_inner_texts()
    return [text.split()[1][:7] for text in heads]


def test_it_sorts_by_any_column(opened):
    by_score = opened.locator("#scores .sort", has_text="classifier_").first
    evil = EVIL[:7]  # has no such score, so it comes last, whichever way
    assert labels(opened) == [evil, "dcgan", "dcgan", "wgan_gp"]
    by_score.click()
    assert labels(opened) == ["wgan_gp", "dcgan", "dcgan", evil]  # 8.5, 6.5, 2: higher is better, so it comes first
    head = opened.locator("#scores table").first.locator("th[aria-sort]")
    assert head.get_attribute("aria-sort") == "descending"
    by_score.press("Enter")
    assert labels(opened) == ["dcgan", "dcgan", "wgan_gp", evil] and head.get_attribute("aria-sort") == "ascending"


def test_it_shows_the_last_or_the_best_step(opened):
    def mean():
        row = opened.locator("#scores table").first.locator("tbody tr", has_text="dcgan on shapes").first
        return row.locator(".mean").first.inner_text()

    assert mean() == "6.5"
    opened.get_by_label("the best step").check(force=True)
    assert mean() == "5.5" and "step 100" in opened.locator("#scores table").first.inner_text()


def test_the_filter_holds_for_tables_curves_samples_and_runs(opened):
    before = opened.locator("#charts path:not(.spike)").count()
    opened.get_by_label("Filter").fill("wgan_gp  shapes")
    assert labels(opened) == ["wgan_gp"]
    assert opened.locator("#count").inner_text() == "1 of 4 configurations"
    assert opened.locator("#gallery figure:visible").count() == 2
    assert opened.locator("#runs tbody tr:visible").count() == 2
    assert opened.locator("#legend button:visible").count() == 1
    assert 0 < opened.locator("#charts path:not(.spike)").count() < before
    opened.get_by_label("Filter").fill("")
    assert opened.locator("#charts path:not(.spike)").count() == before


def test_each_score_has_its_protocol_one_click_away(opened):
    opened.get_by_label("Protocol of frechet_classifier_distance").first.click()
    dialog = opened.locator("#protocol")
    assert dialog.is_visible() and dialog.locator("h2").inner_text() == "frechet_classifier_distance"
    text = dialog.inner_text()
    assert "shapes:test" in text and "c0ffee" in text and "SHA-256 of the network" in text and "0.1.0" in text
    opened.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_tables_of_another_protocol_say_why(opened):
    notes = opened.locator("#scores .note").all_inner_texts()
    assert len(notes) >= 2 and any("num_generated: 400; elsewhere 500" in note for note in notes)


def test_runs_without_scores_have_a_table_of_their_own(browser, tmp_path, made_runs):
    path = tmp_path / "report.html"
    path.write_text(page.page(comparison.compare([made_runs.write_run(tmp_path / "run")])), encoding="utf-8")
    tab = browser.new_page()
    tab.goto(path.as_uri())
    assert tab.locator("#scores h3").all_inner_texts() == ["Without scores"] and labels(tab) == ["dcgan"]
    assert "12,800" in tab.locator("#scores table").inner_text()
    tab.close()


def chart(tab, title):
    """The first chart of that title."""
    return tab.locator("figure.chart").filter(has=tab.locator("figcaption", has_text=re.compile(rf"^{title}\b"))).first


def test_values_are_under_the_pointer(opened):
    figure = chart(opened, "d_loss")
    figure.scroll_into_view_if_needed()
    box = figure.locator("svg").bounding_box()
    assert not figure.locator(".tip").is_visible()
    opened.mouse.move(box["x"] + box["width"] - 18, box["y"] + box["height"] / 2)
    tip = figure.locator(".tip")
    assert tip.is_visible() and tip.inner_text().startswith("step 200")
    assert "seed 0" in tip.inner_text() and "1.005" in tip.inner_text()  # 1 + 1 / 200
    assert figure.locator("path.hot").count() == 1
    opened.mouse.move(2, 2)
    assert not tip.is_visible()


def test_values_are_read_by_keyboard(opened):
    figure = chart(opened, "d_loss")
    figure.locator("svg").focus()
    opened.keyboard.press("ArrowRight")
    tip = figure.locator(".tip")
    assert tip.inner_text().startswith("step 10") and "1.1" in tip.inner_text()
    opened.keyboard.press("ArrowRight")
    assert tip.inner_text().startswith("step 20")
    hot = tip.locator(".hot").inner_text()
    opened.keyboard.press("ArrowDown")
    assert tip.inner_text().startswith("step 20") and tip.locator(".hot").inner_text() != hot
    opened.keyboard.press("End")
    assert tip.inner_text().startswith("step 200")
    opened.keyboard.press("Escape")
    assert not tip.is_visible()


def test_curves_stand_against_steps_images_and_time(opened):
    figure = chart(opened, "d_loss")
    expected = {"images seen": "images seen 640", "wall time": "minutes 0.01667", "steps": "step 10"}
    for name, first in expected.items():
        opened.locator("#axis").get_by_label(name).check(force=True)
        figure.locator("svg").focus()
        opened.keyboard.press("ArrowRight")
        assert figure.locator(".tip").inner_text().startswith(first)
        opened.keyboard.press("Escape")


def test_the_legend_switches_curves_off(opened):
    lines = chart(opened, "d_loss").locator("path:not(.spike)")
    before, button = lines.count(), opened.locator("#legend button", has_text="wgan_gp")
    button.press("Space")
    assert lines.count() == before - 2 and button.get_attribute("aria-pressed") == "false"
    button.press("Space")
    assert lines.count() == before


def test_spikes_are_marked_and_a_score_is_no_sigmoid(opened):
    assert chart(opened, "d_gradient_norm").locator("path.spike").count() == 5
    groups = dict(zip(opened.locator(".group h3").all_inner_texts(), opened.locator(".charts").all(), strict=True))
    for title, lines in (("The discriminator's scores", 2), ("The discriminator's opinion", 4)):
        assert groups[title].locator("figure").first.locator("path").count() == lines


def test_samples_enlarge_without_blur(opened):
    opened.locator("#gallery button").first.scroll_into_view_if_needed()
    opened.locator("#gallery button").first.click()
    image = opened.locator("#viewer-image")
    opened.wait_for_function("document.getElementById('viewer-image').style.width !== ''")
    zoom = image.bounding_box()["width"] / 68
    assert zoom == round(zoom) >= 4
    box = image.bounding_box()
    clip = {"x": int(box["x"] + 0.5), "y": int(box["y"] + 0.5), "width": box["width"], "height": box["height"]}
    shot = Image.open(io.BytesIO(opened.screenshot(clip=clip))).convert("RGB")
    small = np.random.default_rng(0).integers(0, 256, (34, 68, 3), dtype=np.uint8)  # as the run of seed 0 has it
    k = int(zoom)
    np.testing.assert_array_equal(np.asarray(shot), small.repeat(k, axis=0).repeat(k, axis=1))
    opened.keyboard.press("-")
    assert image.bounding_box()["width"] == 68 * (k - 1)
    caption = opened.locator("#viewer-caption").inner_text()
    opened.keyboard.press("ArrowRight")
    assert opened.locator("#viewer-caption").inner_text() != caption
    opened.keyboard.press("Escape")
    assert not opened.locator("#viewer").is_visible()


@pytest.mark.parametrize("opened", [(size, scheme) for size in SIZES for scheme in ("light", "dark")], indirect=True)
def test_it_fits_the_screen_in_light_and_dark(opened):
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ink, paper = (
        [int(part) for part in re.findall(r"\d+", opened.evaluate(f"getComputedStyle(document.body).{name}"))[:3]]
        for name in ("color", "backgroundColor")
    )
    dark = opened.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (sum(ink) > sum(paper) + 400) if dark else (sum(paper) > sum(ink) + 400)
    assert all(chart.bounding_box()["width"] > 250 for chart in opened.locator("figure.chart").all())


def test_what_a_run_says_is_shown_as_text(opened):
    text = opened.locator("body").inner_text()
    assert "document.title='taken'" in text and "<b>evil" in text
    assert opened.locator("img[src=x]").count() == opened.locator("main b").count() == 0
    assert opened.locator("script").count() == 3
