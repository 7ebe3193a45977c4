"""Fixtures of the collector's tests: servers, photographs, and the commands run against them."""

import json

import numpy as np
import pytest
from PIL import Image

from data_tools import command
from data_tools.flickr.__main__ import main
from tests.data_tools.flickr.fake_flickr import KEY, FakeFlickr, Photo, jpeg, originals, signs_of


@pytest.fixture
def flickr():
    """Makes servers, and ends them."""
    servers = []

    def make(*arguments, **options):
        servers.append(FakeFlickr(*arguments, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def distinct_photographs():
    """Makes `count` JPEG files, no two of which are near each other: cut-outs of the originals, turned and mirrored."""
    drawn = {}

    def make(count, bases=None):
        if bases is None and count in drawn:
            return list(drawn[count])
        files = draw(count, bases)
        if bases is None:
            drawn[count] = tuple(files)
        return files

    def draw(count, bases):
        bases, rng = bases or originals(), np.random.default_rng(0)
        small = [base.resize((400, 400)) for base in bases]
        files, seen = [], np.empty((0, 612), dtype=bool)
        while len(files) < count:
            side = int(rng.integers(110, 260))
            left, top = rng.integers(0, 400 - side, 2)
            picture = small[int(rng.integers(len(small)))].crop((left, top, left + side, top + side))
            picture = picture.transpose(Image.Transpose(int(rng.integers(7)))).resize((200, 150))
            signs = signs_of(picture)
            if len(seen) and (seen ^ signs).sum(axis=1).min() < 140:
                continue
            seen = np.vstack([seen, signs])
            files.append(jpeg(picture))
        return files

    return make


@pytest.fixture
def collect(tmp_path, monkeypatch):
    """Run one command of the collector on the collection `tmp_path / "collection"`; gives the exit status."""
    monkeypatch.setenv("FLICKR_API_KEY", KEY)

    def run(server, name, *arguments):
        given = [str(argument) for argument in arguments]
        if name in ("search", "download"):
            defaults = {"--endpoint": server.endpoint, "--retry-wait": "0.01", "--timeout": "1", "--rate": "3600000"}
            given += [word for option in defaults if option not in given for word in (option, defaults[option])]
        return command.run(main, [name, "--output", str(tmp_path / "collection"), *given])

    return run


@pytest.fixture
def known(tmp_path):
    """Reads the manifest: photo id -> record."""

    def read():
        lines = (tmp_path / "collection" / "manifest.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert len({record["id"] for record in records}) == len(records)
        return {record["id"]: record for record in records}

    read.collection = tmp_path / "collection"
    return read


@pytest.fixture
def searched(flickr, collect, distinct_photographs):
    """A server whose photos were all found."""

    def make(photos=None, count=6, **options):
        files = distinct_photographs(count)
        photos = photos or [Photo(1_000 + index, ["gecko"], body) for index, body in enumerate(files)]
        server = flickr(photos, **options)
        assert collect(server, "search", "--tags", "gecko", "--per-query", 10_000) == 0
        return server

    return make
