"""The collector's command line: help, refusals, exit status, the key."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

from data_tools import command as commands
from data_tools.errors import DataError
from data_tools.flickr.__main__ import main
from data_tools.flickr.api import read_key
from data_tools.flickr.arguments import FLICKR_API, Download, Search
from data_tools.flickr.fetching import Fetcher, Manners
from data_tools.flickr.manifest import records
from data_tools.flickr.store import Store
from tests.data_tools.flickr.fake_flickr import KEY, Photo

COMMANDS = ("search", "download", "prepare", "status", "export")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples(name, command):
    result = command("data_tools.flickr", name, "--help")
    assert result.returncode == 0 and result.stderr == ""
    assert f"python -m data_tools.flickr {name} --output " in result.stdout.partition("Examples")[2]


def test_help_is_fast(command):
    seconds = []
    while len(seconds) < 5 and min(seconds, default=9) >= 0.8:
        before = os.times()
        result = command("data_tools.flickr", "--help")
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        seconds.append(used)
        assert result.returncode == 0 and all(f"data_tools.flickr {name}" in result.stdout for name in COMMANDS)
    assert min(seconds) < 0.8  # of the processor, as other tests keep the cores busy


def test_neither_tensorflow_nor_the_suite_is_imported():
    code = (
        "import sys, data_tools.flickr.__main__, data_tools.flickr.export, data_tools.flickr.download, "
        "data_tools.flickr.search, data_tools.flickr.prepare; "
        "sys.exit(bool({'tensorflow', 'keras', 'tfgan_suite', 'models_zoo'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_status_beside_other_commands_breaks_neither(flickr, collect, known, tmp_path):
    server = flickr([Photo(1_000 + index, ["gecko"]) for index in range(300)])
    assert collect(server, "search", "--tags", "gecko") == 0
    code = (
        "import pathlib, sys\n"
        "from data_tools.flickr.manifest import write_manifest\n"
        "from data_tools.flickr.status import status, write_status\n"
        "from data_tools.flickr.store import Store\n"
        "store = Store(pathlib.Path(sys.argv[1]), alone=False)\n"
        "for _ in range(20):\n"
        "    write_manifest(store), write_status(store, status(store))\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "collection")]
    processes = [subprocess.Popen(run, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[1] for process in processes] == [""] * 3
    assert len(known()) == 300
    assert not list((tmp_path / "collection").glob("*.tmp"))


def test_the_manifest_is_of_one_moment(flickr, collect, tmp_path):
    assert collect(flickr([Photo(1_000, ["gecko"])]), "search", "--tags", "gecko") == 0
    with Store(tmp_path / "collection") as store, Store(tmp_path / "collection", alone=False) as reader:
        read = reader.rows

        def interrupted(sql):
            found = read(sql)
            if "prepared" in sql:  # meanwhile the other process goes on, if it can
                store._connection.execute("PRAGMA busy_timeout=0")
                with contextlib.suppress(sqlite3.OperationalError, DataError):
                    store.write("UPDATE photos SET title = 'another'")
            return found

        reader.rows = interrupted
        assert [record["title"] for record in records(reader)] == ["Photograph 1000"]


def test_the_default_rates_are_well_under_what_flickr_allows():
    assert Search.rate <= 3_000 and Download.rate <= 3_000


LONGER_TABLES = """
import sys
import data_tools
from data_tools.flickr import export, licences, prepare, queries
data_tools.DATASETS["birds"] = "data_tools.birds"
queries.PRESETS["birds"] = (queries.Query("owl", "tags", "owl", 7),)
licences.LICENCES["gpl"] = "a licence of programs"
prepare.FITS = (*prepare.FITS, "stretch")
export.FORMATS["zip"] = None
from data_tools import command, inspect
from data_tools.flickr import arguments
words = [*sys.argv[1:], "--output", "new"]
kind = inspect.Arguments if words[0] == "inspect" else getattr(arguments, words[0].capitalize())
print(command.parse(kind, words[1:], prog="it"))
"""


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("search", "--preset", "birds", "arachnids", "--licences", "by", "gpl"), "preset=('birds', 'arachnids')"),
        (("prepare", "--fit", "stretch"), "fit='stretch'"),
        (("export", "--to", "out", "--format", "zip"), "format='zip'"),
        (("inspect", "birds"), "dataset='birds'"),
        (("search", "--help"), "birds finds 7 photographs of 1 classes"),
        (("search", "--help"), "all-rights-reserved,gpl} ...]"),
    ],
)
def test_what_a_table_gains_is_a_choice_at_once(words, shown):
    run = [sys.executable, "-c", LONGER_TABLES, *words]
    result = subprocess.run(run, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "300"})
    assert shown in " ".join(result.stdout.split())


SEARCH = ("search", "--output", "new", "--tags", "gecko")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "a command is needed: search, download, prepare, status, export"),
        (["fetch"], 2, "the command must be one of search, download, prepare, status, export. Received: fetch"),
        (["search", "--tags", "gecko"], 2, "error: --output PATH must be given"),
        (["search", "--output", "new"], 2, "search needs --preset, --tags or --text"),
        ([*SEARCH, "--no-such-flag"], 2, "--no-such-flag"),
        ([*SEARCH, "--per-query", "0"], 2, "--per-query must be more than 0. Received: 0"),
        ([*SEARCH, "--limit", "-1"], 2, "--limit must be more than 0. Received: -1"),
        ([*SEARCH, "--rate", "0"], 2, "--rate must be more than 0"),
        ([*SEARCH, "--rate", "nan"], 2, "--rate must be more than 0"),
        ([*SEARCH, "--rate", "3601"], 2, "--rate must be at most 3,600, what Flickr allows. Received: 3601"),
        ([*SEARCH, "--retries", "-1"], 2, "--retries must be at least 0"),
        ([*SEARCH, "--licences", "by", "gpl"], 2, "--licences must be among by, by-sa"),
        ([*SEARCH, "--preset", "birds"], 2, "birds"),
        (["search", "--output", "new", "--tags", "../x=a"], 2, "--tags takes [CLASS=]WORDS with a class of small"),
        (["search", "--output", "new", "--tags", "train"], 2, "a class must not be named as a split, such as train"),
        (["search", "--output", "new", "--text", "validation=a"], 2, "a class must not be named as a split"),
        (["search", "--output", "new", "--text", "a="], 2, "--text takes [CLASS=]WORDS"),
        (["search", "--output", "new", "--tags", "ÄÖ"], 2, "--tags takes [CLASS=]WORDS"),
        ([*SEARCH, "--endpoint", "http://flickr.example/rest/"], 2, "--endpoint must be an https:// address"),
        ([*SEARCH, "--endpoint", "file:///etc/passwd"], 2, "--endpoint must be an https:// address"),
        ([*SEARCH, "--endpoint", "https://flickr.example:99999/"], 2, "--endpoint must be an https:// address"),
        ([*SEARCH, "--endpoint", "https://["], 2, "--endpoint must be an https:// address"),
        ([*SEARCH, "--key-file", "nowhere"], 2, "--key-file nowhere cannot be read (No such file or directory)"),
        ([*SEARCH, "--key-file", "wrong.key"], 2, "--key-file wrong.key must be one word of 8 to 128 letters"),
        (SEARCH, 2, "a key of Flickr's API is needed: set FLICKR_API_KEY, or put it into a file for --key-file"),
        (["download", "--output", "new"], 1, "--output new holds no collection (collection.sqlite): start one with"),
        (["download", "--output", "new", "--workers", "0"], 2, "--workers must be more than 0"),
        (["prepare", "--output", "new", "--size", "0"], 2, "--size must be more than 0"),
        (["prepare", "--output", "new", "--near", "-2"], 2, "--near must be at least -1"),
        (["prepare", "--output", "new", "--fit", "stretch"], 2, "stretch"),
        (["status", "--output", "new"], 1, "holds no collection"),
        (["export"], 2, "error: --output PATH, --to PATH must be given"),
        (["export", "--output", "new", "--to", "out"], 1, "holds no collection"),
        (["export", "--output", "new", "--to", "out", "--format", "zip"], 2, "zip"),
    ],
)
def test_refusals_are_two_lines_and_write_nothing(tmp_path, monkeypatch, capsys, arguments, status, message):
    (tmp_path / "wrong.key").write_text("a secret with spaces")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLICKR_API_KEY", "")
    found = commands.run(main, list(arguments))
    told = capsys.readouterr().err
    assert found == status, told
    assert message in told.replace("\n", " ") and 1 <= len(told.splitlines()) <= 2
    assert "secret" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.key"]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_is_missing_is_named_on_every_terminal(command, encoding):
    result = command("data_tools.flickr", "export", env={"PYTHONIOENCODING": encoding})
    assert "error: --output PATH, --to PATH must be given\n" in result.stderr


@pytest.mark.parametrize(("arguments", "status"), [(["status", "--output", "new"], 1), (["fetch"], 2)])
def test_the_process_ends_with_the_status_of_the_command(command, arguments, status):
    result = command("data_tools.flickr", *arguments)
    assert result.returncode == status and 1 <= len(result.stderr.splitlines()) <= 2 and result.stdout == ""


def test_debug_shows_tracebacks(command):
    assert "Traceback" in command("data_tools.flickr", "status", "--output", "new", "--debug").stderr


def test_the_key_file_goes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FLICKR_API_KEY", "fromtheenvironment")
    (tmp_path / "key").write_text(f"\n{KEY}\n")
    assert read_key(tmp_path / "key") == KEY
    assert read_key(None) == "fromtheenvironment"


def test_the_key_file_is_used(flickr, collect, known, tmp_path, monkeypatch):
    server = flickr([Photo(1_000, ["gecko"])])
    (tmp_path / "key").write_text(KEY)
    monkeypatch.setattr("os.environ", {})
    assert collect(server, "search", "--tags", "gecko", "--key-file", tmp_path / "key") == 0
    assert set(known()) == {"1000"}


def test_the_key_does_not_show_when_the_server_is_gone(flickr, collect, tmp_path, capsys):
    server = flickr([])
    server.server_close()
    server.shutdown()
    server.shutdown = lambda: None
    assert collect(server, "search", "--tags", "gecko", "--retries", 1) == 1
    message = capsys.readouterr().err
    assert "error: the server cannot be searched (no connection): check --endpoint and the network" in message
    with pytest.raises(Exception, match="cannot be searched") as caught:
        collect(server, "search", "--tags", "gecko", "--retries", 0, "--debug")
    assert KEY not in message + str(caught.getrepr(chain=True, showlocals=False))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://live.staticflickr.com/1/2.jpg", True),
        ("https://farm5.staticflickr.com/1/2.jpg", True),
        ("https://api.flickr.com/services/rest/", True),
        ("http://live.staticflickr.com/1/2.jpg", False),
        ("https://live.staticflickr.com.evil.example/2.jpg", False),
        ("https://evilstaticflickr.com/2.jpg", False),
        ("https://live.staticflickr.com:8443/2.jpg", False),
        ("http://127.0.0.1:8000/2.jpg", False),
        ("ftp://live.staticflickr.com/2.jpg", False),
    ],
)
def test_which_hosts_are_asked(url, allowed):
    manners = Manners(endpoint=FLICKR_API, rate=1, retries=0, retry_wait=1, timeout=1)
    assert Fetcher(None, "images", manners).allowed(url) == allowed


def test_another_endpoint_may_serve_pictures():
    manners = Manners(endpoint="http://127.0.0.1:8000/rest", rate=1, retries=0, retry_wait=1, timeout=1)
    assert Fetcher(None, "images", manners).allowed("http://127.0.0.1:8000/2.jpg")
    assert Fetcher(None, "images", manners).allowed("https://live.staticflickr.com/2.jpg")
    assert not Fetcher(None, "images", manners).allowed("http://127.0.0.1:8001/2.jpg")
