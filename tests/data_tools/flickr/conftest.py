"""Fixtures of the collector's tests: servers, photographs, and the commands run against them."""

import numpy as np
import pytest
from PIL import Image

from tests.data_tools.flickr.fake_flickr import KEY, FakeFlickr, jpeg, originals, signs_of


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

    def make(count):
        bases, rng = originals(), np.random.default_rng(0)
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
def collector(command):
    """Run one command of the collector against a server, with the key in the environment."""

    def run(server, name, *arguments, key=KEY, **options):
        network = ("--endpoint", server.endpoint, "--retry-wait", "0.05", "--timeout", "1")
        environment = {"FLICKR_API_KEY": key} if name == "search" else {}
        if name in ("search", "download"):
            arguments = (*network, *(() if "--rate" in arguments else ("--rate", "3600000")), *arguments)
        return command("data_tools.flickr", name, "--output", "collection", *arguments, env=environment, **options)

    return run
