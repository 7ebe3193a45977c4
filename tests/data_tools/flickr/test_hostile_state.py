"""A state file that came from elsewhere, or was damaged: no file outside the collection is touched."""

import hashlib
import shutil
import sqlite3

import pytest
from PIL import Image

from data_tools import command
from data_tools.errors import DataError
from data_tools.flickr.__main__ import main
from data_tools.flickr.store import Store
from tests.data_tools.flickr.fake_flickr import KEY, FakeFlickr, Photo


@pytest.fixture(scope="module")
def whole(distinct_photographs, tmp_path_factory):
    """A server and the folder of its collection of three photographs, prepared at 32 pixels; made once."""
    server = FakeFlickr(Photo(1_000 + index, ["gecko"], body) for index, body in enumerate(distinct_photographs(3)))
    folder = tmp_path_factory.mktemp("whole") / "collection"
    common = ("--output", str(folder))
    network = ("--endpoint", server.endpoint, "--retry-wait", "0.01", "--rate", "3600000")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FLICKR_API_KEY", KEY)
        assert command.run(main, ["search", *common, *network, "--tags", "gecko"]) == 0
    assert command.run(main, ["download", *common, *network]) == 0
    assert command.run(main, ["prepare", *common, "--size", "32"]) == 0
    yield server, folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def collection(whole, tmp_path):
    """That server, and a copy of the collection for one test, beside a file of somebody's own."""
    server, folder = whole
    shutil.copytree(folder, tmp_path / "collection")
    (tmp_path / "own.txt").write_text("mine")
    (tmp_path / "collection" / "link").symlink_to(tmp_path)
    return server


def change(tmp_path, sql, *values):
    with sqlite3.connect(tmp_path / "collection" / "collection.sqlite") as connection:
        assert connection.execute(sql, values).rowcount > 0


def outside(tmp_path):
    """All files beside the collection, with what they hold."""
    return {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


@pytest.mark.parametrize("ending", ["", "-wal", "-journal", "-shm"])
@pytest.mark.parametrize("name", ["prepare", "status", "download", "search"])
def test_a_state_that_is_a_link_is_not_written_through(collection, collect, tmp_path, capsys, name, ending):
    state = tmp_path / "collection" / f"collection.sqlite{ending}"
    with sqlite3.connect(tmp_path / "own.sqlite") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = outside(tmp_path)
    state.unlink(missing_ok=True)
    state.symlink_to(tmp_path / "own.sqlite")
    arguments = {"prepare": ("--size", 64), "search": ("--tags", "gecko")}.get(name, ())
    assert collect(collection, name, *arguments) == 1
    assert f"{state.name} is a link or no plain file" in capsys.readouterr().err
    assert outside(tmp_path) == before


PLACES = ("{root}/own.txt", "../own.txt", "originals/../../own.txt", "link/own.txt")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "arguments", [("prepare", "--size", 64), ("prepare", "--size", 32, "--no-keep-originals")], ids=["read", "delete"]
)
def test_an_original_outside_is_neither_read_nor_deleted(collection, collect, tmp_path, capsys, place, arguments):
    place = place.format(root=tmp_path)
    mine = hashlib.sha256(b"mine").hexdigest()
    change(tmp_path, "UPDATE photos SET original = ?, sha256 = ? WHERE id = '1000'", place, mine)
    assert collect(None, *arguments) == 1
    assert "names a file outside the collection, and is not to be trusted" in capsys.readouterr().err
    assert outside(tmp_path) == {"own.txt": b"mine"}


@pytest.mark.parametrize("place", PLACES)
def test_a_download_is_not_put_outside(collection, collect, tmp_path, capsys, place):
    change(tmp_path, "UPDATE photos SET original = ? WHERE id = '1000'", place.format(root=tmp_path))
    (tmp_path / "collection" / "incoming" / "1000").write_bytes(b"theirs")
    assert collect(collection, "download") == 1
    assert "names a file outside the collection" in capsys.readouterr().err
    assert outside(tmp_path) == {"own.txt": b"mine"}


@pytest.mark.parametrize("format", ["folders", "array"])
def test_a_prepared_file_outside_is_not_exported(collection, collect, tmp_path, capsys, format):
    change(tmp_path, "UPDATE prepared SET file = '../own.txt', sha256 = ?", hashlib.sha256(b"mine").hexdigest())
    assert collect(None, "export", "--size", 32, "--format", format, "--to", tmp_path / "out") == 1
    assert "names a file outside the collection" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_prepared_file_of_another_format_is_not_decoded(collection, collect, tmp_path, capsys):
    """Ghostscript would read PostScript; the state vouches for the bytes, and may come from elsewhere, too."""
    path = tmp_path / "collection" / "prepared" / "32" / "gecko" / "1000.png"
    Image.new("RGB", (32, 32)).save(path, "EPS")
    change(
        tmp_path, "UPDATE prepared SET sha256 = ? WHERE photo = '1000'", hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert collect(None, "export", "--size", 32, "--format", "array", "--to", tmp_path / "out") == 1
    assert "1000.png cannot be read as an image: mend or remove it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("linked", ["prepared/64", "prepared/64/gecko"])
def test_nothing_is_written_or_swept_through_a_link(collection, collect, tmp_path, capsys, linked):
    (tmp_path / "elsewhere" / "gecko").mkdir(parents=True)
    for mine in (tmp_path / "elsewhere" / "7.png", tmp_path / "elsewhere" / "gecko" / "7.png"):
        mine.write_bytes(b"mine")
    (tmp_path / "collection" / linked).parent.mkdir(exist_ok=True)
    (tmp_path / "collection" / linked).symlink_to(tmp_path / "elsewhere")
    assert collect(None, "prepare", "--size", 64) == 1
    assert "names a file outside the collection" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "elsewhere").rglob("*.png")} == {"7.png"}
    assert (tmp_path / "elsewhere" / "gecko" / "7.png").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["../../x", "a/b", "", ".", "..", "Gecko", "a" * 65, "gecko\n", "gecko\0/x", b"gecko"])
@pytest.mark.parametrize("table", ["photos", "queries"])
def test_class_names_that_are_no_folder_are_refused(collection, collect, tmp_path, capsys, table, name):
    change(tmp_path, f"UPDATE {table} SET class = ?", name)
    for arguments in (("prepare", "--size", 64), ("export", "--to", tmp_path / "out"), ("status",)):
        assert collect(None, *arguments) == 1
        assert "is not to be trusted. Received: id " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("identity", ["../../1", "", "1/2", "0", "x", "1" * 20])
def test_ids_that_are_no_number_are_refused(collection, tmp_path, identity):
    change(tmp_path, "UPDATE photos SET id = ? WHERE id = '1000'", identity)
    for alone in (True, False):
        with pytest.raises(DataError, match="is not to be trusted"):
            Store(tmp_path / "collection", alone=alone)
    change(tmp_path, "UPDATE photos SET id = '1000' WHERE id = ?", identity)
    Store(tmp_path / "collection").close()  # the refusals hold nothing


@pytest.mark.parametrize("name", ["prepare", "status", "download"])
def test_a_damaged_state_is_told_with_the_way_out(collection, collect, tmp_path, capsys, name):
    path = tmp_path / "collection" / "collection.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    body = bytearray(path.read_bytes())
    size = int.from_bytes(body[16:18], "big")
    body[size:] = b"\xa5" * (len(body) - size)  # all but the first page, which holds the layout
    path.write_bytes(body)
    assert collect(collection, name) == 1
    message = capsys.readouterr().err
    assert "collection.sqlite cannot be used (" in message and "restore the file from a copy" in message
    assert "This is a bug" not in message and len(message.splitlines()) <= 2


def test_a_state_damaged_at_work_is_told(collection, tmp_path):
    with Store(tmp_path / "collection") as store:
        store.write("PRAGMA query_only=1")
        for work in (
            lambda: store.write("DELETE FROM photos"),
            lambda: store.write_many("DELETE FROM photos WHERE id = ?", [("1000",)]),
            lambda: store.rows("SELECT * FROM nowhere"),
        ):
            with pytest.raises(DataError, match="restore the file from a copy"):
                work()
