import collections
import os
import tempfile
from pathlib import Path, PurePath

import numpy as np
import pytest

from data_tools import packing, reptiles, splits
from data_tools.errors import DataError, NoSplitError
from data_tools.flickr.manifest import write_manifest
from data_tools.flickr.store import Store
from data_tools.pictures import read_image


def test_the_size_asked_for_or_else_the_largest(tmp_path, sources):
    for size in (64, 108):
        sources.write_collection(tmp_path, size)
    for asked, read in ((64, 64), (108, 108), (32, 108), (80, 108)):
        data = reptiles.load("train", image_size=asked, data_dir=tmp_path)
        assert data.class_names == sources.CLASSES and len(data) == 22
        expected = read_image(tmp_path / "prepared" / str(read) / "cat" / "2014.png", asked)
        np.testing.assert_array_equal(data.images[21], expected)


def test_what_is_missing_is_said(tmp_path, sources):
    with pytest.raises(DataError, match="needs --data-dir DIR, a collection"):
        reptiles.load("train", image_size=108)
    with pytest.raises(DataError, match="existing folder. Received: .*nowhere"):
        reptiles.load("train", image_size=108, data_dir=tmp_path / "nowhere")
    command = f"\npython -m data_tools.flickr prepare --output {tmp_path} --size 108 makes them"
    with pytest.raises(DataError, match="prepared at 108 pixels or more. Received: none") as caught:
        reptiles.load("train", image_size=108, data_dir=tmp_path)
    assert command in str(caught.value)
    sources.write_collection(tmp_path, 64)
    (tmp_path / "prepared" / "108.part").mkdir()
    with pytest.raises(DataError, match="Received: only those of 64 pixels") as caught:
        reptiles.load("train", image_size=108, data_dir=tmp_path)
    assert command in str(caught.value)


@pytest.fixture
def collection(tmp_path, sources):
    return sources.write_collection(tmp_path / "collection")


def load(place, **form):
    return reptiles.load("train", **{"image_size": 64, "data_dir": place, **form})


def write(place, statement, *values):
    with Store(place) as store:
        store.write(statement, *values)


def test_what_was_set_aside_or_is_only_on_the_disk_is_not_trained_on(collection):
    whole = load(collection)
    write(collection, "UPDATE photos SET state = 'set_aside' WHERE id = '1001'")
    (collection / "prepared" / "64" / "ant" / "7.png").write_bytes(b"no picture")
    assert load(collection).images.tobytes() == whole.images[1:].tobytes()


def splits_of(place):
    found = {split: reptiles.listing(split, data_dir=place, image_size=64) for split in splits.SPLITS}
    return {PurePath(name).stem: split for split, listing in found.items() for name in listing.names}, found


@pytest.mark.parametrize("with_state", [True, False])
def test_each_photograph_is_in_one_split_and_stays_there(collection, with_state):
    if not with_state:
        (collection / "collection.sqlite").unlink()
    before, listings = splits_of(collection)
    assert len(before) == 30 == sum(len(listing.names) for listing in listings.values())
    assert set(before.values()) == {"train", "test", "selection"}
    assert {listing.class_names for listing in listings.values()} == {("ant", "cat")}
    for listing in listings.values():
        assert listing.labels.tolist() == [name.startswith("cat") for name in listing.names]
    if with_state:
        write(collection, "UPDATE photos SET state = 'set_aside' WHERE id < '1007'")
    else:
        for path in (collection / "prepared" / "64" / "ant").glob("100[0-6].png"):
            path.unlink()
    after, _ = splits_of(collection)
    assert len(after) == 23 and after.items() < before.items()


OWNERS = [f"{number}@N01" for number in range(12)]


@pytest.mark.parametrize("source", ["state", "manifest", "nothing"])
def test_nobodys_photographs_stand_in_two_splits(collection, source):
    """Of photographs whose owner nobody knows, each is as one of a person of its own."""
    with Store(collection) as store:
        for index in range(30):
            identity = str(1000 * (1 + index // 15) + index % 15)
            store.update("photos", "id", identity, owner=OWNERS[index % 12])
        write_manifest(store)
        owners = {row["id"]: row["owner"] for row in store.rows("SELECT id, owner FROM photos")}
    if source != "state":
        (collection / "collection.sqlite").unlink()
    manifest = collection / "manifest.jsonl"
    if source == "nothing":
        manifest.unlink()
    else:
        lines = ["7", "[1", "{}", '{"id": [], "owner": "x"}', '{"id": "1000", "owner": 3}', "[" * 100_000, "\udcff"]
        manifest.write_text(manifest.read_text() + "\n".join(lines), errors="surrogateescape")
    found, _ = splits_of(collection)
    assert len(found) == 30
    per_owner = {owner: {found[identity] for identity in found if owners[identity] == owner} for owner in OWNERS}
    if source == "nothing":
        assert max(map(len, per_owner.values())) > 1
        assert found == {identity: splits.split_of(identity) for identity in found}
    else:
        assert {len(split) for split in per_owner.values()} == {1}
        assert {owner for owner, (split,) in per_owner.items() if split == "test"} == {"6@N01"}
        assert {owner for owner, (split,) in per_owner.items() if split == "selection"} == {"10@N01"}
    listing = reptiles.listing("test", data_dir=collection, image_size=64)
    assert listing.class_names == ("ant", "cat")


def test_the_splits_are_packed_apart(collection, monkeypatch):
    first = {split: reptiles.load(split, image_size=64, data_dir=collection).fingerprint() for split in splits.SPLITS}
    monkeypatch.setattr(packing, "read_image", None)  # nothing is read again
    again = {split: reptiles.load(split, image_size=64, data_dir=collection).fingerprint() for split in splits.SPLITS}
    assert again == first and len(set(first.values())) == 3


def test_about_a_tenth_is_for_the_test_and_a_tenth_for_selection():
    counts = collections.Counter(splits.split_of(str(identity)) for identity in range(10_000))
    assert set(counts) == set(splits.SPLITS) and all(900 < counts[split] < 1100 for split in ("test", "selection"))


def test_a_collection_of_one_photograph_has_no_other_split(collection):
    write(collection, "UPDATE photos SET state = 'set_aside' WHERE id != '1001'")
    assert len(load(collection)) == 1
    with pytest.raises(NoSplitError, match="photographs of so few people, 1, that none is for 'test'"):
        reptiles.load("test", image_size=64, data_dir=collection)


def test_class_folders_alone_are_taken_as_they_are(collection):
    whole = load(collection)
    (collection / "collection.sqlite").unlink()
    assert load(collection).fingerprint() == whole.fingerprint()


def test_a_size_that_is_not_wholly_prepared_is_refused(collection, sources):
    sources.write_collection(collection, 32)
    write(collection, "DELETE FROM prepared WHERE size = 32 AND photo > '1009'")
    with pytest.raises(DataError, match="all 30 photographs prepared at 32 pixels. Received: 10") as caught:
        load(collection, image_size=32)
    assert f"\npython -m data_tools.flickr prepare --output {collection} --size 32 makes the" in str(caught.value)
    assert len(load(collection)) == 22


def test_photographs_prepared_in_two_ways_are_refused(collection):
    write(collection, "UPDATE prepared SET fit = 'pad' WHERE photo = '1003'")
    with pytest.raises(DataError, match="in one way. Received: crop and pad at 64 pixels"):
        load(collection)


def test_a_file_that_is_gone_is_said(collection):
    (collection / "prepared" / "64" / "ant" / "1003.png").unlink()
    with pytest.raises(DataError, match="1003.png is gone or no plain file\npython -m data_tools.flickr prepare"):
        load(collection)


HOSTILE = [
    "UPDATE prepared SET file = '/etc/passwd' WHERE photo = '1000'",
    "UPDATE prepared SET file = 'prepared/64/../../../x/1000.png' WHERE photo = '1000'",
    "UPDATE prepared SET file = 'prepared/64/ant/1000.png/../../../../1.png' WHERE photo = '1000'",
    "UPDATE prepared SET file = x'00ff' WHERE photo = '1000'",
    "UPDATE prepared SET size = 'large' WHERE photo = '1000'",
    "UPDATE photos SET class = '../ant' WHERE id = '1000'",
    "UPDATE photos SET class = '' WHERE id = '1000'",
    "UPDATE photos SET class = CAST(x'ff' AS TEXT) WHERE id = '1000'",
    "DROP TABLE prepared",
]


@pytest.mark.parametrize("statement", HOSTILE)
def test_a_hostile_state_is_refused(collection, statement):
    write(collection, statement)
    with pytest.raises(DataError, match="is damaged|cannot be read as a collection's state"):
        load(collection)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(200), b"x" * 5000])
def test_a_damaged_state_is_refused(collection, content):
    (collection / "collection.sqlite").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as a collection's state"):
        load(collection)


@pytest.mark.parametrize("what", ["ant", "ant/1000.png"])
def test_links_out_of_the_collection_are_not_followed(collection, tmp_path, what):
    place = collection / "prepared" / "64" / what
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="leads out of the collection|no plain file"):
        load(collection)


def test_the_state_is_only_read_and_while_another_command_holds_it(collection):
    with Store(collection):
        before = sorted(path.name for path in collection.iterdir())
        assert len(load(collection)) == 22
        assert sorted(path.name for path in collection.iterdir()) == before
    content = (collection / "collection.sqlite").read_bytes()
    load(collection)
    assert (collection / "collection.sqlite").read_bytes() == content


def test_a_folder_that_may_only_be_read(sources):
    with tempfile.TemporaryDirectory() as place:
        collection = sources.write_collection(Path(place) / "collection")
        for folder in (place, collection):
            os.chmod(folder, 0o555)
        user = os.geteuid()
        try:
            if user == 0:  # whom no permission stops
                os.setresuid(65534, 65534, user)
            names = reptiles.listing("train", data_dir=collection, image_size=64).names
        finally:
            if user == 0:
                os.setresuid(user, user, user)
            for folder in (place, collection):
                os.chmod(folder, 0o755)
    assert len(names) == 22
