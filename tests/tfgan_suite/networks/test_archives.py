"""What an archive may hold, with archives that hold something else."""

import gzip
import os
import tarfile

import pytest

from tfgan_suite.networks import archives


def member(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def unpack(tiny_models, tmp_path):
    def run(members):
        archive = tiny_models.pack_members(tmp_path / "a.tar.gz", members)
        folder = tmp_path / "inside" / "content"
        folder.mkdir(parents=True)
        try:
            archives.unpack(archive, folder)
        finally:
            assert {path.name for path in tmp_path.iterdir()} == {"a.tar.gz", "inside"}
            assert [path.name for path in (tmp_path / "inside").iterdir()] == ["content"]
        return folder

    return run


def test_files_and_folders_are_unpacked(unpack):
    odd = tarfile.TarInfo("./a/odd")
    odd.mode, odd.uid, odd.mtime = 0o7777, 0, 1
    folder = unpack([(member("./a", tarfile.DIRTYPE), b""), ("./a/b/c", b"123"), (odd, b"x"), ("./empty", b"")])
    assert (folder / "a" / "b" / "c").read_bytes() == b"123" and (folder / "empty").read_bytes() == b""
    assert (folder / "a" / "odd").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/tmp/tfgan_suite_x", "a\\..\\x"])
def test_names_that_lead_elsewhere_are_refused(unpack, name):
    with pytest.raises(archives.BadArchive, match="leads elsewhere"):
        unpack([("ok", b""), (name, b"evil")])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(unpack, kind):
    with pytest.raises(archives.BadArchive, match="a link or another special file"):
        unpack([("target", b"x"), (member("a", kind, "target"), b""), ("a/b", b"evil")])


def test_a_file_twice_and_a_file_as_folder_are_refused(unpack):
    with pytest.raises(archives.BadArchive, match="damaged"):
        unpack([("a", b"1"), ("a", b"2")])


def test_bombs_are_refused(unpack, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    with pytest.raises(archives.BadArchive, match="more than 1000 files or 1 MiB"):
        unpack([("a", bytes(600_000)), ("b", bytes(600_000))])


def test_too_many_files_are_refused(unpack, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    with pytest.raises(archives.BadArchive, match="more than 5 files"):
        unpack([(f"f{i}", b"") for i in range(6)])


def test_what_is_behind_the_end_counts(tmp_path, tiny_models, monkeypatch):
    archive = tiny_models.pack_members(tmp_path / "a.tar.gz", [("a", b"1")])
    content = gzip.decompress(archive.read_bytes())
    archive.write_bytes(gzip.compress(content + bytes(40 << 20)))
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    (tmp_path / "to").mkdir()
    with pytest.raises(archives.BadArchive, match="more than 1 MiB"):
        archives.unpack(archive, tmp_path / "to")


def test_a_header_that_claims_to_be_huge_is_refused(tmp_path):
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header.tobuf() + bytes(20 << 20)))
    (tmp_path / "to").mkdir()
    with pytest.raises(archives.BadArchive, match="unpacks to more than"):
        archives.unpack(tmp_path / "a.tar.gz", tmp_path / "to")


def test_a_tar_that_a_browser_has_unpacked_already_is_taken_whatever_it_is_called(tmp_path, tiny_models):
    packed = tiny_models.pack_members(tmp_path / "a.tar.gz", [("a/b", b"123"), ("c", b"")])
    packed.write_bytes(gzip.decompress(packed.read_bytes()))
    (tmp_path / "to").mkdir()
    archives.unpack(packed, tmp_path / "to")
    assert (tmp_path / "to" / "a" / "b").read_bytes() == b"123" and (tmp_path / "to" / "c").exists()
    for members in ([("../evil", b"")], [(member("a", tarfile.SYMTYPE, "/etc"), b"")]):
        plain = tiny_models.pack_members(tmp_path / "b.tar", members)
        plain.write_bytes(gzip.decompress(plain.read_bytes()))
        with pytest.raises(archives.BadArchive, match="not unpacked"):
            archives.unpack(plain, tmp_path / "to")


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped", "checksum"])
def test_damage_is_found(tmp_path, tiny_models, damage):
    archive = tiny_models.pack_members(tmp_path / "a.tar.gz", [("a", os.urandom(50_000)), ("b", bytes(100))])
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        del content[30_000:]
    elif damage == "flipped":
        content[20_000] ^= 0xFF
    elif damage == "checksum":
        content[-6] ^= 0xFF
    archive.write_bytes({"empty": b"", "text": b"<html>Not Found</html>"}.get(damage, bytes(content)))
    (tmp_path / "to").mkdir()
    with pytest.raises(archives.BadArchive, match="damaged or no .tar.gz or .tar archive"):
        archives.unpack(archive, tmp_path / "to")
