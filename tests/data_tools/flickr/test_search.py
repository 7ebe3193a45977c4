"""The walk through a query's results, what is asked for, and what is kept of the answers."""

import collections
import json
import sqlite3

import pytest

from data_tools.flickr import licences, queries
from data_tools.flickr.search import _file
from data_tools.flickr.store import Store
from tests.data_tools.flickr.fake_flickr import KEY, LICENCES, NEWEST, ODD_PAGES, ODD_SHAPES, Photo


def some(count, words=("gecko",), start=1_000, **entry):
    return [Photo(start + index, list(words), **entry) for index in range(count)]


def test_all_of_a_long_search_is_found_once_beyond_the_cap_and_shifting_pages(flickr, collect, known):
    photos = some(437) + some(60, start=5_000, dateupload=str(NEWEST - 70_000))  # sixty in one second
    server = flickr(photos, per_page=20, cap=60)
    server.script.extend([None, None, "shifted", "empty", "repeated", "shifted", "fail", None, "repeated", "empty"])
    assert collect(server, "search", "--tags", "gecko") == 0
    assert set(known()) == {photo.id for photo in photos}
    assert set(server.faults) == {"shifted", "empty", "repeated", "fail"}
    assert max(int(search["page"]) for search in server.searches) <= 4  # one page of that second too many


def test_a_page_of_another_time_leaves_nothing_out(flickr, collect, known):
    server = flickr(some(90), per_page=20)
    server.script.extend([None, None, "repeated"])  # which holds the photograph that the next page begins with
    assert collect(server, "search", "--tags", "gecko") == 0
    assert set(known()) == set(server.photos)


def test_what_is_found_is_not_asked_for_again(flickr, collect):
    server = flickr(some(90), per_page=20)
    assert collect(server, "search", "--tags", "gecko") == 0
    count = len(server.searches)
    assert collect(server, "search", "--tags", "gecko") == 0
    assert len(server.searches) == count


@pytest.mark.parametrize("fault", ["empty", "nothing"])
def test_pages_that_stay_empty_cut_the_query_short_and_the_next_search_goes_on(flickr, collect, known, capsys, fault):
    server = flickr(some(90), per_page=20)
    server.script.extend([None, None, *[fault] * 8])
    assert collect(server, "search", "--tags", "gecko") == 1
    told = capsys.readouterr()
    assert "1 of the queries did not come to their end, such as gecko: tags gecko: its pages are empty" in told.err
    assert "gecko: tags gecko: 20 new, 20 in all, 0 set aside; cut short (its pages are empty where th" in told.out
    assert len(known()) == 20 and len(server.searches) == 9
    assert collect(server, "search", "--tags", "gecko") == 0
    assert set(known()) == set(server.photos)
    assert "gecko: tags gecko: 70 new, 90 in all, 0 set aside; done\n" in capsys.readouterr().out


@pytest.mark.parametrize("fault", [*ODD_SHAPES, *ODD_PAGES])
def test_an_odd_answer_leaves_nothing_out(flickr, collect, known, fault):
    """Wherever in the walk it comes, the last answers included, and though it comes again; only that the results end
    here is believed the second time."""
    photos = some(61) + some(30, start=5_000, dateupload=str(NEWEST - 70_000))
    for place in range(1, 10):
        server = flickr(photos, per_page=20)
        server.script.extend([*[None] * place, *[fault] * (1 if fault == "short" else 2)])
        assert collect(server, "search", "--tags", f"at{place}=gecko") == 0
        assert {record["class"] for record in known().values()} == {"at1"} and len(known()) == 91
        with Store(known.collection, alone=False) as store:
            states = [row["state"] for row in store.rows("SELECT state FROM queries")]
        assert states == ["done"] * place and not server.script


def test_a_query_whose_answers_stay_odd_does_not_stop_the_others(flickr, collect, known, capsys):
    server = flickr(some(3))
    real = server.search
    server.search = lambda arguments, fault: real(arguments, fault) if arguments.get("tags") == "gecko" else {
        "stat": "ok", "photos": []}  # fmt: skip
    assert collect(server, "search", "--tags", "odd", "gecko", "--retries", 1) == 1
    assert "such as odd: tags odd: answer of the wrong shape: run it again to go on" in capsys.readouterr().err
    assert len(known()) == 3


def test_a_licence_list_of_the_wrong_shape_is_asked_for_again(flickr, collect, known):
    server = flickr(some(3))
    server.script.extend(ODD_SHAPES)
    assert collect(server, "search", "--tags", "gecko", "--retries", len(ODD_SHAPES)) == 0
    assert len(known()) == 3


@pytest.mark.parametrize("left", [20, 0])
def test_a_photograph_that_is_removed_in_mid_walk_does_not_hold_it_up(flickr, collect, known, left):
    server = flickr(some(20 + left), per_page=20)
    real = server.search

    def search(arguments, fault):
        if len(server.searches) == 1:
            server.photos.pop("1019")
        answer = real(arguments, fault)
        if not left and len(server.searches) == 1:  # the only page seems to be one of several
            answer["photos"]["total"] = "900"
        return answer

    server.search = search
    assert collect(server, "search", "--tags", "gecko") == 0
    assert set(known()) == {str(1_000 + index) for index in range(20 + left)}


@pytest.mark.parametrize("total", ["", "0", 7])
def test_a_search_that_finds_nothing_says_so_and_asks_again_the_next_time(flickr, collect, known, capsys, total):
    server = flickr()
    real = server.search
    server.search = lambda *given: {**(answer := real(*given)), "photos": {**answer["photos"], "total": total}}
    assert collect(server, "search", "--tags", "gecko", "snake") == 1
    told = capsys.readouterr()
    if total == 7:
        assert "2 of the queries did not come to their end" in told.err and "cut short" in told.out
    else:
        assert "error: nothing was found for gecko: tags gecko, snake: tags snake: check the words" in told.err
        assert told.out.count(": 0 new, 0 in all, 0 set aside; empty (nothing found)\n") == 2
    server.search = real
    server.photos.update({photo.id: photo for photo in some(3)})
    assert collect(server, "search", "--tags", "gecko", "snake") == 0
    assert len(known()) == 3
    told = capsys.readouterr().out
    assert "gecko: tags gecko: 3 new, 3 in all, 0 set aside; done\n" in told and "snake: tags snake: 0 new" in told


def test_a_query_that_an_older_version_called_done_goes_on(flickr, collect, known, tmp_path):
    server = flickr(some(90), per_page=20)
    server.script.extend([None, None, *["nothing"] * 8])
    assert collect(server, "search", "--tags", "gecko") == 1
    with sqlite3.connect(tmp_path / "collection" / "collection.sqlite") as connection:
        connection.execute("UPDATE queries SET state = 'done', reason = ''")
        for column in ("anchor", "top"):
            connection.execute(f"ALTER TABLE queries DROP COLUMN {column}")
        connection.execute("CREATE TABLE lanes (name TEXT PRIMARY KEY, last REAL NOT NULL, not_before REAL NOT NULL)")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    assert len(known()) == 20
    assert collect(server, "search", "--tags", "gecko") == 0
    assert set(known()) == set(server.photos)


def test_targets_and_limits(flickr, collect, known):
    server = flickr(some(90) + some(90, ["snake"], 5_000), per_page=20)
    classes = lambda: collections.Counter(record["class"] for record in known().values())  # noqa: E731
    assert collect(server, "search", "--tags", "gecko", "snake", "--per-query", 35, "--limit", 50) == 0
    assert classes() == {"gecko": 35, "snake": 15}
    newest = sorted((int(photo.entry["dateupload"]) for photo in server.photos.values()), reverse=True)[:35]
    found = [photo for photo in server.photos.values() if photo.id in known() and photo.words == ["gecko"]]
    assert sorted((int(photo.entry["dateupload"]) for photo in found), reverse=True) == newest
    assert collect(server, "search", "--tags", "gecko", "snake", "--per-query", 35) == 0
    assert classes() == {"gecko": 35, "snake": 35}
    assert collect(server, "search", "--tags", "gecko", "snake", "--per-query", 60) == 0
    assert classes() == {"gecko": 60, "snake": 60}


def test_tags_text_and_classes(flickr, collect, known):
    server = flickr(some(3) + some(4, ["iguana"], 2_000) + some(5, ["komodo dragon"], 3_000))
    assert collect(server, "search", "--tags", "lizard=gecko,iguana", "--text", "dragon=komodo dragon") == 0
    assert collections.Counter(record["class"] for record in known().values()) == {"lizard": 7, "dragon": 5}
    first, last = server.searches[0], server.searches[-1]
    assert (first["tags"], first["tag_mode"], last["text"]) == ("gecko,iguana", "any", "komodo dragon")
    assert "text" not in first and "tags" not in last


def test_what_flickr_is_asked(flickr, collect):
    server = flickr(some(1))
    collect(server, "search", "--tags", "gecko")
    search = server.searches[0]
    assert search["method"] == "flickr.photos.search" and search["api_key"] == KEY
    assert (search["format"], search["nojsoncallback"], search["per_page"]) == ("json", "1", "500")
    assert search["media"] == "photos" and search["sort"] == "date-posted-desc"
    assert {"license", "owner_name", "date_taken", "date_upload", "tags", "url_m"} <= set(search["extras"].split(","))


def test_only_allowed_licences_are_asked_for_and_kept(flickr, collect, known):
    photos = [Photo(1_000 + number, ["gecko"], license=str(number)) for number, _, _ in LICENCES]
    server = flickr(photos)
    assert collect(server, "search", "--tags", "gecko") == 0
    assert set(server.searches[-1]["license"].split(",")) == {"1", "4", "8", "9", "10", "11"}
    found = {record["licence"] for record in known().values() if record["state"] == "found"}
    assert found == {"by-nc-sa", "by", "us-government", "cc0", "pdm"}
    aside = {record["id"] for record in known().values() if record["state"] == "set_aside"}
    assert aside == {"1000", "1006", "1007"}

    assert collect(server, "search", "--tags", "gecko", "--licences", "cc0", "no-known-restrictions") == 0
    assert set(server.searches[-1]["license"].split(",")) == {"7", "9"}
    found = {record["licence"] for record in known().values() if record["state"] == "found"}
    assert found == {"cc0", "no-known-restrictions"}  # also of what was found before


def test_a_licence_that_is_no_longer_allowed_is_set_aside_and_taken_back(flickr, collect, known, distinct_photographs):
    files = distinct_photographs(2)
    photos = [Photo(1_000 + index, ["gecko"], body, license=str(4 + 5 * index)) for index, body in enumerate(files)]
    server = flickr(photos)
    for name in ("search", "download", "prepare"):
        assert collect(server, name, *(["--tags", "gecko"] if name == "search" else [])) == 0
    assert {record["state"] for record in known().values()} == {"prepared"}
    assert collect(server, "search", "--tags", "gecko", "--licences", "by") == 0
    assert [record["state"] for record in known().values()] == ["prepared", "set_aside"]
    assert collect(server, "prepare") == 0
    assert [bool(record["prepared"]) for record in known().values()] == [True, False]
    assert collect(server, "search", "--tags", "gecko") == 0
    assert collect(server, "prepare") == 0
    assert {record["state"] for record in known().values()} == {"prepared"}
    assert set(server.delivered.values()) == {1}


def test_only_the_queries_given_are_searched(flickr, collect):
    server = flickr(some(30) + some(30, ["snake"], 5_000), per_page=20)
    assert collect(server, "search", "--tags", "gecko", "snake", "--limit", 5) == 0
    assert collect(server, "search", "--tags", "snake") == 0
    assert {search["tags"] for search in server.searches[1:]} == {"snake"}


@pytest.mark.parametrize(("name", "url"), [(name, url) for _, name, url in LICENCES])
def test_a_licence_permits_derivatives_unless_it_says_no(name, url):
    short = licences.short_name(name, url)
    assert short in licences.LICENCES
    assert (short in licences.PERMIT_DERIVATIVES) == ("/by-nd/" not in url and not name.startswith(("All", "No")))


@pytest.mark.parametrize("url", ["https://evil.example/licenses/by/2.0/", "https://creativecommons.org/licenses/xx/"])
def test_an_unknown_licence_is_none(url):
    assert licences.short_name("CC BY", url) is None


def test_the_presets_find_about_thirty_thousand():
    every = [query for preset in queries.PRESETS.values() for query in preset]
    assert sum(query.target for query in every) == 30_000
    assert len({query.class_name for query in every}) == len(every) == 22
    assert all(queries.parse_query("tags", f"{query.class_name}={query.words}") for query in every)


def test_presets_are_searched(flickr, collect, known):
    server = flickr(some(3, ["scorpion"]) + some(2, ["viper"], 5_000))
    assert collect(server, "search", "--preset", "arachnids", "--per-query", 2) == 0
    assert [record["class"] for record in known().values()] == ["scorpion", "scorpion"]
    assert (
        len(server.searches) == 2 + 5 * 4
    )  # that this is all is believed the second time, that it is empty the fourth


def test_the_smallest_file_that_suffices_is_taken(flickr, collect, known):
    sizes = {"s": (240, 180), "m": (500, 375), "z": (640, 480), "o": (4000, 3000)}
    entry = {f"url_{size}": f"https://live.staticflickr.com/1/1_{size}.jpg" for size in sizes}
    entry |= {f"width_{size}": width for size, (width, _) in sizes.items()}
    entry |= {f"height_{size}": str(height) for size, (_, height) in sizes.items()}
    chosen = [_file(entry, side).rpartition("_")[2][0] for side in (100, 180, 320, 400, 2000, 9000)]
    assert chosen == ["s", "s", "m", "z", "o", "o"]
    assert _file({"url_m": 7, "url_s": "https://a\nb"}, 320) == ""

    server = flickr([Photo(1_000, ["gecko"], **entry)])
    server.address = lambda photo: entry["url_m"]
    assert collect(server, "search", "--tags", "gecko", "--shorter-side", 400) == 0
    assert known()["1000"]["file"] == entry["url_z"]


def test_the_manifest_has_everything(flickr, collect, known, tmp_path):
    photo = Photo(1_000, ["gecko", "wall"], title={"_content": "A [gecko]\n# on\u202e a *wall*"}, ownername="Ann | Lee")
    server = flickr([photo])
    assert collect(server, "search", "--tags", "gecko") == 0
    record = known()["1000"]
    assert record["title"] == "A [gecko] # on a *wall*"
    assert record["page"] == "https://www.flickr.com/photos/3@N01/1000/"
    assert (record["owner"], record["owner_name"], record["tags"]) == ("3@N01", "Ann | Lee", "gecko wall")
    assert (record["licence"], record["licence_name"]) == ("by", "CC BY 2.0")
    assert record["licence_url"] == "https://creativecommons.org/licenses/by/2.0/"
    assert record["date_upload"] == "2023-11-14T05:33:20+00:00" and record["date_taken"] == "2020-05-17 12:00:00"
    assert record["attribution"] == (
        '"A [gecko] # on a *wall*" by Ann | Lee, https://www.flickr.com/photos/3@N01/1000/, '
        "CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/); cut and resized"
    )
    assert (record["query"], record["class"], record["state"]) == ("gecko: tags gecko", "gecko", "found")
    missing = {"sha256", "phash", "bytes", "width", "height", "reason", "date_found", "date_downloaded", "file"}
    assert missing <= record.keys()


@pytest.mark.parametrize("bad", ["../../x", "", "0", "12345678901234567890", "1/2", None, ["1"], "１２"])
def test_an_unusable_id_is_counted_and_passed_over(flickr, collect, known, tmp_path, bad):
    server = flickr([Photo(1_000, ["gecko"]), Photo(1_001, ["gecko"], id=bad)])
    assert collect(server, "search", "--tags", "gecko") == 0
    assert set(known()) == {"1000"}
    faults = json.loads((tmp_path / "collection" / "status.json").read_text())["faults"]
    assert faults["search: entry without a usable id or date"] >= 1


def test_path_tricks_in_names_lead_nowhere(flickr, collect, known):
    owner = "../../../etc/passwd"
    server = flickr([Photo(1_000, ["gecko"], owner=owner, title="../../x\x00", ownername="\ud800")])
    assert collect(server, "search", "--tags", "gecko") == 0
    assert known()["1000"]["page"] == "https://www.flickr.com/photos/..%2F..%2F..%2Fetc%2Fpasswd/1000/"


@pytest.mark.parametrize(
    "url", ["http://elsewhere.example/a.jpg", "http://live.staticflickr.com/a.jpg", "https://notstaticflickr.com/a.jpg",
            "file:///etc/passwd", "https://user@live.staticflickr.com/a.jpg", "https://live.staticflickr.com:22/a.jpg",
            "http://[", "http://127.0.0.1:1/a.jpg"]
)  # fmt: skip
def test_pictures_on_other_hosts_are_set_aside(flickr, collect, known, url):
    server = flickr([Photo(1_000, ["gecko"], url_m=url)])
    assert collect(server, "search", "--tags", "gecko") == 0
    assert (known()["1000"]["state"], known()["1000"]["reason"]) == ("set_aside", "address: on another host")


def test_pictures_on_flickrs_hosts_are_taken(flickr, collect, known):
    server = flickr([Photo(1_000, ["gecko"], url_m="https://live.staticflickr.com/65535/1_2.jpg")])
    assert collect(server, "search", "--tags", "gecko") == 0
    assert known()["1000"]["state"] == "found"


def test_a_refused_query_does_not_stop_the_others(flickr, collect, known, capsys):
    server = flickr(some(3))
    assert collect(server, "search", "--tags", "refused", "gecko") == 1
    assert "error: the server refused 1 of the queries, such as refused: tags refused: stat: fail, code 3" in (
        capsys.readouterr().err
    )
    assert len(known()) == 3


@pytest.mark.parametrize("extra", [(), ("--debug",)])
def test_a_wrong_key_ends_the_search_without_showing_it(flickr, collect, tmp_path, capsys, monkeypatch, extra):
    server = flickr(some(3))
    (tmp_path / "key").write_text("wrongkey0123456789\n")
    try:
        assert collect(server, "search", "--tags", "gecko", "--key-file", tmp_path / "key", *extra) == 1
        message = capsys.readouterr().err
    except Exception as error:  # --debug
        message = repr(error)
    assert "does not know this key" in message and "wrongkey" not in message
    assert len(server.times["api"]) == 1


SPELLINGS = {
    "plain": str.encode,
    "escaped": lambda text: text.replace(KEY, "".join(f"\\u{ord(letter):04x}" for letter in KEY)).encode(),
    "partly escaped": lambda text: text.replace(KEY, f"\\u{ord(KEY[0]):04X}{KEY[1:]}").encode(),
    "utf-16": lambda text: text.encode("utf-16"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_key_is_masked_wherever_a_server_repeats_it(flickr, collect, known, tmp_path, spelling):
    server = flickr(some(3))
    server.echo_key = True

    class Handler(server.RequestHandlerClass):
        def send(self, body, *arguments, **options):
            super().send(SPELLINGS[spelling](body.decode()), *arguments, **options)

    server.RequestHandlerClass = Handler
    assert collect(server, "search", "--tags", "gecko") == 0
    assert {record["title"].rpartition(" ")[2] for record in known().values()} == {"***"}
    for path in (tmp_path / "collection").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize("changing", [False, True])
def test_a_server_that_never_ends_is_left(flickr, collect, tmp_path, changing):
    server = flickr()

    def search(arguments, _):
        server.searches.append(arguments)
        identity = str(7 + changing * len(server.searches))
        photo = {"id": identity, "dateupload": NEWEST, "license": "4", "owner": "1@N01", "url_m": server.base}
        return {"stat": "ok", "photos": {"pages": 10**9, "total": 10**9, "photo": [photo]}}

    server.search = search
    assert collect(server, "search", "--tags", "gecko") == 1
    assert len(server.searches) < 60
    with sqlite3.connect(tmp_path / "collection" / "collection.sqlite") as connection:
        rows = connection.execute("SELECT state, reason FROM queries").fetchall()
    assert rows == [("cut short", "its answers repeat themselves")]


@pytest.mark.parametrize("answer", [b"[]", b"{", b'{"stat": 5}', b'{"stat": "ok", "photos": [1]}', b"[" * 100_000])
def test_nonsense_is_survived(flickr, collect, answer, capsys):
    server = flickr(some(3))
    good = server.RequestHandlerClass.answer

    class Handler(server.RequestHandlerClass):
        def answer(self, arguments, fault):
            if arguments["method"] == "flickr.photos.search":
                self.send(answer, "application/json")
            else:
                good(self, arguments, fault)

    server.RequestHandlerClass = Handler
    assert collect(server, "search", "--tags", "gecko", "--retries", 1) == 1
    assert "This is a bug" not in capsys.readouterr().err
