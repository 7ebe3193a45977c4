"""Real processes whose output nobody reads: they go on to their end."""

import os
import subprocess
import sys

import pytest

from data_tools import command as cli

# writes far more than a pipe holds, opens a file, and leaves a mark at its end
TALKER = """
import os, sys
from data_tools import command

def main(argv):
    with open(argv[0], "w") as file:
        assert file.fileno() > 2, file.fileno()
        for i in range(2000):
            print("x" * 100)
            command.report("y" * 100)
            os.write(2, b"from a library")
        file.write("done")

sys.exit(command.run(main))
"""


def talk(tmp_path, **streams):
    done = subprocess.run([sys.executable, "-c", TALKER, str(tmp_path / "mark")], check=False, timeout=60, **streams)
    assert (tmp_path / "mark").read_text() == "done"
    return done


@pytest.fixture
def no_reader():
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_a_pipe_without_a_reader_ends_nothing(tmp_path, no_reader):
    for streams in ({"stdout": no_reader}, {"stderr": no_reader}, {"stdout": no_reader, "stderr": no_reader}):
        others = {name: subprocess.DEVNULL for name in ("stdout", "stderr") if name not in streams}
        assert talk(tmp_path, **streams, **others).returncode == 0


def test_closed_descriptors_end_nothing_and_their_numbers_are_not_given_to_files(tmp_path):
    def close():
        for descriptor in (0, 1, 2):
            os.close(descriptor)

    assert talk(tmp_path, preexec_fn=close).returncode == 0


def test_a_full_disk_under_the_output_is_said(tmp_path):
    with open("/dev/full", "w") as full:
        done = talk(tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("error: the output could not be written: No space left on device")


def test_what_is_read_is_whole_and_the_streams_are_given_back(capsys):
    before = sys.stdout, sys.stderr
    assert cli.run(lambda argv: print("out") or cli.report("err"), []) == 0
    assert (sys.stdout, sys.stderr) == before
    assert tuple(capsys.readouterr()) == ("out\n", "err\n")
