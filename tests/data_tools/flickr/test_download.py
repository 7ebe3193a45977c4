"""What is done with the files that come, and with those that do not."""

import http.server
import sqlite3
import threading

import pytest
from PIL import Image

from data_tools.flickr.checks import Rules, examine
from data_tools.flickr.store import Store
from tests.data_tools.flickr.fake_flickr import Photo, jpeg


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
    threading.Thread(target=trap.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{trap.server_port}/photo.jpg"
    server = searched([Photo(1_000, ["gecko"], moved_to=address), Photo(1_001, ["gecko"], moved_to="http://["),
                       Photo(1_002, ["gecko"], moved_to="file:///etc/passwd")])  # fmt: skip
    assert collect(server, "download", "--retries", 1) == 0
    trap.shutdown()
    trap.server_close()
    assert asked == []
    assert {record["state"] for record in known().values()} == {"failed"}
    assert known()["1000"]["reason"] == "refused: redirect to another host"


@pytest.mark.parametrize("fault", ["login", "html", "403", "451"])
def test_a_network_that_answers_in_the_servers_place_loses_nothing(searched, collect, known, capsys, fault):
    server = searched(count=22)
    for photo in server.photos.values():
        photo.moved_to = "http://portal.example/login" if fault == "login" else None
        photo.media_type = "text/html" if fault == "html" else "image/jpeg"
        photo.status = int(fault) if fault.isdecimal() else 200
    assert collect(server, "download", "--retries", 0) == 1
    message = capsys.readouterr().err
    assert "error: 20 photographs in a row could not be fetched, the last one for " in message
    assert {record["state"] for record in known().values()} <= {"found", "failed"}
    for photo in server.photos.values():
        photo.moved_to, photo.media_type, photo.status = None, "image/jpeg", 200
    assert collect(server, "download") == 0
    assert server.delivered == dict.fromkeys(server.photos, 1)
    assert {record["state"] for record in known().values()} == {"downloaded"}


def test_a_picture_that_is_cut_on_its_way_is_fetched_anew(searched, collect, known, tmp_path):
    server = searched(count=2)
    server.script.extend(["cut", "cut", None, "cut", None])
    assert collect(server, "download", "--workers", 1) == 0
    assert {record["state"] for record in known().values()} == {"downloaded"}
    for identity, record in known().items():
        assert (tmp_path / "collection" / record["original"]).read_bytes() == server.photos[identity].body


def test_a_broken_picture_is_asked_for_again_by_the_next_download(searched, collect, known, tmp_path):
    server = searched(count=2)
    whole = server.photos["1001"].body
    server.photos["1001"].body = whole[:-500]
    assert collect(server, "download") == 0
    assert known()["1001"]["state"] == "set_aside" and known()["1001"]["reason"].startswith("broken: ")
    aside = tmp_path / "collection" / known()["1001"]["original"]
    assert aside.read_bytes() == whole[:-500] and server.delivered == {"1000": 1, "1001": 3}
    assert collect(server, "download") == 0  # the same again: once is enough
    assert known()["1001"]["state"] == "set_aside" and server.delivered == {"1000": 1, "1001": 4}
    server.photos["1001"].body = whole
    assert collect(server, "download") == 0
    assert known()["1001"]["state"] == "downloaded" and known()["1001"]["reason"] == ""
    assert (tmp_path / "collection" / known()["1001"]["original"]).read_bytes() == whole and not aside.exists()
    assert server.delivered == {"1000": 1, "1001": 5}


def test_a_picture_that_is_cut_elsewhere_each_time_is_not_held_to_be_broken(searched, collect, known):
    server = searched(count=1)
    whole, sizes = server.photos["1000"].body, iter(range(100, 2000, 100))

    class Handler(server.RequestHandlerClass):
        def picture(self, path, fault):
            self.send(whole[: next(sizes)], "image/jpeg")

    server.RequestHandlerClass = Handler
    assert collect(server, "download") == 0
    assert (known()["1000"]["state"], known()["1000"]["reason"]) == ("failed", "refused: broken picture")


def test_what_failed_before_comes_last(searched, collect):
    server = searched(count=3)
    server.photos["1000"].status = 403
    assert collect(server, "download", "--limit", 1) == 0
    assert collect(server, "download", "--limit", 2) == 0
    assert set(server.delivered) == {"1001", "1002"}


def test_photographs_that_are_gone_do_not_end_the_command(searched, collect, known):
    server = searched([Photo(1_000 + index, ["gecko"], status=404 if index % 2 else 410) for index in range(22)])
    assert collect(server, "download") == 0
    assert {record["state"] for record in known().values()} == {"set_aside"}


def test_what_was_set_aside_as_refused_can_be_fetched_again(searched, collect, known, tmp_path):
    server = searched(count=2)
    with Store(tmp_path / "collection") as store:
        store.update("photos", "id", "1000", state="set_aside", reason="refused: status 403")
        store.update("photos", "id", "1001", state="set_aside", reason="gone: status 404")
    assert collect(server, "download") == 0
    assert not server.delivered
    assert collect(server, "download", "--again") == 0
    assert server.delivered == {"1000": 1} and known()["1000"]["reason"] == ""


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


def test_two_commands_at_once_are_refused(searched, collect, tmp_path, capsys):
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
