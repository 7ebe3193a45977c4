"""A server that speaks Flickr's API and misbehaves in every known way, and photographs for it to serve."""

import collections
import http.server
import io
import json
import os
import random
import threading
import time
import urllib.parse
from pathlib import Path

import numpy as np
from PIL import Image

KEY = "0123456789abcdefThisIsTheKey"
LICENCES = [
    (0, "All Rights Reserved", "https://www.flickrhelp.com/hc/en-us/articles/10710266545556"),
    (1, "CC BY-NC-SA 2.0", "https://creativecommons.org/licenses/by-nc-sa/2.0/"),
    (4, "CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/"),
    (6, "CC BY-ND 2.0", "https://creativecommons.org/licenses/by-nd/2.0/"),
    (7, "No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    (8, "United States Government Work", "http://www.usa.gov/copyright.shtml"),
    (9, "Public Domain Dedication (CC0)", "https://creativecommons.org/publicdomain/zero/1.0/"),
    (10, "Public Domain Mark", "https://creativecommons.org/publicdomain/mark/1.0/"),
    (11, "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/"),
]
NEWEST = 1_700_000_000
# well-formed answers that are not what was asked for, whatever was
ODD_SHAPES = {
    "no photos": {"stat": "ok"},
    "null": {"stat": "ok", "photos": None, "licenses": None},
    "list": {"stat": "ok", "photos": [], "licenses": [1]},
    "null list": {"stat": "ok", "photos": {"total": 3, "photo": None}, "licenses": {"license": None}},
    "no objects": {"stat": "ok", "photos": {"total": 3, "photo": [None, 7]}, "licenses": {"license": ["by"]}},
    "a list": [],
}
# pages of the right shape that leave something out
ODD_PAGES = ("skipped", "shifted", "empty", "nothing", "repeated", "bare", "short")
PHOTOGRAPHS = os.environ.get("REPTILE_PHOTOS")


class Photo:
    """One entry of the server: what the API says of it, and what its address serves."""

    def __init__(self, number, words, body=b"", *, media_type="image/jpeg", moved_to=None, status=200, **entry):
        self.id = str(number)
        self.words, self.body, self.media_type = words, body, media_type
        self.moved_to, self.status = moved_to, status
        self.entry = {
            "id": self.id,
            "owner": f"{number % 997}@N01",
            "ownername": f"Owner {number % 997}",
            "title": f"Photograph {number}",
            "license": "4",
            "dateupload": str(NEWEST - number % 100_000 * 60),
            "datetaken": "2020-05-17 12:00:00",
            "tags": " ".join(words),
            "width_m": 500,
            "height_m": "375",
            **entry,
        }


class FakeFlickr(http.server.ThreadingHTTPServer):
    """Serves `photos`; every request fails with probability `fault_rate`, in one of `API_FAULTS` or `IMAGE_FAULTS`."""

    daemon_threads = True
    request_queue_size = 128
    API_FAULTS = (
        *("429 after", "429", "500", "503", "stall", "truncated", "html", "elsewhere", "reset", "fail"),
        *(*ODD_PAGES, *ODD_SHAPES),
    )
    IMAGE_FAULTS = ("429 after", "429", "500", "503", "stall", "truncated", "html", "elsewhere", "reset", "cut")

    def __init__(self, photos=(), *, fault_rate=0.0, seed=0, stall=2.0, per_page=100, cap=300):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.photos = {photo.id: photo for photo in photos}
        self.fault_rate, self.stall, self.per_page, self.cap = fault_rate, stall, per_page, cap
        self.lock, self.random = threading.Lock(), random.Random(seed)
        self.times = collections.defaultdict(list)  # lane -> time of every request
        self.delivered = collections.Counter()  # photo id -> files sent whole
        self.faults = collections.Counter()
        self.searches = []  # the arguments of every search
        self.script = collections.deque()  # faults of the next requests, before any by chance; None for none
        self.echo_key = False
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.endpoint = f"{self.base}/services/rest/"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def fault(self, kinds):
        with self.lock:
            if self.script:
                kind = self.script.popleft()
            else:
                kind = self.random.choice(kinds) if self.random.random() < self.fault_rate else None
            if kind:
                self.faults[kind] += 1
            return kind

    def search(self, arguments, fault):
        """The JSON answer to flickr.photos.search, with Flickr's cap and page numbers."""
        self.searches.append(arguments)
        wanted = set(arguments.get("tags", "").split(",")) if "tags" in arguments else {arguments["text"]}
        latest = int(arguments["max_upload_date"])
        every = [photo for photo in self.photos.values() if wanted & set(photo.words)]
        every.sort(key=lambda photo: (-int(photo.entry["dateupload"]), int(photo.id)))
        found = [photo for photo in every if int(photo.entry["dateupload"]) <= latest]
        size, page = min(int(arguments["per_page"]), self.per_page), int(arguments["page"])
        start = (page - 1) * size
        if start + size > self.cap:  # Flickr repeats the last page it has
            start = max(0, self.cap - size)
        some = found[start : start + size]
        if fault in ("empty", "nothing"):
            some = []
            found = [] if fault == "nothing" else found  # as if there were no results at all
        elif fault == "skipped" and some != every[:size]:
            some = some[len(some) // 2 + 1 :] or some
        elif fault == "short":  # the results seem to end here
            some = found = some[: len(some) // 2 + 1]
        elif fault == "repeated":  # the first page of all, as if the upload date had been passed over
            some = every[:size]
        elif fault == "shifted":
            newer = [photo for photo in every if photo not in found][-5:]
            some = newer + some[: size - len(newer)]
        entries = [{**photo.entry, "url_m": self.address(photo)} for photo in some]
        if fault == "bare":  # as if no extras had been asked for
            entries = [{name: entry[name] for name in ("id", "owner", "title", "dateupload")} for entry in entries]
        if self.echo_key:
            entries = [{**entry, "title": f"{entry['title']} {arguments['api_key']}"} for entry in entries]
        return {
            "photos": {"page": page, "pages": -(-len(found) // size), "perpage": size, "total": str(len(found)),
                       "photo": entries},
            "stat": "ok",
        }  # fmt: skip

    def address(self, photo):
        return photo.entry.get("url_m", f"{self.base}/65535/{photo.id}_secret.jpg")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which would hold each body back for 40 ms, until its headers are acknowledged

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        is_api = parts.path == "/services/rest/"
        with self.server.lock:
            self.server.times["api" if is_api else "images"].append(time.time())
        fault = self.server.fault(self.server.API_FAULTS if is_api else self.server.IMAGE_FAULTS)
        if fault in ("429 after", "429", "500", "503"):
            headers = {"Retry-After": "1"} if fault == "429 after" else {}
            self.send(f"status {fault}".encode(), "text/plain", int(fault[:3]), **headers)
        elif fault == "stall":
            time.sleep(self.server.stall)
            self.close_connection = True
        elif fault == "html":
            self.send(b"<html>Sorry, our site is having a moment</html>", "text/html")
        elif fault == "elsewhere":
            self.send(b"", "text/plain", 302, Location="http://elsewhere.example/photo.jpg")
        elif fault == "reset":
            self.close_connection = True
        elif is_api:
            self.answer(dict(urllib.parse.parse_qsl(parts.query)), fault)
        else:
            self.picture(parts.path, fault)

    def answer(self, arguments, fault):
        if arguments["api_key"] != KEY:
            content = {"stat": "fail", "code": 100, "message": f"Invalid API Key {arguments['api_key']}"}
        elif fault == "fail":
            content = {"stat": "fail", "code": 105, "message": "Service currently unavailable"}
        elif fault in ODD_SHAPES:
            content = ODD_SHAPES[fault]
        elif arguments["method"] == "flickr.photos.licenses.getInfo":
            licences = [{"id": number, "name": name, "url": url} for number, name, url in LICENCES]
            content = {"licenses": {"license": licences}, "stat": "ok"}
        elif arguments.get("tags") == "refused":
            content = {"stat": "fail", "code": 3, "message": "Parameterless searches have been disabled"}
        else:
            content = self.server.search(arguments, fault)
        self.send(json.dumps(content).encode(), "application/json", truncated=fault == "truncated")

    def picture(self, path, fault):
        photo = self.server.photos.get(path.rpartition("/")[2].partition("_")[0])
        if photo is None or photo.status != 200:
            self.send(b"gone", "text/plain", 404 if photo is None else photo.status)
        elif photo.moved_to:
            self.send(b"", "text/plain", 302, Location=photo.moved_to)
        else:
            body = photo.body[: len(photo.body) // 2] if fault == "cut" else photo.body  # a cut body of the length told
            self.send(body, photo.media_type, truncated=fault == "truncated")
            if fault not in ("truncated", "cut") and photo.media_type.startswith("image/"):
                with self.server.lock:
                    self.server.delivered[photo.id] += 1

    def send(self, body, media_type, status=200, *, truncated=False, **headers):
        self.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if truncated:
            body, self.close_connection = body[: len(body) // 2], True
        self.wfile.write(body)

    def handle(self):
        try:
            super().handle()
        except OSError:  # the client was killed
            self.close_connection = True

    def log_message(self, *_):
        pass


def originals(folder=PHOTOGRAPHS):
    """Photographs to serve: those in `folder`, by default that which REPTILE_PHOTOS names, or some drawn here."""
    if folder:
        return [Image.open(path).convert("RGB") for path in sorted(Path(folder).iterdir()) if path.is_file()]
    drawn = []
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        drawn.append(Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC))
    return drawn


def jpeg(picture, quality=85, **options):
    """The bytes of a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def signs_of(picture):
    """Whether grey grows from cell to cell of a fine grid: what tells these photographs apart."""
    grey = np.asarray(picture.convert("L").resize((18, 18), Image.Resampling.BOX), dtype=np.int16)
    return np.concatenate([(grey[:, 1:] > grey[:, :-1]).ravel(), (grey[1:] > grey[:-1]).ravel()])
