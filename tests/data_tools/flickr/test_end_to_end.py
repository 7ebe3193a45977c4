"""A whole collection from a server at fault in one request of ten, with six processes killed on the way.

REPTILE_PHOTOS may name a folder of photographs to serve; the test runs with drawn ones, too, or only.
"""

import io
import json
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import time
import zlib

import pytest
from PIL import Image

from data_tools import command
from data_tools.flickr.__main__ import main
from tests.data_tools.flickr.fake_flickr import (
    KEY,
    NEWEST,
    ODD_PAGES,
    ODD_SHAPES,
    PHOTOGRAPHS,
    Photo,
    jpeg,
    originals,
)

CLASSES = {"gecko": ("tags", "gecko"), "snake": ("tags", "snake"), "turtle": ("text", "sea turtle")}
QUERIES = ("--tags", "gecko", "snake", "--text", "turtle=sea turtle", "--per-query", "100000")
WORKERS = 4
SKIPPED = "search: page without the photograph it must begin with"
# what status tells of each fault; the same for both lanes, but for those that only the API knows
TOLD = {
    "429 after": "status 429 with Retry-After",
    "429": "status 429",
    "500": "status 500",
    "503": "status 503",
    "stall": "time-out",
    "truncated": "truncated body",
    "html": "wrong content type",
    "elsewhere": "redirect to another host",
    "reset": "no connection",
    "fail": "stat: fail, code 105",
    "cut": "broken picture",
    **dict.fromkeys(ODD_SHAPES, "answer of the wrong shape"),
    "a list": "no JSON object",
}


def a_world(files):
    """Photos to serve; what should be kept, as (class, id); and why the others should not, by id."""
    photos, good, aside = [], set(), {}
    words = [word for _, word in CLASSES.values()]
    for index, body in enumerate(files):
        number, name = 10_000_000_000 + index, list(CLASSES)[index % 3]
        found_by = [CLASSES[name][1]]
        if index % 50 == 7:  # also among the results of another query; it belongs to the first that finds it
            found_by = [words[0], words[index % 3]]
            name = "gecko"
        entry = {"dateupload": str(NEWEST - 5000)} if index % 20 == 3 else {}  # many in the same second
        photos.append(Photo(number, found_by, body, **entry))
        good.add((name, str(number)))

    def add(body, reason, **options):
        number = 90_000_000_000 + len(aside)
        photos.append(Photo(number, ["gecko"], body, **options))
        aside[str(number)] = reason

    for index in range(len(files) // 50):
        add(files[index], "duplicate: the same file as photograph", owner="1@N01")
        copy = Image.open(io.BytesIO(files[index + 20])).resize((400, 300))
        add(jpeg(copy, quality=50), "duplicate: nearly photograph")
    noise = Image.effect_noise((500, 374), 60)
    for index in range(3):
        add(jpeg(noise), "stand-in: the same file", owner=f"{index}@N02")
    add(b"", "gone: no longer available", moved_to="https://s.yimg.com/pw/images/en-us/photo_unavailable.png")
    add(b"", "gone: status 404", status=404)
    add(files[0][: len(files[0]) // 2], "broken:")
    add(b"not a picture at all" * 50, "broken:")
    add(jpeg(noise.resize((60, 45))), "tiny: 60 x 45")
    add(jpeg(noise.resize((800, 200))), "extreme aspect: 800 x 200")
    add(jpeg(Image.new("RGB", (500, 375), (240, 240, 240))), "one colour")
    small = io.BytesIO()
    noise.save(small, "PNG")
    add(claiming(small.getvalue(), 14_000, 14_000), "too large: many times")
    add(claiming(jpeg(noise), 20_000, 10_000), "too large: many times")
    add(claiming(jpeg(noise), 10_000, 7_000), "too large: 10000 x 7000")
    add(files[0], "licence: not among those allowed", license="6")
    add(files[0], "address: on another host", url_m="http://elsewhere.example/photo.jpg")
    add(files[0], "refused: wrong content type", media_type="text/html")
    photos.append(Photo(95_000_000_000, ["gecko"], files[0], id="../../../evil", dateupload=str(NEWEST - 4000)))
    return photos, good, aside


def claiming(body, width, height):
    """A PNG or JPEG file whose header says that it is as large as this."""
    body = bytearray(body)
    if body[:4] == b"\x89PNG":
        body[16:24] = struct.pack(">II", width, height)
        body[29:33] = struct.pack(">I", zlib.crc32(body[12:29]))
    else:
        frame = body.index(b"\xff\xc0")
        body[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(body)


def arguments(server, name, collection, rate):
    network = ("--endpoint", server.endpoint, "--retry-wait", "0.02", "--timeout", "0.7")
    extra = {
        "search": (*network, *QUERIES, "--rate", str(rate)),
        "download": (*network, "--rate", str(rate), "--workers", str(WORKERS)),
        "prepare": ("--size", "108"),
        "status": (),
    }
    return [sys.executable, "-m", "data_tools.flickr", name, "--output", str(collection), *extra[name]]


def run(server, name, collection, rate, log):
    command_line = arguments(server, name, collection, rate)
    result = subprocess.run(command_line, capture_output=True, text=True, check=False)
    log.write_text(log.read_text() + result.stdout + result.stderr if log.exists() else result.stdout + result.stderr)
    assert result.returncode == 0, result.stderr


def run_until_killed(server, name, collection, rate, log, far_enough):
    """Start a command and end it with SIGKILL once `far_enough()`."""
    with open(log, "a") as file:
        process = subprocess.Popen(arguments(server, name, collection, rate), stdout=file, stderr=file)
        deadline = time.monotonic() + 300
        while not far_enough():
            assert process.poll() is None, f"{name} ended before it was killed:\n{log.read_text()}"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def prepared_files(collection):
    root = collection / "prepared" / "108"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def manifest(collection):
    lines = [json.loads(line) for line in (collection / "manifest.jsonl").read_text().splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line for line in lines}


def in_state(collection, state):
    with sqlite3.connect(collection / "collection.sqlite") as connection:
        rows = connection.execute("SELECT id FROM photos WHERE state = ?", (state,)).fetchall()
    return {identity for (identity,) in rows}


def assert_paced(times, rate):
    """In no stretch of two seconds or more were there more requests than the rate allows, but for jitter of 0.1 s."""
    times = sorted(times)
    for first in range(len(times)):
        for last in range(first + 1, len(times)):
            if times[last] - times[first] >= 2:
                allowed = (times[last] - times[first] + 0.1) * rate / 3600 + 1
                assert last - first <= allowed, (first, last, times[last] - times[first])
                if last - first > 500:
                    break


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("source", ["photographs", "drawn"])
@pytest.mark.parametrize("seed", [0], ids="seed {}".format)
def test_a_collection_survives_faults_and_kills(
    flickr, distinct_photographs, tmp_path, monkeypatch, count, source, seed
):
    """`seed` draws the faults, and how far each command comes before it is killed."""
    draw = random.Random(seed)
    searches = [draw.randrange(6, 10) for _ in range(2)]
    delivered = [draw.uniform(0.15, 0.35), draw.uniform(0.5, 0.7)]
    prepared = [draw.uniform(0.15, 0.35), draw.uniform(0.5, 0.7)]
    monkeypatch.setenv("FLICKR_API_KEY", KEY)
    if source == "photographs" and not PHOTOGRAPHS:
        pytest.skip("REPTILE_PHOTOS names no folder of photographs: only drawn ones are served")
    bases = originals(PHOTOGRAPHS if source == "photographs" else None)
    photos, good, aside = a_world(distinct_photographs(count, bases))
    pages = {"per_page": 10 if count < 2000 else 20, "cap": 60}
    calm = flickr(photos, **pages)
    for name in ("search", "download", "prepare"):
        assert command.run(main, arguments(calm, name, tmp_path / "undisturbed", 3_600_000)[3:]) == 0

    rate = (100 if count < 2000 else 60) * 3600
    rough = flickr(photos, fault_rate=0.1, seed=seed, stall=1.2, **pages)
    rough.echo_key = True
    disturbed, log = tmp_path / "disturbed", tmp_path / "disturbed.log"
    # Each fault once for certain, the others by chance: first those in what an answer holds, after the licences and a
    # page that is right; after the kills the others, each followed by a request that succeeds.
    rough.script.extend([None, None, *(word for kind in ODD_PAGES for word in (kind, None))])
    for count_before in searches:
        enough = len(rough.searches) + count_before
        run_until_killed(rough, "search", disturbed, rate, log, lambda: len(rough.searches) >= enough)  # noqa: B023
    rough.script.extend(word for kind in rough.API_FAULTS if kind in TOLD for word in (None, kind))
    run(rough, "search", disturbed, rate, log)
    assert not rough.script
    here = {}
    for part in delivered:
        enough = part * count
        run_until_killed(rough, "download", disturbed, rate, log, lambda: len(rough.delivered) > enough)  # noqa: B023
        here |= {identity: rough.delivered[identity] for identity in in_state(disturbed, "downloaded")}
        assert part - 0.1 < len(here) / count < part + 0.1
    rough.script.extend(word for kind in rough.IMAGE_FAULTS for word in (None, kind))
    run(rough, "download", disturbed, rate, log)
    assert {identity: rough.delivered[identity] for identity in here} == here

    for part in prepared:
        enough = part * count
        some = lambda: len(list((disturbed / "prepared").glob("108/*/*.png"))) > enough  # noqa: E731, B023
        run_until_killed(rough, "prepare", disturbed, rate, log, some)
    run(rough, "prepare", disturbed, rate, log)
    run(rough, "status", disturbed, rate, log)

    # every good photograph exactly once, the bytes of an undisturbed run, the others set aside with their reason
    files = prepared_files(disturbed)
    assert {tuple(name.removesuffix(".png").split("/")) for name in files} == good
    assert files == prepared_files(tmp_path / "undisturbed")
    for collection in (disturbed, tmp_path / "undisturbed"):
        entries = manifest(collection)
        assert {(entry["class"], entry["id"]) for entry in entries.values() if entry["state"] == "prepared"} == good
        reasons = {identity: entry["reason"] for identity, entry in entries.items() if entry["state"] != "prepared"}
        assert reasons.keys() == aside.keys()
        for identity, reason in reasons.items():
            # of one that keeps failing the last fault is told, which may be one of those at random
            if collection != disturbed or "wrong content" not in aside[identity]:
                assert reason.startswith(aside[identity]), (identity, reason)
        assert in_state(collection, "failed") == {name for name, reason in aside.items() if "wrong content" in reason}

    # nothing is fetched twice, but what is broken, and what was on its way to a process at the moment of its kill
    again = {identity: times for identity, times in rough.delivered.items() if times > 1}
    broken = {identity for identity, reason in aside.items() if reason == "broken:"}
    assert broken <= again.keys() and broken == {identity for identity, times in calm.delivered.items() if times == 3}
    assert len(again.keys() - broken) <= 2 * WORKERS and max(map(again.get, again.keys() - broken), default=0) <= 3
    kinds = {identity: reason.split(":")[0] for identity, reason in aside.items()}
    wanted = {photo.id for photo in photos if photo.body and photo.media_type == "image/jpeg"} & set(
        manifest(disturbed)
    )
    wanted -= {identity for identity, kind in kinds.items() if kind in ("licence", "address")}
    missing = wanted - set(rough.delivered)
    assert set(rough.delivered) <= wanted and {kinds.get(one) for one in missing} <= {"too large"}  # half tells as much

    for lane in ("api", "images"):
        assert_paced(rough.times[lane], rate)

    # every kind of fault came, was counted, and is told
    assert set(rough.faults) == {*rough.API_FAULTS, *rough.IMAGE_FAULTS}
    requests = {lane: len(times) for lane, times in rough.times.items()}
    print(f"{len(good):,} good photographs, requests {requests}, faults {rough.faults.total():,}: {rough.faults}")
    counts = json.loads((disturbed / "status.json").read_text())
    faults = counts["faults"]
    told = {f"api: {TOLD[kind]}" for kind in rough.API_FAULTS if kind in TOLD} | {
        f"images: {TOLD[kind]}" for kind in rough.IMAGE_FAULTS
    }
    assert faults.keys() >= told | {"search: entry of another time", "search: empty page", SKIPPED}
    assert counts["photographs"] == {"found": 0, "failed": 1, "downloaded": len(good), "set_aside": len(aside) - 1}
    assert counts["prepared"] == {"108": len(good)}
    assert faults["search: entry without a usable id or date"] > 0

    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert not (tmp_path / "evil").exists()
    assert {path.name for path in disturbed.iterdir()} <= {
        *("collection.sqlite", "collection.sqlite-wal", "collection.sqlite-shm", ".lock", "incoming", "originals"),
        *("set_aside", "prepared", "manifest.jsonl", "ATTRIBUTION.md", "status.json"),
    }
