"""A live page on one generator, by Gradio, which only this module imports.

Each part of the page draws what `tfgan_suite.sample` draws, and shows the command that makes the same picture.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")  # read when it is imported

import gradio as gr
import numpy as np
from PIL import Image

from data_tools.errors import SuiteError
from tfgan_suite.exploring import points, sheet_files, sheets
from tfgan_suite.exploring.sheets import Sheet
from tfgan_suite.exploring.subject import Subject
from tfgan_suite.exploring.walks import PATHS
from tfgan_suite.images import pictures

OWN = "the sample's own"
_ONE = 320  # pixels that one image is wide at least: no more than a phone shows
_COLUMNS = 8
_MOST_SAMPLES = 64
_MOST_DIRECTIONS = 20
_FARTHEST = 10.0  # along a direction
_KEPT = 3600  # seconds for which Gradio keeps what it sent
# Pictures in their own size: what is wider than the page is scrolled, not shrunk, which would leave out pixels.
CSS = """
.picture .image-frame {overflow-x: auto; justify-content: safe center}
.picture img {width: auto !important; max-width: none !important; height: auto !important; max-height: none !important;
  flex: none; image-rendering: pixelated}
"""


@dataclasses.dataclass(frozen=True)
class Page:
    """What the controls do.

    Attributes:
        subject: the generator.
        flags: of `tfgan_suite.sample`, with which the same generator is opened.
        folder: where pictures are written before they are sent.
    """

    subject: Subject
    flags: tuple[str, ...]
    folder: tempfile.TemporaryDirectory[str]

    def command(self, kind: str, *arguments: object) -> str:
        """The command that makes a picture."""
        words = [self.subject.name, kind, *map(str, arguments), *self.flags]
        return f"python -m tfgan_suite.sample {shlex.join(words)}"

    def samples(self, seed: float, count: float, chosen: str) -> tuple[Any, ...]:
        """The first `count` samples of a seed."""
        seed, count = int(seed or 0), int(count)
        found = self._in_class(self.subject.samples([(seed, index) for index in range(count)]), chosen)
        sheet = sheets.grid(self.subject, found, min(_COLUMNS, count))
        command = self.command(
            "grid", *self._class(chosen), *_seed(seed), "--num-images", count, "--columns", sheet.columns
        )
        return self._answer("grid", sheet, command)

    def walk(self, one: str, other: str, path: str, share: float, chosen: str) -> tuple[Any, ...]:
        """The place at `share` of the way from one sample to another."""
        ends = self._in_class(self.subject.samples([points.parse_name(one), points.parse_name(other)]), chosen)
        sheet = sheets.interpolate(self.subject, ends, path, np.array([share]))
        command = self.command(
            "interpolate", "--samples", *ends.names, *self._class(chosen), "--path", path, "--shares", f"{share:g}"
        )
        return self._answer("interpolate", sheet, command)

    def direction(self, name: str, number: float, strength: float, chosen: str) -> tuple[Any, ...]:
        """A sample, moved along a direction."""
        sample = self._in_class(self.subject.samples([points.parse_name(name)]), chosen)
        sheet = sheets.directions(self.subject, sample, [int(number)], [strength])
        command = self.command(
            "directions", "--samples", *sample.names, *self._class(chosen), "--directions", int(number),
            "--strengths", f"{strength:g}",
        )  # fmt: skip
        return self._answer("directions", sheet, command)

    def arithmetic(self, a: str, b: str, c: str, chosen: str) -> tuple[Any, ...]:
        """A - B + C."""
        names = [text.replace(",", " ").split() for text in (a, b, c)]
        groups = []
        for letter, group in zip("ABC", names, strict=True):
            if not group:
                raise gr.Error(f"{letter} needs a sample or more, such as 7:3", print_exception=False)
            groups.append(self._in_class(self.subject.samples([points.parse_name(name) for name in group]), chosen))
        sheet = sheets.arithmetic(self.subject, *groups)
        command = self.command("arithmetic", "--a", *names[0], "--b", *names[1], "--c", *names[2], *self._class(chosen))
        return self._answer("arithmetic", sheet, command)

    def sample_at(self, seed: float, count: float, chosen: str, place: list[int]) -> tuple[str, str]:
        """Name of the sample at a place of the picture of `samples`, in pixels, and the command that makes it alone."""
        count = int(count)
        side = self.subject.image_size + pictures.GAP
        columns = min(_COLUMNS, count)
        factor = pictures.factor_to(columns * side + pictures.GAP)
        column, row = (max(0, int(at) - factor * pictures.GAP // 2) // (factor * side) for at in place)
        index = min(row * columns + min(column, columns - 1), count - 1)
        name = f"{int(seed or 0)}:{index}"
        return name, self.command("grid", "--samples", name, *self._class(chosen))

    def _in_class(self, samples: points.Points, chosen: str) -> points.Points:
        names = self.subject.class_names
        return samples if chosen not in names else samples.with_labels(np.full(len(samples), names.index(chosen)))

    def _class(self, chosen: str) -> list[str]:
        return ["--classes", chosen] if chosen in self.subject.class_names else []

    def _answer(self, kind: str, sheet: Sheet, command: str) -> tuple[Any, ...]:
        """The picture for the page, the command, and the files to download, which the command would write."""
        path = Path(self.folder.name) / f"{kind}.png"  # Gradio takes a copy of its own
        about = {"kind": kind, "source": self.subject.name, "command": command, **self.subject.record}
        about |= {"latent_dim": self.subject.latent_dim, "class_names": self.subject.class_names}
        beside = sheet_files.write(sheet, path, **about)
        one = len(sheet.images) == 1
        shown = _alone(sheet) if one else sheet_files.picture(sheet)
        return shown, command, str(path), str(beside)


def _alone(sheet: Sheet) -> Image.Image:
    return pictures.enlarged(pictures.grid(sheet.images, 1, gap=0), _ONE).convert("RGB")


def _seed(seed: int) -> list[object]:
    return ["--seed", seed] if seed else []


def page(subject: Subject, flags: tuple[str, ...]) -> gr.Blocks:
    """The page; `flags` are those of `tfgan_suite.sample` with which the same generator is opened."""
    made = Page(subject, flags, tempfile.TemporaryDirectory(prefix="tfgan_suite-explore-"))
    step = subject.record["step"]
    about = "as exported" if step is None else f"step {step:,}, {subject.record['weights']} weights"
    with gr.Blocks(title="tfgan_suite", analytics_enabled=False, delete_cache=(_KEPT, _KEPT)) as blocks:
        gr.Markdown(f"## tfgan_suite\n{_plain(subject.name)}, {about}. A sample is named SEED:INDEX.")
        chosen = gr.Dropdown(
            [OWN, *subject.class_names], value=OWN, label="Class", visible=bool(subject.class_names), elem_id="class"
        )
        with gr.Tab("Samples"):
            _samples_tab(made, blocks, chosen)
        with gr.Tab("Walk"):
            _walk_tab(made, blocks, chosen)
        if _has_directions(subject):
            with gr.Tab("Directions"):
                _directions_tab(made, blocks, chosen)
        with gr.Tab("Arithmetic"):
            _arithmetic_tab(made, blocks, chosen)
    return blocks


def launch(blocks: gr.Blocks, host: str, port: int) -> None:
    """Serve the page from threads of its own; in a notebook, show it below the cell, too.

    In Colab it is shown through Colab's own proxy: no tunnel to other servers is opened, here or anywhere.
    """
    blocks.queue(default_concurrency_limit=1).launch(
        server_name=host, server_port=port, share=False, inbrowser=False, quiet=True, show_error=True,
        footer_links=[], run_history=False, enable_monitoring=False, ssr_mode=False, pwa=False, mcp_server=False,
        css=CSS, theme=_theme(), prevent_thread_lock=True,
    )  # fmt: skip


def _theme() -> gr.themes.Base:
    """Gradio's, with fonts that every machine has: its own would be fetched."""
    return gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def _samples_tab(made: Page, blocks: gr.Blocks, chosen: gr.Dropdown) -> None:
    with gr.Row():
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=points.MOST_SEED, elem_id="seed")
        count = gr.Slider(1, _MOST_SAMPLES, 32, step=1, label="Number of samples", elem_id="count")
    outputs = _outputs("samples", "Samples")
    with gr.Row():
        name = gr.Textbox(
            label="Sample",
            placeholder="click a sample above",
            buttons=["copy"],
            interactive=False,
            elem_id="sample-name",
        )
        alone = gr.Textbox(label="Command for it", buttons=["copy"], interactive=False, elem_id="sample-command")

    def picked(event: gr.SelectData, at_seed: float, of: float, of_class: str) -> tuple[str, str]:
        return made.sample_at(at_seed, of, of_class, event.index)

    outputs[0].select(picked, [seed, count, chosen], [name, alone])
    _wire(blocks, [seed.change, count.change, chosen.change], made.samples, [seed, count, chosen], outputs)


def _walk_tab(made: Page, blocks: gr.Blocks, chosen: gr.Dropdown) -> None:
    with gr.Row():
        one = gr.Textbox("0:0", label="From sample", elem_id="walk-from")
        other = gr.Textbox("0:1", label="To sample", elem_id="walk-to")
        path = gr.Radio(list(PATHS), value=next(iter(PATHS)), label="Path", elem_id="walk-path")
    share = gr.Slider(0, 1, 0, step=0.01, label="How far on the way", elem_id="walk-share")
    events = [one.submit, one.blur, other.submit, other.blur, path.change, share.change, chosen.change]
    _wire(blocks, events, made.walk, [one, other, path, share, chosen], _outputs("walk", "On the way"))


def _directions_tab(made: Page, blocks: gr.Blocks, chosen: gr.Dropdown) -> None:
    most = min(_MOST_DIRECTIONS, made.subject.latent_dim)
    with gr.Row():
        name = gr.Textbox("0:0", label="Sample", elem_id="direction-sample")
        number = gr.Slider(1, most, 1, step=1, label="Direction, 1 being the strongest", elem_id="direction-number")
    strength = gr.Slider(-_FARTHEST, _FARTHEST, 0, step=0.1, label="How far", elem_id="direction-strength")
    events = [name.submit, name.blur, number.change, strength.change, chosen.change]
    _wire(blocks, events, made.direction, [name, number, strength, chosen], _outputs("direction", "Moved"))


def _arithmetic_tab(made: Page, blocks: gr.Blocks, chosen: gr.Dropdown) -> None:
    with gr.Row():
        a = gr.Textbox("0:0 0:1 0:2", label="A, samples of which the mean is taken", elem_id="arithmetic-a")
        b = gr.Textbox("0:3 0:4 0:5", label="- B", elem_id="arithmetic-b")
        c = gr.Textbox("0:6 0:7 0:8", label="+ C", elem_id="arithmetic-c")
    events = [event for box in (a, b, c) for event in (box.submit, box.blur)]
    outputs = _outputs("arithmetic", "A, B and C with their means; A, A - B and A - B + C")
    _wire(blocks, [*events, chosen.change], made.arithmetic, [a, b, c, chosen], outputs)


def _outputs(name: str, about: str) -> list[Any]:
    """Where an answer is shown."""
    image = gr.Image(
        show_label=False, format="png", interactive=False, buttons=[], elem_id=f"{name}-picture",
        elem_classes="picture", alt_text=about,
    )  # fmt: skip
    command = gr.Textbox(label="Command", buttons=["copy"], interactive=False, elem_id=f"{name}-command")
    with gr.Row():
        picture = gr.DownloadButton("Download picture", elem_id=f"{name}-png")
        latents = gr.DownloadButton("Download latents", elem_id=f"{name}-json")
    return [image, command, picture, latents]


def _wire(
    blocks: gr.Blocks, events: list[Any], function: Callable[..., Any], inputs: list[Any], outputs: list[Any]
) -> None:
    """Call `function` when the page opens and at each event; of many events at once, the last one counts."""

    def answered(*given: Any) -> Any:
        try:
            return function(*given)
        except SuiteError as error:
            raise gr.Error(str(error), print_exception=False) from None

    gr.on([blocks.load, *events], answered, inputs, outputs, trigger_mode="always_last", show_progress="hidden")


def _has_directions(subject: Subject) -> bool:
    try:
        return bool(subject.directions)
    except SuiteError:
        return False


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    return "".join(letter if letter.isalnum() or letter in " /.:" else f"&#{ord(letter)};" for letter in text)
