"""Fetching: patience, pace, hosts, and files of every bad kind."""

import email.utils
import http.server
import json
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from PIL import Image

from data_tools.flickr.checks import Rules, examine
from data_tools.flickr.fetching import _seconds
from tests.data_tools.flickr.fake_flickr import FakeFlickr, Photo, jpeg


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


def faults(tmp_path):
    return json.loads((tmp_path / "collection" / "status.json").read_text())["faults"]


def test_every_photo_is_fetched_once_and_kept_as_it_came(searched, collect, known, tmp_path):
    server = searched()
    assert collect(server, "download") == 0
    assert collect(server, "download") == 0
    assert server.delivered == dict.fromkeys(server.photos, 1)
    for identity, record in known().items():
        path = tmp_path / "collection" / record["original"]
        assert path == tmp_path / "collection" / "originals" / identity[-2:] / f"{identity}.jpg"
        assert path.read_bytes() == server.photos[identity].body
        assert (record["bytes"], record["width"], record["height"]) == (path.stat().st_size, 200, 150)
    assert not list((tmp_path / "collection" / "incoming").iterdir())


def test_limit(searched, collect):
    server = searched()
    assert collect(server, "download", "--limit", 2) == 0
    assert set(server.delivered) == {"1000", "1001"}
    assert collect(server, "download", "--limit", 2) == 0
    assert set(server.delivered) == {"1000", "1001", "1002", "1003"}


@pytest.mark.parametrize("kind", FakeFlickr.IMAGE_FAULTS)
def test_a_fault_that_passes_costs_nothing_but_time(searched, collect, known, tmp_path, kind):
    server = searched(count=1, stall=1.5)
    server.script.extend([kind] * 2)
    assert collect(server, "download") == 0
    assert known()["1000"]["state"] == "downloaded"
    assert server.faults[kind] == 2
    told = {"429 after": "status 429 with Retry-After", "stall": "time-out", "truncated": "truncated body",
            "html": "wrong content type", "elsewhere": "redirect to another host",
            "reset": "no connection"}  # fmt: skip
    assert faults(tmp_path)[f"images: {told.get(kind, f'status {kind}')}"] == 2


def test_retries_bound_the_attempts_and_the_next_run_tries_again(searched, collect, known, capsys):
    server = searched(count=1)
    server.script.extend(["500"] * 4)
    assert collect(server, "download", "--retries", 2) == 0
    assert len(server.times["images"]) == 3
    assert (known()["1000"]["state"], known()["1000"]["reason"]) == ("failed", "refused: status 500")
    assert "1 photographs could not be fetched: the same command tries them again" in capsys.readouterr().err
    assert collect(server, "download", "--retries", 2) == 0
    assert known()["1000"]["state"] == "downloaded" and known()["1000"]["reason"] == ""


def test_retry_after_holds_all_requests(searched, collect):
    server = searched(count=6)
    server.script.append("429 after")
    assert collect(server, "download", "--workers", 1) == 0
    first, second, *_ = sorted(server.times["images"])
    assert second - first >= 1


def test_retry_wait_doubles(searched, collect):
    server = searched(count=1)
    server.script.extend(["500"] * 3)
    assert collect(server, "download", "--retry-wait", 0.2) == 0
    times = server.times["images"]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert [gap >= wait for gap, wait in zip(gaps, (0.2, 0.4, 0.8), strict=True)] == [True] * 3


def test_timeout(searched, collect):
    server = searched(count=1, stall=3)
    server.script.append("stall")
    assert collect(server, "download", "--timeout", 0.3) == 0
    assert server.times["images"][1] - server.times["images"][0] < 2


def test_an_endless_drip_is_a_time_out(searched, collect, known):
    server = searched(count=1)

    class Handler(server.RequestHandlerClass):
        def picture(self, path, fault):
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b"x")
                time.sleep(0.05)

    server.RequestHandlerClass = Handler
    began = time.monotonic()
    assert collect(server, "download", "--timeout", 0.1, "--retries", 1) == 0
    assert time.monotonic() - began < 8
    assert known()["1000"]["reason"] == "refused: time-out"


def test_a_wait_of_days_ends_the_command_and_is_kept_to(searched, collect, capsys):
    server = searched(count=1)

    class Handler(server.RequestHandlerClass):
        def picture(self, path, fault):
            self.send(b"", "text/plain", 429, Retry_After="100000")

    server.RequestHandlerClass = Handler
    assert collect(server, "download") == 1
    assert "the server asks to wait 100,000 s" in capsys.readouterr().err
    assert len(server.times["images"]) == 1


def test_retry_after_may_be_a_date_or_nonsense():
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 95 < _seconds(later) <= 100
    assert _seconds("Fri, 01 Jan 1999 00:00:00 GMT") == 0
    assert (_seconds("7"), _seconds(" 0 "), _seconds("soon"), _seconds(""), _seconds("-3")) == (7, 0, None, None, None)


def test_a_file_beyond_all_bounds_is_not_read(searched, collect, known):
    server = searched(count=1)

    class Handler(server.RequestHandlerClass):
        def picture(self, path, fault):
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(10**12))
            self.end_headers()
            self.close_connection = True

    server.RequestHandlerClass = Handler
    assert collect(server, "download") == 0
    assert known()["1000"]["reason"] == "refused: more than 67,108,864 bytes"
    assert len(server.times["images"]) == 1


def test_no_other_host_is_ever_asked(searched, collect, known):
    asked = []

    class Trap(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

    trap = http.server.HTTPServer(("127.0.0.1", 0), Trap)
    threading.Thread(target=trap.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{trap.server_port}/photo.jpg"
    server = searched([Photo(1_000, ["gecko"], moved_to=address), Photo(1_001, ["gecko"], moved_to="http://["),
                       Photo(1_002, ["gecko"], moved_to="file:///etc/passwd")])  # fmt: skip
    assert collect(server, "download", "--retries", 1) == 0
    trap.shutdown()
    trap.server_close()
    assert asked == []
    assert {record["state"] for record in known().values()} == {"set_aside"}
    assert known()["1000"]["reason"] == "refused: redirect to another host"


def test_a_redirect_on_the_same_host_is_followed(searched, collect, known, distinct_photographs):
    [body] = distinct_photographs(1)
    server = searched([Photo(1_000, ["gecko"], moved_to="/65535/1001_x.jpg"), Photo(1_001, ["gecko"], body)])
    assert collect(server, "download") == 0
    assert known()["1000"]["sha256"] == known()["1001"]["sha256"]


def test_a_picture_that_was_removed(searched, collect, known):
    moved = "https://combo.staticflickr.com/pw/images/en-us/photo_unavailable.png"
    server = searched([Photo(1_000, ["gecko"], moved_to=moved), Photo(1_001, ["gecko"], status=410)])
    assert collect(server, "download") == 0
    assert [known()[identity]["reason"] for identity in ("1000", "1001")] == [
        "gone: no longer available",
        "gone: status 410",
    ]


def test_a_dead_network_ends_the_command(searched, collect, capsys, known):
    server = searched(count=30)
    for photo in server.photos.values():
        photo.status = None
    server.shutdown()
    server.server_close()
    assert collect(server, "download", "--retries", 0) == 1
    assert "error: no answer for 20 photographs in a row" in capsys.readouterr().err
    server.server_close = server.shutdown = lambda: None
    assert {record["state"] for record in known().values()} == {"found", "failed"}


def test_workers_fetch_at_a_time(searched, collect):
    server = searched(count=8)
    under_way, most = [0], [0]

    class Handler(server.RequestHandlerClass):
        def picture(self, path, fault):
            with server.lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            time.sleep(0.2)
            with server.lock:
                under_way[0] -= 1
            super().picture(path, fault)

    server.RequestHandlerClass = Handler
    assert collect(server, "download", "--workers", 3, "--limit", 3) == 0
    assert most[0] == 3
    most[0] = 0
    assert collect(server, "download", "--workers", 1) == 0
    assert most[0] == 1


@pytest.mark.parametrize("place", ["incoming", "moved"])
def test_a_file_that_came_before_a_kill_is_not_fetched_again(searched, collect, known, tmp_path, place):
    server = searched(count=2)
    folder = tmp_path / "collection" / "incoming"
    folder.mkdir()
    (folder / ".1001.tmp").write_bytes(b"half")
    if place == "incoming":  # killed before the state was written
        (folder / "1000").write_bytes(server.photos["1000"].body)
    else:  # killed before the file was moved
        assert collect(server, "download", "--limit", 1) == 0
        (tmp_path / "collection" / known()["1000"]["original"]).rename(folder / "1000")
        server.delivered.clear()
    assert collect(server, "download") == 0
    assert server.delivered == {"1001": 1}
    assert {record["state"] for record in known().values()} == {"downloaded"}
    assert all((tmp_path / "collection" / record["original"]).is_file() for record in known().values())
    assert list(folder.iterdir()) == []


def test_the_rate_holds_over_restarts(searched, collect, tmp_path):
    server = searched(count=4)
    line = [sys.executable, "-m", "data_tools.flickr", "download", "--output", tmp_path / "collection", "--endpoint"]
    line += [server.endpoint, "--rate", "3600"]
    for _ in range(3):  # killed at once after each request
        before = len(server.times["images"])
        with subprocess.Popen([str(word) for word in line], stderr=subprocess.DEVNULL) as process:
            while len(server.times["images"]) == before:
                time.sleep(0.005)
            process.kill()
    times = server.times["images"]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert len(times) >= 3 and min(gaps) > 0.95


def test_the_rate_of_searches(flickr, collect):
    server = flickr([Photo(1_000 + index, ["gecko"]) for index in range(100)], per_page=20)
    assert collect(server, "search", "--tags", "gecko", "--rate", 18_000) == 0
    times = server.times["api"]
    assert len(times) >= 6 and times[-1] - times[0] >= (len(times) - 1) * 0.2 - 0.05


def test_two_commands_at_once_are_refused(searched, collect, tmp_path, capsys):
    from data_tools.flickr.store import Store

    server = searched(count=1)
    with Store(tmp_path / "collection"):
        assert collect(server, "download") == 1
        assert "another command is working on" in capsys.readouterr().err
        assert collect(server, "status") == 0
    assert collect(server, "download") == 0


def test_min_side_and_max_aspect(searched, collect, known):
    noise = Image.effect_noise((600, 200), 60)
    photos = [Photo(1_000, ["gecko"], jpeg(noise)), Photo(1_001, ["gecko"], jpeg(noise.crop((0, 0, 120, 110))))]
    server = searched(photos)
    assert collect(server, "download", "--limit", 1, "--max-aspect", 2.9) == 0
    assert collect(server, "download", "--min-side", 111) == 0
    assert known()["1000"]["reason"] == "extreme aspect: 600 x 200 pixels"
    assert known()["1001"]["reason"] == "tiny: 120 x 110 pixels"
    assert [examine(photo.body, Rules()).extension for photo in photos] == ["jpg", "jpg"]


def test_files_that_are_set_aside_are_kept_with_their_reason(searched, collect, known, tmp_path):
    body = jpeg(Image.new("RGB", (400, 300), (9, 90, 200)))
    server = searched([Photo(1_000, ["gecko"], body), Photo(1_001, ["gecko"], b"no picture")])
    assert collect(server, "download") == 0
    assert known()["1000"]["reason"] == "one colour" and known()["1001"]["reason"].startswith("broken: ")
    assert (tmp_path / "collection" / "set_aside" / "1000.jpg").read_bytes() == body
    assert (tmp_path / "collection" / "set_aside" / "1001.bin").read_bytes() == b"no picture"


def test_the_key_is_not_needed(searched, collect, monkeypatch):
    server = searched(count=1)
    monkeypatch.delenv("FLICKR_API_KEY")
    assert collect(server, "download") == 0


def test_nothing_of_a_foreign_database_is_used(tmp_path, collect, flickr, capsys):
    (tmp_path / "collection").mkdir()
    (tmp_path / "collection" / "collection.sqlite").write_bytes(b"no database at all" * 100)
    assert collect(flickr(), "download") == 1
    assert "cannot be used as a collection's state" in capsys.readouterr().err
    with sqlite3.connect(tmp_path / "collection" / "other") as connection:
        connection.execute("PRAGMA user_version=99")
        connection.execute("CREATE TABLE a (b)")
    (tmp_path / "collection" / "other").rename(tmp_path / "collection" / "collection.sqlite")
    assert collect(flickr(), "download") == 1
    assert "has the layout 99" in capsys.readouterr().err
