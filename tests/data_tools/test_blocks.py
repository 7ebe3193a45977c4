import json
import os

import pytest

from data_tools import blocks

SIZE = 10_000


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A file of 100 blocks, of which 16 are read."""
    monkeypatch.setattr(blocks, "_BYTES", SIZE // 100)
    monkeypatch.setattr(blocks, "_seen", set())
    path = tmp_path / "images.npy"
    path.write_bytes(os.urandom(SIZE))
    blocks.record(path)
    return path


def damage(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0, 99, 5_050, SIZE - 1])
def test_every_byte_of_a_small_file_counts(made, place):
    assert blocks.are_whole(made)
    damage(made, place)
    assert not blocks.are_whole(made)


def test_blocks_of_a_large_file_are_drawn_anew(made, monkeypatch):
    monkeypatch.setattr(blocks, "_WHOLE", SIZE - 1)
    drawn = [blocks._chosen(100, SIZE) for _ in range(200)]
    assert all(len(set(some)) == 16 and some[0] == 0 and some[-1] == 99 for some in drawn)
    assert {index for some in drawn for index in some} == set(range(100))
    damage(made, 5_050)
    found = [blocks.are_whole(made) for _ in range(200) if not blocks._seen.clear()]
    assert 5 < found.count(False) < 80  # 14 of 98 are drawn: 29 are expected
    damage(made, 0)
    blocks._seen.clear()
    assert not blocks.are_whole(made)


def test_another_size_and_what_is_no_record(made):
    good = (made.parent / blocks.NAME).read_text()
    content = json.loads(good)
    assert content["bytes"] == SIZE and len(content["sha256"]) == 100
    changed = ({"sha256": []}, {"sha256": 3}, {"bytes": "x"}, {"block_bytes": 0})
    for wrong in ("", "[]", "7", "{}", "null", *(json.dumps({**content, **change}) for change in changed)):
        (made.parent / blocks.NAME).write_text(wrong)
        assert not blocks.are_whole(made)
    (made.parent / blocks.NAME).unlink()
    assert not blocks.are_whole(made)
    (made.parent / blocks.NAME).write_text(good)
    assert blocks.are_whole(made)
    with open(made, "ab") as file:
        file.write(b"x")
    assert not blocks.are_whole(made)
    made.unlink()
    assert not blocks.are_whole(made)
