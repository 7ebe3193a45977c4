from data_tools import progress


def test_lines_say_how_much_is_left_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with progress.counting("reading", 30, done=10) as advance:
        advance(5)
        advance(15)
    out, err = capsys.readouterr()
    assert out == "" and [line.split(",")[0] for line in err.splitlines()] == ["reading: 15 of 30", "reading: 30 of 30"]
    assert err.splitlines()[-1].endswith(" 0 s left")


def test_short_work_says_nothing(capsys):
    with progress.counting("reading", 3) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_bar(monkeypatch):
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.counting("reading a{0.b}/[bold]c", 3) as advance:
        advance(3)
    assert "reading a{0.b}/[bold]c" in terminal.getvalue()
