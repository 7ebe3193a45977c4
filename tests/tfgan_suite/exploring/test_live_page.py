"""The live page, driven in a browser as a user would; nothing but this machine is asked."""

import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import create
from tfgan_suite.training import building

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.slow
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = Config(variant="cgan", image_size=16, width=0.05, latent_dim=6, batch_size=4, steps=1, num_classes=3)
    gan = building.build(settings)
    random = np.random.default_rng(0)
    for weight in gan.ema_generator.weights:  # far from the beginning, where classes and latents hardly matter
        if "moving" not in weight.path:
            weight.assign_add(0.3 * random.normal(size=weight.shape))
    gan.step.assign(1)
    folder = create(settings, tmp_path_factory.mktemp("runs") / "a run")
    folder.write_config(settings, "0", ("ant", "<b>bee</b>", "cat"))
    checkpoints.save(folder.checkpoints, 1, checkpoints.arrays_of(gan.state()), keep=3)
    return folder.path


@pytest.fixture(scope="module")
def address(run, tmp_path_factory):
    """Where the page is served, by a process of its own."""
    pytest.importorskip("gradio", reason="needs the extra [explore]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "page.log"
    with open(log, "w") as file:
        command = [sys.executable, "-m", "tfgan_suite.explore", str(run), "--port", str(port)]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=os.environ)
    try:
        deadline = time.monotonic() + 240
        while f"http://127.0.0.1:{port}/" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=[(width, scheme) for width in WIDTHS for scheme in ("light", "dark")], ids="-".join)
def page(request, browser, address, tmp_path):
    """The page in a window; no request off this machine and no error on the console, whatever the test does."""
    width, scheme = request.param
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    context = browser.new_context(viewport=size, color_scheme=scheme)
    opened, asked, complaints = context.new_page(), [], []
    opened.on("request", lambda sent: asked.append(sent.url))
    opened.on("console", lambda line: line.type in ("error", "warning") and complaints.append(line.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(address)
    opened.wait_for_selector("#samples-picture img", timeout=120_000)
    yield opened
    opened.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)
    context.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert complaints == []


def show(page, tab):
    """Open a tab, which stands in a menu on a narrow page."""
    if page.get_by_role("tab", name=tab).count():
        page.get_by_role("tab", name=tab).click()
    else:
        page.get_by_label("More tabs").click()
        page.locator(".overflow-dropdown button", has_text=tab).click()
    page.wait_for_selector(f"#{tab.lower().rstrip('s')}-picture img, #{tab.lower()}-picture img", timeout=60_000)


def value(page, name):
    return page.locator(f"#{name} input, #{name} textarea").first.input_value()


def picture(page, name):
    """The picture as it was sent, uint8 [H, W, 3]; what stands on the page has its size, to the pixel."""
    image = page.locator(f"#{name} img")
    content = page.request.get(image.get_attribute("src")).body()
    found = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert image.evaluate("i => [i.height, i.width]") == list(found.shape[:2])
    return found


def changed(page, name, before):
    """Wait until the command under a picture is another; gives it."""
    for _ in range(600):
        if (now := value(page, name)) != before:
            page.wait_for_timeout(500)  # the picture comes with it
            return now
        page.wait_for_timeout(100)
    raise AssertionError(f"{name} stayed {before!r}")


def native(pixels, side=16):
    """A single image in its own size, after a check that it was enlarged by a whole number."""
    factor = pixels.shape[0] // side
    small = pixels[::factor, ::factor]
    assert small.shape == (side, side, 3) and factor > 1
    np.testing.assert_array_equal(pixels, small.repeat(factor, axis=0).repeat(factor, axis=1))
    return small


def by_command(line, tmp_path, command):
    """The record of the picture that a command, copied from the page, makes."""
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "tfgan_suite.sample"]
    result = command("tfgan_suite.sample", *words[3:], "--output", "copied.png")
    assert result.returncode == 0, result.stderr
    return (tmp_path / "copied.png").read_bytes(), json.loads((tmp_path / "copied.json").read_text())


def test_samples_walk_directions_and_arithmetic_move_the_picture(page, run):
    assert f"{run}, step 1, ema weights" in page.locator("body").inner_text()
    samples = picture(page, "samples-picture")
    assert samples.shape[1] >= 640
    cell = samples.shape[1] // 8
    page.locator("#samples-picture img").click(position={"x": cell // 2 + cell, "y": cell // 2 + 2 * cell})
    assert changed(page, "sample-name", "") == "0:17"  # the second in the third row of eight
    assert value(page, "sample-command").endswith("a run' grid --samples 0:17")

    show(page, "Walk")
    page.wait_for_timeout(1000)
    start, command = native(picture(page, "walk-picture")), value(page, "walk-command")
    page.locator("#walk-share input[type=range]").fill("0.5")
    half = changed(page, "walk-command", command)
    middle = native(picture(page, "walk-picture"))
    assert half.endswith("--samples 0:0 0:1 --path spherical --shares 0.5")
    page.locator("#walk-share input[type=range]").fill("1")
    changed(page, "walk-command", half)
    end = native(picture(page, "walk-picture"))
    factor = (samples.shape[1]) // (8 * 18 + 2)
    of_grid = [samples[::factor, ::factor][2:18, 2 + 18 * index :][:, :16] for index in (0, 1)]
    np.testing.assert_array_equal(start, of_grid[0])
    np.testing.assert_array_equal(end, of_grid[1])
    assert not np.array_equal(middle, start) and not np.array_equal(middle, end)

    show(page, "Directions")
    page.wait_for_timeout(1000)
    before, command = native(picture(page, "direction-picture")), value(page, "direction-command")
    np.testing.assert_array_equal(before, start)
    page.locator("#direction-strength input[type=range]").fill("-3")
    assert changed(page, "direction-command", command).endswith("--directions 1 --strengths -3")
    assert not np.array_equal(native(picture(page, "direction-picture")), before)

    show(page, "Arithmetic")
    page.wait_for_timeout(1000)
    before, command = picture(page, "arithmetic-picture"), value(page, "arithmetic-command")
    page.locator("#arithmetic-c input, #arithmetic-c textarea").first.fill("0:9")
    page.keyboard.press("Enter")
    assert changed(page, "arithmetic-command", command).endswith("--b 0:3 0:4 0:5 --c 0:9")
    assert not np.array_equal(picture(page, "arithmetic-picture")[:, :640], before[:, :640])


@pytest.mark.parametrize("page", [("desktop", "light")], indirect=True, ids=["desktop"])
def test_the_class_is_chosen_and_what_is_downloaded_is_what_the_command_makes(page, tmp_path, command):
    before, line = picture(page, "samples-picture"), value(page, "samples-command")
    page.locator("#class input").click()
    page.get_by_role("option", name="<b>bee</b>").click()
    line = changed(page, "samples-command", line)
    assert "--classes '<b>bee</b>'" in line and not np.array_equal(picture(page, "samples-picture"), before)
    page.locator("#seed input").fill("7")
    page.keyboard.press("Tab")
    line = changed(page, "samples-command", line)
    assert "--seed 7" in line
    page.wait_for_timeout(1000)
    made, record = by_command(line, tmp_path, command)
    for name, expected in (("samples-png", made), ("samples-json", record)):
        with page.expect_download() as started:
            page.locator(f"#{name}").click()
        content = started.value.path().read_bytes()
        if name == "samples-png":
            assert content == expected
            np.testing.assert_array_equal(picture(page, "samples-picture"), np.asarray(Image.open(io.BytesIO(content))))
        else:
            found = json.loads(content)
            assert (found["samples"], found["images"], found["command"]) == (record["samples"], record["images"], line)
    assert record["samples"][3]["name"] == "7:3" and record["samples"][3]["class"] == "<b>bee</b>"


@pytest.mark.parametrize("page", [("desktop", "light")], indirect=True, ids=["desktop"])
def test_what_is_no_sample_is_said_and_the_page_goes_on(page):
    show(page, "Walk")
    page.wait_for_timeout(1000)
    command = value(page, "walk-command")
    page.locator("#walk-from input, #walk-from textarea").first.fill("first")
    page.keyboard.press("Enter")
    page.get_by_text(re.compile("a sample is named SEED:INDEX")).first.wait_for(timeout=60_000)
    page.locator("#walk-from input, #walk-from textarea").first.fill("5:2")
    page.keyboard.press("Enter")
    assert "--samples 5:2 0:1" in changed(page, "walk-command", command)


def test_the_page_listens_at_loopback_alone(address):
    port = int(address.rstrip("/").rpartition(":")[2])
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as rows:
            fields = [row.split() for row in rows][1:]
        listening += [each[1].split(":")[0] for each in fields if each[1].endswith(f":{port:04X}") and each[3] == "0A"]
    assert listening == ["0100007F"]
