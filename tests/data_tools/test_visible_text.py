"""Names that others gave cannot steer the terminal, wherever a command shows them."""

import pytest
from PIL import Image

from data_tools import command, inspect, progress
from data_tools.errors import SuiteError
from data_tools.visible_text import visible

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202ez\ud800"


def test_what_is_not_seen_is_replaced_and_the_rest_stays():
    assert visible("é 猫\t\n", kept="\n") == "é 猫\N{REPLACEMENT CHARACTER}\n"
    shown = visible(HOSTILE)
    assert len(shown) == len(HOSTILE) and set(shown) == set("a]0;owned[2J31mz\N{REPLACEMENT CHARACTER}")


def raising(error):
    def main(argv):
        raise error

    return main


@pytest.mark.parametrize(
    "show",
    [
        lambda: command.run(raising(SuiteError(f"{HOSTILE}\nline two")), []),
        lambda: command.run(raising(FileNotFoundError(2, "No such file", f"{HOSTILE}\nline two")), []),
        lambda: command.run(raising(ValueError(HOSTILE)), []),
        lambda: command.report(f"{HOSTILE}\nline two"),
        lambda: progress.note(f"{HOSTILE}\nline two"),
    ],
    ids=["error", "system", "bug", "report", "note"],
)
def test_messages_are_visible_text_of_the_same_lines(show, capsys):
    show()
    said = capsys.readouterr().err
    assert "owned" in said and len(said.splitlines()) == 2 and said.replace("\n", "").isprintable()


def test_progress_names_what_it_counts_visibly(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with progress.counting(HOSTILE, 2) as advance:
        advance(1)
    said = capsys.readouterr().err
    assert "owned" in said and said.strip().isprintable()


def test_an_inspection_shows_names_of_classes_and_files_visibly(tmp_path, capsys):
    hostile = HOSTILE.replace("\ud800", "")
    (tmp_path / hostile).mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / hostile / f"{number}.png")
    (tmp_path / hostile / f"{hostile}.png").write_bytes(b"broken")
    assert command.run(inspect.main, ["folder", "--data-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("owned") > 1 and said.replace("\n", "").isprintable()
