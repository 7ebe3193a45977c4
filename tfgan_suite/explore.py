"""A live page on one generator: samples, walks, directions and arithmetic, each with the command that makes it.

    python -m tfgan_suite.explore results/runs/0001-sngan-shapes-seed0

needs the extra [explore]: pip install 'tfgan_suite[explore]'
"""

from __future__ import annotations

import dataclasses
import importlib.util
import ipaddress
import socket
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from data_tools import command
from data_tools.errors import UsageError
from tfgan_suite.console.quiet_tensorflow import load_tensorflow
from tfgan_suite.images.pixels import RANGES
from tfgan_suite.runs import opening

PROG = "python -m tfgan_suite.explore"
_PORTS = range(7860, 7960)
if TYPE_CHECKING:
    Weights = str
    Values = str
else:
    Weights, Values = Literal[tuple(opening.WEIGHTS)], Literal[tuple(RANGES)]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """A live page on one generator: draw samples, choose the class, walk from sample to sample, move along directions,
    add and subtract, copy names and commands, download. Needs the extra [explore].

    Examples:
      python -m tfgan_suite.explore results/runs/0001-sngan-shapes-seed0
      python -m tfgan_suite.explore exported --port 8000
      %run -m tfgan_suite.explore RUN             (in a notebook, Colab too)
    """

    source: Annotated[str, tyro.conf.Positional]
    """A run folder, or an exported generator (a SavedModel)."""
    weights: Weights = "ema"
    """Of a run: averaged weights, or those of the last step."""
    checkpoint: str = opening.NEWEST
    """Of a run: newest, best (on the selection split), or a step."""
    values: Values = "tanh"
    """Of a SavedModel of others: what its pixels range over, [-1, 1], [0, 1] or [0, 255]."""
    host: str = "127.0.0.1"
    """Address to serve at. Any but a loopback address lets others in, without a password."""
    port: int | None = None
    """Port to serve at; by default the first free one from 7860 on."""
    debug: bool = False
    """Show tracebacks."""


def main(argv: list[str]) -> None:
    arguments = command.parse(Arguments, argv, prog=PROG)
    if importlib.util.find_spec("gradio") is None:
        raise UsageError("the live page needs the package gradio: pip install 'tfgan_suite[explore]'")
    port = _free_port(arguments)
    load_tensorflow()
    from tfgan_suite.exploring import live_page
    from tfgan_suite.exploring.subject import open_subject

    subject = open_subject(
        arguments.source, weights=arguments.weights, checkpoint=arguments.checkpoint, values=arguments.values,
        report=command.report,
    )  # fmt: skip
    page = live_page.page(subject, _flags(arguments))
    if not _is_loopback(arguments.host):
        command.report(f"note: whoever reaches {arguments.host} can use this page; there is no password")
    live_page.launch(page, arguments.host, port)
    print(f"page        http://{arguments.host}:{port}/", flush=True)
    if "ipykernel" not in sys.modules:  # a notebook goes on, and the page stays
        command.report("Ctrl-C ends it")
        threading.Event().wait()


def _flags(arguments: Arguments) -> tuple[str, ...]:
    """Those of `tfgan_suite.sample` that open the same generator."""
    blank = Arguments(source="")
    names = [name for name in ("weights", "checkpoint", "values") if getattr(arguments, name) != getattr(blank, name)]
    return tuple(word for name in names for word in (f"--{name}", getattr(arguments, name)))


def _free_port(arguments: Arguments) -> int:
    """The port to serve at, refused at once if it is taken."""
    if arguments.port is not None and not 1 <= arguments.port <= 65535:
        raise UsageError(f"--port must be from 1 to 65535. Received: {arguments.port}")
    reason = ""
    for port in [arguments.port] if arguments.port is not None else _PORTS:
        try:
            family = socket.getaddrinfo(arguments.host, port, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind((arguments.host, port))
            return port
        except OSError as error:
            reason = error.strerror or str(error)
    raise UsageError(f"nothing can be served at {arguments.host}:{port} ({reason}): give another --port or --host")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(command.run(main))
