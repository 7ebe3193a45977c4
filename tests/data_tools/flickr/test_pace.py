"""Patience and pace: repetitions, waits, time-outs, rates, and what outlives the process."""

import email.utils
import json
import signal
import subprocess
import sys
import time

import pytest

from data_tools import cache
from data_tools.errors import DataError
from data_tools.flickr import fetching
from data_tools.flickr.fetching import _seconds
from data_tools.flickr.lanes import Lane
from tests.data_tools.flickr.fake_flickr import KEY, FakeFlickr, Photo

SERVER = ("https", "api.flickr.com", 443)


def faults(tmp_path):
    return json.loads((tmp_path / "collection" / "status.json").read_text())["faults"]


@pytest.mark.parametrize("kind", FakeFlickr.IMAGE_FAULTS)
def test_a_fault_that_passes_costs_nothing_but_time(searched, collect, known, tmp_path, kind):
    server = searched(count=1, stall=1.0)
    server.script.extend([kind] * 2)
    assert collect(server, "download", *(["--timeout", 0.4] if kind == "stall" else [])) == 0
    assert known()["1000"]["state"] == "downloaded"
    assert server.faults[kind] == 2
    told = {"429 after": "status 429 with Retry-After", "stall": "time-out", "truncated": "truncated body",
            "html": "wrong content type", "elsewhere": "redirect to another host", "cut": "broken picture",
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
    assert collect(server, "download", "--retry-wait", 0.1) == 0
    times = server.times["images"]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert [gap >= wait for gap, wait in zip(gaps, (0.1, 0.2, 0.4), strict=True)] == [True] * 3


def test_timeout(searched, collect):
    server = searched(count=1, stall=3)
    server.script.append("stall")
    assert collect(server, "download", "--timeout", 0.3) == 0
    assert server.times["images"][1] - server.times["images"][0] < 2


def test_an_endless_drip_is_a_time_out(searched, collect, known, monkeypatch):
    monkeypatch.setattr(fetching, "_PATIENCE", 4)
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
    assert time.monotonic() - began < 6  # each of the two answers would drip for ten seconds
    assert known()["1000"]["reason"] == "refused: time-out"


def test_a_lane_is_of_a_kind_a_server_and_a_key():
    lane = Lane("api", SERVER, "key")
    assert lane.turn(100) == 0 and 99 < lane.turn(100) <= 100
    for other in (Lane("images", SERVER, "key"), Lane("api", ("http", "127.0.0.1", 80), "key"), Lane("api", SERVER)):
        assert other.turn(0.001) == 0
    lane.hold(200)
    assert 195 < Lane("api", SERVER, "key").turn(0.001) <= 200  # as another process would ask
    assert not any("key" in path.name for path in (cache.cache_folder() / "lanes").iterdir())


@pytest.mark.parametrize("content", [b"", b"\xff" * 50, b"nan inf\n", b"1 2 3", b"1e999 0"])
def test_a_damaged_lane_stops_nothing(content):
    lane = Lane("api", SERVER)
    lane.hold(1)
    [path] = (cache.cache_folder() / "lanes").iterdir()
    path.write_bytes(content)
    assert lane.turn(5) == 0 and 4 < lane.turn(5) <= 5


def test_a_cache_that_cannot_be_written_says_what_to_set(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot be written.*TFGAN_SUITE_CACHE"):
        Lane("api", SERVER).turn(1)


def test_a_clock_that_was_set_back_stops_nothing(monkeypatch):
    lane = Lane("images", SERVER)
    assert lane.turn(5) == 0
    lane.hold(20)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    assert 0 < lane.turn(5) <= 5


def test_the_rate_holds_for_a_key_whatever_the_folder(flickr, tmp_path, monkeypatch):
    """Two processes with a collection each ask as often as one; one with another key is not held up by them."""
    server = flickr([Photo(1_000 + index, ["gecko"]) for index in range(60)], per_page=20)
    monkeypatch.setenv("FLICKR_API_KEY", KEY)
    line = [sys.executable, "-m", "data_tools.flickr", "search", "--tags", "gecko", "--endpoint", server.endpoint]
    processes = [
        subprocess.Popen([*line, "--rate", "12000", "--output", str(tmp_path / name)], stdout=subprocess.DEVNULL)
        for name in ("one", "two")
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    times = sorted(server.times["api"])
    assert len(times) >= 10
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert times[-1] - times[0] >= (len(times) - 1) * 0.3 - 0.1 and sorted(gaps)[1] > 0.15  # but for jitter on the way


def test_long_waits_are_told(searched, collect, capsys, monkeypatch):
    server = searched(count=1)
    Lane("images", ("http", "127.0.0.1", server.server_port)).hold(0.9)
    monkeypatch.setattr(fetching, "_SAID", 0.1)
    assert collect(server, "download") == 0
    assert "waiting 1 s, as the server asked" in capsys.readouterr().err


def test_ctrl_c_ends_soon_and_the_next_run_goes_on(searched, collect, tmp_path, known):
    server = searched(count=6, stall=2)
    server.script.extend([None, None, *["stall"] * 4])
    line = [sys.executable, "-m", "data_tools.flickr", "download", "--output", tmp_path / "collection"]
    line += ["--rate", 36_000, "--endpoint"]
    with subprocess.Popen(
        [str(word) for word in [*line, server.endpoint]],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell ignores it for what runs behind
    ) as process:
        while len(server.times["images"]) < 3:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=30)
    assert process.returncode == 130 and message.endswith("interrupted\n") and "Traceback" not in message
    server.script.clear()
    assert collect(server, "download") == 0
    assert {record["state"] for record in known().values()} == {"downloaded"}


def test_a_wait_of_days_ends_the_command(searched, collect, capsys):
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


def test_a_dead_network_ends_the_command(searched, collect, capsys, known):
    server = searched(count=30)
    for photo in server.photos.values():
        photo.status = None
    server.shutdown()
    server.server_close()
    assert collect(server, "download", "--retries", 0) == 1
    assert "error: 20 photographs in a row could not be fetched" in capsys.readouterr().err
    server.server_close = server.shutdown = lambda: None
    assert {record["state"] for record in known().values()} == {"found", "failed"}


def test_a_server_that_only_refuses_ends_the_command(searched, collect, capsys, known):
    server = searched(count=30)
    server.script.extend(["503"] * 60)
    assert collect(server, "download", "--retries", 1) == 1
    assert "could not be fetched, the last one for 'status 503': check the network" in capsys.readouterr().err
    assert collect(server, "download", "--retries", 20) == 0
    assert {record["state"] for record in known().values()} == {"downloaded"}


def test_workers_fetch_at_a_time(searched, collect):
    server = searched(count=8)
    under_way, most = [0], [0]

    class Handler(server.RequestHandlerClass):
        def picture(self, path, fault):
            with server.lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            time.sleep(0.1)
            with server.lock:
                under_way[0] -= 1
            super().picture(path, fault)

    server.RequestHandlerClass = Handler
    assert collect(server, "download", "--workers", 3, "--limit", 3) == 0
    assert most[0] == 3
    most[0] = 0
    assert collect(server, "download", "--workers", 1) == 0
    assert most[0] == 1


def test_the_rate_holds_over_restarts(searched, collect, tmp_path):
    server = searched(count=4)
    line = [sys.executable, "-m", "data_tools.flickr", "download", "--output", tmp_path / "collection", "--endpoint"]
    line += [server.endpoint, "--rate", "7200"]
    for _ in range(3):  # killed at once after each request
        before = len(server.times["images"])
        with subprocess.Popen([str(word) for word in line], stderr=subprocess.DEVNULL) as process:
            while len(server.times["images"]) == before:
                time.sleep(0.005)
            process.kill()
    times = server.times["images"]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert len(times) >= 3 and min(gaps) > 0.45


def test_the_rate_of_searches(flickr, collect):
    server = flickr([Photo(1_000 + index, ["gecko"]) for index in range(100)], per_page=20)
    assert collect(server, "search", "--tags", "gecko", "--rate", 36_000) == 0
    times = server.times["api"]
    assert len(times) >= 6 and times[-1] - times[0] >= (len(times) - 1) * 0.1 - 0.05
