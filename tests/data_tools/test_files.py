"""Writing that is whole or not at all, lines, leftovers, and locks between processes."""

import subprocess
import sys
import threading

import pytest

from data_tools import files
from data_tools.errors import SuiteError


def test_lines_are_appended_whole_and_read_back(tmp_path):
    path = tmp_path / "log.jsonl"
    assert files.read_json_lines(path) == []
    for step in range(3):
        files.append_json_line(path, {"step": step})
    with open(path, "a") as file:
        file.write('[1]\n{"loss": 2}\n{"step": "4"}\n{"step": 3, "lo')
    assert files.read_json_lines(path) == [{"step": 0}, {"step": 1}, {"step": 2}]
    with pytest.raises(ValueError, match="Out of range float"):
        files.append_json_line(path, {"loss": float("nan")})


def test_a_line_that_does_not_fit_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "write", lambda descriptor, line: len(line) - 1)
    with pytest.raises(SuiteError, match="log.jsonl cannot be written: the disk is full"):
        files.append_json_line(tmp_path / "log.jsonl", {"step": 0})
    with pytest.raises(SuiteError, match="cannot be written: No such file"):
        files.append_json_line(tmp_path / "nowhere" / "log.jsonl", {"step": 0})


def test_a_failed_replacement_leaves_the_old_file_alone(tmp_path, monkeypatch):
    files.replace_text(tmp_path / "a", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        with pytest.raises(SuiteError, match="a cannot be written: No space left on device. Free space or choose"):
            files.replace_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["a"]
    files.replace_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".export.7.tmp" / "variables").mkdir(parents=True)
    for name in (".a.12.tmp", "b.tmp", ".hidden", ".export.7.tmp/variables/c"):
        (tmp_path / name).write_text("x")
    files.remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "b.tmp"]


def test_nothing_is_written_through_a_link_a_second_name_or_a_pipe(tmp_path):
    mine = tmp_path / "mine"
    for make in (
        lambda path: path.symlink_to(mine),
        lambda path: path.symlink_to(tmp_path / "new"),
        lambda path: path.hardlink_to(mine),
        files.os.mkfifo,
    ):
        mine.write_text("precious")
        path = tmp_path / "part.jsonl"
        make(path)
        with pytest.raises(SuiteError, match="part.jsonl is a link or no plain file"):
            files.append_json_line(path, {"step": 1})
        with pytest.raises(SuiteError, match="part.jsonl is a link or no plain file"), files.held(path, "busy"):
            pass
        path.unlink()
        assert mine.read_text() == "precious" and not (tmp_path / "new").exists()


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / f".a.{files.os.getpid()}.tmp").symlink_to(tmp_path / "mine")
    files.replace_text(tmp_path / "a", "new")
    assert (tmp_path / "mine").read_text() == "precious" and (tmp_path / "a").read_text() == "new"
    assert not (tmp_path / "a").is_symlink()


def test_lines_that_nobody_writes_are_skipped(tmp_path):
    (tmp_path / "a").write_text('{"step": 1}\n' + "[" * 100_000 + '\n{"step": -1}\n{"step": ' + "9" * 400 + "}\n")
    assert files.read_json_lines(tmp_path / "a") == [{"step": 1}]
    assert files.read_json_lines(tmp_path) == []


HOLDER = """
import sys
from pathlib import Path
from data_tools import files
with files.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A lock that another process holds, and that process, which lets go when its input ends."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield tmp_path / "lock", process
        process.kill()


def test_a_held_lock_is_refused_at_once_and_free_after_a_kill(elsewhere):
    lock, process = elsewhere
    with pytest.raises(SuiteError, match="^busy: wait$"), files.held(lock, "busy: wait"):
        raise AssertionError("the lock was given twice")
    process.kill()
    process.wait()
    with files.held(lock, "busy"), pytest.raises(SuiteError, match="busy"), files.held(lock, "busy"):
        raise AssertionError("the lock was given twice")
    with files.held(lock, "busy"):
        pass  # the refusal above let go of nothing, and the block that ended of all


def test_a_held_lock_is_waited_for_and_said_once(elsewhere):
    lock, process = elsewhere
    said = []

    def waiting():
        said.append("waiting")
        threading.Timer(0.05, process.stdin.close).start()

    with files.locked(lock, waiting):
        assert process.wait(10) == 0 and said == ["waiting"]
    with files.locked(lock, waiting):
        assert said == ["waiting"]


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path):
    with pytest.raises(SuiteError, match="lock cannot be written: No such file"):  # noqa: SIM117
        with files.held(tmp_path / "nowhere" / "lock", "busy"):
            raise AssertionError("there is no lock")


def test_a_lock_may_be_taken_by_others(tmp_path):
    with files.held(tmp_path / "lock", "busy"):
        mask = files.os.umask(0)
        files.os.umask(mask)
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o666 & ~mask
