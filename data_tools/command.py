"""What all commands share, those of `data_tools` and of `tfgan_suite`: parsing, one-line errors, exit status."""

from __future__ import annotations

import contextlib
import errno
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import tyro

from data_tools.errors import Interrupted, SuiteError, UsageError
from data_tools.streams import lasting_streams
from data_tools.visible_text import visible

Arguments = TypeVar("Arguments")
_NO_MEMORY = "does not fit in memory"
# how the C++ parts of TensorFlow and CUDA put it in errors of other kinds, and AutoGraph what happened while it traced
_SIGNS = (
    "bad_alloc", "out of memory", "out_of_memory", "oom when allocating", "failed to allocate", "memoryerror",
    "cannot allocate memory",
)  # fmt: skip


def run(main: Callable[[list[str]], None], argv: list[str] | None = None) -> int:
    """Call `main` and turn what it raises into one or two lines on stderr and an exit status.

    0 for success, 2 for wrong usage, 1 for a failure, 128 + signal for an interruption; `--debug` shows tracebacks.
    """
    argv = sys.argv[1:] if argv is None else argv
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up chatter is not for users
    with lasting_streams() as output:
        status = _status_of(main, argv)
        output.flush()
        if output.lost is not None and not status:
            sys.stderr.write(f"error: the output could not be written: {output.lost}\n")
            status = 1
    return status


def _status_of(main: Callable[[list[str]], None], argv: list[str]) -> int:
    try:
        main(argv)
    except SuiteError as error:
        if "--debug" in argv:
            raise
        prefix = "" if isinstance(error, Interrupted) else "error: "
        _say(f"{prefix}{error}")
        return error.status
    except OSError as error:
        if "--debug" in argv:
            raise
        if is_out_of_memory(error):
            _say(f"error: {_NO_MEMORY}: ask for less at once")
            return 1
        _say(f"error: {error.strerror or error}: {str(error.filename)[:200]}")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except Exception as error:
        if "--debug" in argv:
            raise
        if is_out_of_memory(error):
            _say(f"error: {_NO_MEMORY}: ask for less at once")
            return 1
        first_line = str(error).strip().partition("\n")[0]
        _say(f"error: {type(error).__name__}: {first_line}\nThis is a bug: --debug shows where it is")
        return 1
    return 0


def _say(message: str) -> None:
    """Write lines to stderr; names in them, of files or out of files, cannot steer the terminal."""
    sys.stderr.write(visible(message, kept="\n") + "\n")


@contextlib.contextmanager
def fitting(advice: str) -> Iterator[None]:
    """Turn running out of memory in the block, on the processor or on a GPU, into one line.

    Args:
        advice: which numbers to lower.

    Raises:
        SuiteError: in the place of whatever said that there is no memory left.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise SuiteError(f"{_NO_MEMORY}: {advice}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy, the operating system or TensorFlow, which is not imported for this, has no memory left."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    kinds = {kind.__name__ for kind in type(error).__mro__}
    text = str(error).lower()
    return "ResourceExhaustedError" in kinds or (
        bool({"OpError", "RuntimeError", "AutoGraphError"} & kinds) and any(sign in text for sign in _SIGNS)
    )


def parse(kind: type[Arguments], argv: list[str], *, prog: str, default: Any = None) -> Arguments:
    """Command-line arguments as an instance of the dataclass `kind`, by tyro.

    Raises:
        UsageError: for unknown flags and wrong values, in one or two lines instead of tyro's box.
    """
    with _one_line(argv, prog):
        return tyro.cli(
            kind,
            args=argv,
            prog=prog,
            description=inspect.cleandoc(kind.__doc__ or ""),  # whole: tyro by itself drops the examples
            default=default,
            config=(tyro.conf.OmitArgPrefixes,),
        )


def parse_some(kind: type[Arguments], argv: list[str], *, prog: str) -> Arguments:
    """What `kind` has of the flags in `argv`, before the others can be parsed; `--help` is not among them.

    Raises:
        UsageError: as `parse`.
    """
    with _one_line(argv, prog):
        return tyro.cli(kind, args=argv, prog=prog, return_unknown_args=True, add_help=False)[0]


def report(message: str) -> None:
    """A line for the person at the terminal; results go to stdout, this goes to stderr."""
    print(visible(message, kept="\n"), file=sys.stderr, flush=True)


@contextlib.contextmanager
def _one_line(argv: list[str], prog: str) -> Iterator[None]:
    """Turns tyro's box about a wrong argument into a UsageError."""
    captured = io.StringIO()
    try:
        with contextlib.redirect_stderr(captured), _wide_terminal("-h" not in argv and "--help" not in argv):
            yield
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_first_sentence(captured.getvalue())}\n{prog} --help lists what it takes") from None


@contextlib.contextmanager
def _wide_terminal(wide: bool):
    """No line breaks inside tyro's messages, so that the first line is the whole sentence."""
    before = os.environ.get("COLUMNS")
    if wide:
        os.environ["COLUMNS"] = "1000"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("COLUMNS", None)
        else:
            os.environ["COLUMNS"] = before


def _first_sentence(box: str) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", box)
    # the frame is of dashes and spaces where stdout is plain ASCII
    missing = re.findall(r"^│? +(--\S+ \S+)", text, re.MULTILINE) if "Missing from" in text else []
    if missing:
        return f"{', '.join(missing)} must be given"
    lines = [line.strip("│╭╮╰╯─|+- \t") for line in text.splitlines()]
    lines = [line for line in lines if line]
    return lines[1] if len(lines) > 1 else " ".join(lines)
