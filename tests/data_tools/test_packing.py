"""A folder packed into the cache: once, again when it changes, on after a kill, in bounded memory."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data_tools
from data_tools import blocks, cache, folder, packing, pictures, resized
from data_tools.cache import CACHE_VARIABLE, cache_folder
from data_tools.errors import DataError


@pytest.fixture
def root(tmp_path, sources):
    return sources.write_folder(tmp_path / "photos")


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that were decoded."""
    names = []
    original = pictures.read_image

    def read_image(path, *arguments):
        names.append(Path(path).name)
        return original(path, *arguments)

    monkeypatch.setattr(packing, "read_image", read_image)
    return names


def load(root, **form):
    return folder.load("train", data_dir=root, **{"image_size": 16, **form})


def pack_of(root):
    (pack,) = (cache_folder() / "packed").iterdir()
    return pack


def tree(root):
    return {path: path.stat().st_mtime_ns for path in sorted(root.rglob("*"))}


def test_it_is_packed_once_into_the_cache_and_mapped(root, reads):
    before = tree(root)
    data = load(root)
    assert isinstance(data.images, np.memmap) and not data.images.flags.writeable
    assert len(reads) == 30 and tree(root) == before
    for index, name in ((0, "ant/000.jpg"), (29, "cat/014.jpg")):
        np.testing.assert_array_equal(data.images[index], pictures.read_image(root / name, 16))
    assert load(root).fingerprint() == data.fingerprint() and len(reads) == 30
    pack = pack_of(root)
    assert sorted(path.name for path in pack.iterdir()) == ["blocks.json", "images.npy", "lock", "manifest.json"]
    manifest = json.loads((pack / "manifest.json").read_text())
    assert manifest["folder"] == str(root) and manifest["rule"]["image_size"] == 16 and manifest["num_images"] == 30


def test_packs_stand_where_they_always_stood(root):
    """The names written out, so that packs are found again."""
    load(root)
    rule = (
        "{'image_size': 16, 'channels': 3, "
        "'preparation': 'EXIF orientation, transparency on black, centre square, Pillow bicubic'}"
    )
    assert pack_of(root).name == hashlib.sha256(f"({str(root.resolve())!r}, {rule})".encode()).hexdigest()[:24]
    manifest = json.loads((pack_of(root) / "manifest.json").read_text())
    assert list(manifest) == ["folder", "rule", "num_images", "class_names", "digest"]
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    resized.kept(pixels, 8, 3)
    (place,) = (cache_folder() / "resized").iterdir()
    named = (
        b"((1, 4, 4, 3), 8, 3, 'EXIF orientation, transparency on black, centre square, Pillow bicubic')"
        + pixels.tobytes()
    )
    assert place.name == hashlib.sha256(named).hexdigest()[:24]


@pytest.mark.parametrize("form", [{"image_size": 20}, {"channels": 1}])
def test_another_rule_is_another_pack(root, reads, form):
    data = load(root)
    other = load(root, **form)
    assert other.images.shape != data.images.shape and len(reads) == 60
    assert load(root).fingerprint() == data.fingerprint() and len(reads) == 60


def rename(root):
    (root / "ant" / "000.jpg").rename(root / "ant" / "999.jpg")


def touch(root):
    os.utime(root / "ant" / "000.jpg", ns=(1, 1))


def grow(root):
    path = root / "ant" / "000.jpg"
    status = path.stat()
    path.write_bytes(path.read_bytes() + b"\0")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def add(root):
    Image.new("RGB", (20, 20)).save(root / "cat" / "new.png")


def remove(root):
    (root / "cat" / "003.jpg").unlink()


def rename_class(root):
    (root / "cat").rename(root / "dog")


@pytest.mark.parametrize("change", [rename, touch, grow, add, remove, rename_class])
def test_a_changed_folder_is_packed_again(root, reads, change):
    old = load(root)
    copy = np.array(old.images)
    change(root)
    del reads[:]
    new = load(root)
    assert len(reads) == len(new) == {add: 31, remove: 29}.get(change, 30)
    for index in (0, len(new) - 1):
        listing = folder.images_in(root)
        np.testing.assert_array_equal(new.images[index], pictures.read_image(root / listing.names[index], 16))
    np.testing.assert_array_equal(old.images, copy)  # whoever still reads the old one keeps it


GATED = """
import sys, threading, time
from pathlib import Path
from data_tools import cache, folder, packing
root, log, gate = map(Path, sys.argv[1:])
original, lock, begun = packing.read_image, threading.Lock(), 0
def read_image(path, *arguments):
    global begun
    with lock:
        begun += 1
        while begun > int(gate.read_text()):
            time.sleep(0.002)
        with open(log, "a") as file:
            file.write(Path(path).name + "\\n")
    return original(path, *arguments)
packing.read_image, cache.PART_BYTES = read_image, 6 * 16 * 16 * 3
print(folder.load("train", image_size=16, data_dir=root).fingerprint())
"""


@pytest.fixture
def gated(root, tmp_path):
    """Starts processes that pack `root`, each of which reads no more images than `allow` says."""

    class Gated:
        log, gate = tmp_path / "log", tmp_path / "gate"

        def allow(self, count):
            self.gate.with_suffix(".new").write_text(str(count))
            os.replace(self.gate.with_suffix(".new"), self.gate)

        def start(self):
            command = [sys.executable, "-c", GATED, str(root), str(self.log), str(self.gate)]
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def lines(self):
            return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    return Gated()


@pytest.mark.parametrize("seed", [0, 1], ids="seed {}".format)
def test_a_killed_packing_goes_on_where_it_was(root, gated, seed):
    """Parts are of 6 images, and the 13th is read only after the first part is on the disk."""
    draw = random.Random(seed)
    for _ in range(2):
        before, count = gated.lines(), draw.randrange(13, 18)
        gated.allow(count)
        process = gated.start()
        deadline = time.monotonic() + 60
        while gated.lines() < before + count and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.02)  # what was read may be written, or be about to be
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not list(cache_folder().rglob("manifest.json"))
    done = json.loads((pack_of(root) / "part.json").read_text())["done"]
    assert 12 <= done < 30
    before = gated.lines()
    gated.allow(30)
    fingerprint = gated.start().communicate(timeout=60)[0].strip()
    assert gated.lines() - before == 30 - done  # none of the finished parts was read again
    assert fingerprint == load(root).fingerprint()
    for path in (cache_folder() / "packed").rglob("*"):
        path.unlink() if path.is_file() else None
    assert load(root).fingerprint() == fingerprint  # of an undisturbed one


def test_a_part_of_another_folder_is_not_gone_on_with(root):
    """Killed, changed, killed at once, changed back: what was written in between is not taken for the first part."""
    whole = load(root).fingerprint()
    pack = pack_of(root)
    manifest = json.loads((pack / "manifest.json").read_text())
    for name in ("manifest.json", "images.npy"):
        (pack / name).unlink()
    (pack / "part.json").write_text(json.dumps({"manifest": {**manifest, "digest": "other"}, "done": 12}))
    (pack / "images.part").write_bytes(b"\xff" * 40_000)
    assert load(root).fingerprint() == whole
    (pack / "manifest.json").unlink()
    (pack / "part.json").write_text(json.dumps({"manifest": manifest, "done": 12}))
    (pack / "images.part").write_bytes(b"\xff" * 400)  # less than is said to be done
    assert load(root).fingerprint() == whole


@pytest.mark.parametrize("content", ["[]", "{}", "3", "null", '{"manifest": %s}', '{"manifest": %s, "done": "2"}',
                                     '{"manifest": %s, "done": -3}', '{"manifest": %s, "done": 31}'])  # fmt: skip
def test_a_damaged_record_of_a_part_is_nothing_to_go_on_from(root, content):
    whole = load(root).fingerprint()
    pack = pack_of(root)
    manifest = (pack / "manifest.json").read_text()
    (pack / "part.json").write_text(content.replace("%s", manifest))
    (pack / "manifest.json").unlink()
    (pack / "images.part").write_bytes(b"\xff" * 40_000)
    assert load(root).fingerprint() == whole


def test_two_processes_pack_it_once(root, gated):
    gated.allow(0)
    first = gated.start()
    while not list(cache_folder().glob("packed/*/images.part")):  # the first one has the lock, and waits at the gate
        assert first.poll() is None
        time.sleep(0.002)
    second = gated.start()
    assert second.stderr.readline() == f"another process is packing {root}: waiting for it\n"
    gated.allow(30)
    results = [process.communicate(timeout=60) for process in (first, second)]
    assert len({out for out, _ in results}) == 1 and gated.lines() == 30


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: os.truncate(path, 1000)])
def test_a_damaged_pack_is_made_again(root, damage):
    whole = load(root).fingerprint()
    damage(pack_of(root) / "images.npy")
    assert load(root).fingerprint() == whole


def forget(monkeypatch):
    """As a new process would begin."""
    monkeypatch.setattr(blocks, "_seen", set())


def test_a_pack_whose_bytes_have_changed_is_made_again(root, reads, monkeypatch, capsys):
    whole = load(root).fingerprint()
    path = pack_of(root) / "images.npy"
    forget(monkeypatch)
    assert load(root).fingerprint() == whole and len(reads) == 30
    status = path.stat()
    with open(path, "r+b") as file:
        file.seek(5_000)
        file.write(b"\x00\xff\x00\xff")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as when a disk forgets
    forget(monkeypatch)
    assert load(root).fingerprint() == whole and len(reads) == 60
    assert "is damaged: packing it again" in capsys.readouterr().err


def test_a_pack_is_checked_once_in_a_process(root, monkeypatch):
    load(root)
    forget(monkeypatch)
    hashed = []
    monkeypatch.setattr(blocks, "_chosen", lambda *given: hashed.append(given) or [0])
    assert len(load(root)) == len(load(root)) == 30 and len(hashed) == 1


def test_a_pack_of_an_older_version_without_hashes_is_made_again_once(root, reads):
    whole = load(root).fingerprint()
    (pack_of(root) / "blocks.json").unlink()
    assert load(root).fingerprint() == load(root).fingerprint() == whole and len(reads) == 60


@pytest.fixture
def nobody():
    """Ends to be the superuser, whom no permission stops, and is it again afterwards."""
    user = os.geteuid()
    if user == 0:
        os.setresuid(65534, 65534, user)
    yield
    if user == 0:
        os.setresuid(user, user, user)


@pytest.fixture
def read_only(monkeypatch):
    """A pack and a resized array in a cache that may only be read: folder, pixels, and the place of the pack."""
    with tempfile.TemporaryDirectory() as name:
        place, pixels = Path(name), np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)
        Image.new("RGB", (20, 20), (9, 8, 7)).save(place / "0.png")
        monkeypatch.setenv(CACHE_VARIABLE, str(place / "cache"))
        load(place), resized.kept(pixels, 8, 3)
        forget(monkeypatch)
        made = [place, *(path for path in (place / "cache").rglob("*"))]
        for path in [*made, place / "cache"]:
            os.chmod(path, 0o555 if path.is_dir() else 0o444)
        yield place, pixels, pack_of(place)
        for path in [*made, place / "cache"]:
            if path.is_dir():
                os.chmod(path, 0o755)


def test_a_good_pack_in_a_cache_that_cannot_be_written_is_read(read_only, reads, nobody):
    place, pixels, _ = read_only
    assert load(place).images[0, 8, 8].tolist() == [9, 8, 7] and not reads
    assert resized.kept(pixels, 8, 3).shape == (2, 8, 8, 3)


def test_a_bad_pack_in_a_cache_that_cannot_be_written_is_said(read_only, request):
    place, pixels, pack = read_only
    for path in (pack, next((place / "cache" / "resized").iterdir())):
        os.chmod(path / "images.npy", 0o644)
        with open(path / "images.npy", "r+b") as file:
            file.seek(-3, os.SEEK_END)
            file.write(b"bad")
    request.getfixturevalue("nobody")
    with pytest.raises(DataError, match="cannot be written.*TFGAN_SUITE_CACHE"):
        load(place)
    with pytest.raises(DataError, match="cannot be written.*TFGAN_SUITE_CACHE"):
        resized.kept(pixels, 8, 3)


def test_a_folder_that_changes_meanwhile_is_refused(root, monkeypatch):
    original = pictures.read_image

    def read_image(path, *arguments):
        os.utime(root / "ant" / "000.jpg")
        return original(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(packing, "read_image", read_image)
        with pytest.raises(DataError, match="was changed while it was read: run it again"):
            load(root)
    assert len(load(root)) == 30


def test_a_broken_image_is_named_and_when_it_is_mended_all_is_packed(root):
    broken = root / "cat" / "010.jpg"
    good = broken.read_bytes()
    broken.write_bytes(good[:50])
    with pytest.raises(DataError, match="010.jpg cannot be read as an image"):
        load(root)
    broken.write_bytes(good)
    assert len(load(root)) == 30


@pytest.mark.parametrize(("count", "more"), [(3, ""), (23, " and 3 more")])
def test_all_broken_images_are_named_at_once(root, monkeypatch, count, more):
    monkeypatch.setattr(cache, "PART_BYTES", 4 * 16 * 16 * 3)
    paths = sorted(root.rglob("*.jpg"))[5 : 5 + count]
    good = [path.read_bytes() for path in paths]
    for path in paths:
        path.write_bytes(b"broken")
    with pytest.raises(DataError) as caught:
        load(root)
    first, second = str(caught.value).splitlines()
    names = ", ".join(path.relative_to(root).as_posix() for path in paths[:20])
    assert first == f"{count} of 30 images in {root} cannot be read as images: {names}{more}"
    assert second == "mend or remove them; python -m data_tools.inspect lists them"
    for path, content in zip(paths, good, strict=True):
        path.write_bytes(content)
    data = load(root)
    for path, image in zip(sorted(root.rglob("*.jpg")), data.images, strict=True):
        np.testing.assert_array_equal(image, pictures.read_image(path, 16))


def test_an_unwritable_cache_says_what_to_set(root, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TFGAN_SUITE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot be written.*TFGAN_SUITE_CACHE") as caught:
        load(root)
    assert len(str(caught.value).splitlines()) == 1


def test_flat_folders_are_one_class(tmp_path):
    for i in range(4):
        Image.new("RGB", (20, 20), (i * 50, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "notes").mkdir()
    data = load(tmp_path)
    assert data.class_names == ("images",) and data.labels.tolist() == [0] * 4
    assert [int(image[0, 0, 0]) for image in data.images] == [0, 50, 100, 150]


@pytest.mark.parametrize("name", ["selection", "val", "validation"])
@pytest.mark.parametrize("given", ["", "train"])
def test_a_selection_folder_is_used(tmp_path, sources, name, given):
    for split, size in (("train", (40, 30)), (name, (16, 16))):
        sources.write_folder(tmp_path / split, size, count=4)
    data = data_tools.load("folder", "selection", image_size=16, data_dir=tmp_path / given)
    assert len(data) == 8
    np.testing.assert_array_equal(data.images[0], pictures.read_image(tmp_path / name / "ant" / "000.jpg", 16))


MEMORY = """
import re, sys
from pathlib import Path
from data_tools import cache, folder
cache.PART_BYTES = 2 << 20
folder.load("train", image_size=108, data_dir=Path(sys.argv[1]))
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux' /proc")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    peaks = []
    for count in (100, 1500):
        place = tmp_path / str(count)
        place.mkdir()
        Image.new("RGB", (108, 108)).save(place / "0.png")
        for i in range(1, count):
            os.link(place / "0.png", place / f"{i}.png")
        result = subprocess.run([sys.executable, "-c", MEMORY, str(place)], capture_output=True, text=True, check=True)
        peaks.append(int(re.match(r"\d+", result.stdout)[0]) * 1024)
    assert peaks[1] - peaks[0] < 12e6  # the images are 52 MB


def test_pillows_warnings_are_kept_off_the_terminal(root, recwarn):
    Image.new("P", (20, 20)).save(root / "ant" / "palette.png", transparency=b"\0\1\2")
    load(root)
    assert not [warning for warning in recwarn if "Palette" in str(warning.message)]


@pytest.mark.parametrize(("channels", "kept_channels"), [(3, 3), (3, 1), (1, 3)])
def test_a_large_resized_dataset_is_kept_in_the_cache(tmp_path, monkeypatch, channels, kept_channels):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    pictures = np.random.default_rng(0).integers(0, 256, (70, 20, 16, channels)).astype(np.uint8)
    expected = resized.prepared(pictures, 24, kept_channels)
    assert not isinstance(expected, np.memmap) and not (tmp_path / "cache").exists()
    monkeypatch.setattr(resized, "LARGEST_IN_MEMORY", 1000)
    monkeypatch.setattr(cache, "PART_BYTES", 24 * 24 * kept_channels * 9)  # several parts
    found = resized.prepared(pictures, 24, kept_channels)
    assert isinstance(found, np.memmap) and found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    monkeypatch.setattr(resized, "_keep", None)  # a second time nothing is resized
    np.testing.assert_array_equal(resized.prepared(pictures, 24, kept_channels), expected)
    with pytest.raises(TypeError):  # other pixels are another entry
        resized.prepared(pictures ^ 1, 24, kept_channels)
