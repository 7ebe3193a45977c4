"""The real download path against a local server that can break off, refuse and lie."""

import hashlib
import http.server
import importlib
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from data_tools import cifar10
from data_tools import download as download_module
from data_tools.cache import CACHE_VARIABLE
from data_tools.download import download
from data_tools.errors import DataError

CONTENT = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        self.wfile.write(server.content[start : server.break_at or None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.status, server.ranges, server.break_at = [], 200, True, None
    server.content = CONTENT
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/archive.bin"
    yield server
    server.shutdown()
    server.server_close()


def test_downloads_once(server, tmp_path):
    path = download(server.url, DIGEST, folder=tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert download(server.url, DIGEST, folder=tmp_path / "cache") == path
    assert len(server.requests) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["archive.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on(server, tmp_path, ranges):
    server.break_at = 400_000
    with pytest.raises(DataError, match="cannot be downloaded"):
        download(server.url, DIGEST, folder=tmp_path)
    have = (tmp_path / "archive.bin.part").stat().st_size
    assert 0 < have <= 400_000
    server.break_at, server.ranges = None, ranges
    assert download(server.url, DIGEST, folder=tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={have}-"]


def test_a_whole_part_is_not_asked_for_again(server, tmp_path):
    (tmp_path / "archive.bin.part").write_bytes(CONTENT)
    assert download(server.url, DIGEST, folder=tmp_path).read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_nothing_is_kept(server, tmp_path):
    with pytest.raises(DataError, match=f"SHA-256 {DIGEST}, expected 00"):
        download(server.url, "00", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_says_what_to_do(server, tmp_path):
    server.status = 404
    with pytest.raises(DataError, match="cannot be downloaded.*\nDownload it by hand and pass its place as --data-dir"):
        download(server.url, DIGEST, folder=tmp_path)


def test_offline_says_what_to_do_in_two_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(download_module, "_BACKOFF", 0.01)
    with pytest.raises(DataError) as caught:
        download("http://127.0.0.1:9/archive.bin", DIGEST, folder=tmp_path)
    assert len(str(caught.value).splitlines()) == 2
    assert "by hand" in str(caught.value)


def test_cifar10_uses_the_cache_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(cifar10, "URL", server.url)
    monkeypatch.setattr(cifar10, "SHA256", DIGEST)
    with pytest.raises(DataError, match="damaged or no archive"):
        cifar10.load("train")
    assert (tmp_path / "cache" / "archive.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion_mnist"])
def test_what_is_in_the_cache_already_is_trusted_by_its_hash_only(tmp_path, monkeypatch, name, sources):
    """A file of the right name and form, which somebody put there or changed."""
    module = importlib.import_module(f"data_tools.{name}")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    folder = tmp_path / "cache"
    if name == "fashion_mnist":
        monkeypatch.setattr(module, "DEBIAN", tmp_path / "nowhere")
        folder = sources.write_idx(folder / "fashion_mnist")
        kept, digests = folder / "train-images-idx3-ubyte.gz", dict(module.SHA256)
        own = folder
    elif name == "mnist":
        folder.mkdir()
        images, labels = sources.mnist_arrays()
        kept = own = folder / "mnist.npz"
        np.savez(kept, x_train=images, y_train=labels, x_test=images, y_test=labels)
    else:
        unpacked = getattr(sources, f"write_{name}")(tmp_path / "unpacked")
        kept = own = folder / module.URL.rsplit("/", 1)[1]
        folder.mkdir()
        with tarfile.open(kept, "w:gz") as tar:
            tar.add(next(unpacked.iterdir()), arcname=next(unpacked.iterdir()).name)
    assert len(module.load("train", data_dir=own)) > 0  # of the user's own it is taken
    with pytest.raises(DataError) as caught:
        module.load("train")
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{kept} has SHA-256 {download_module.file_sha256(kept)}, expected ")
    assert second == "Delete it to have it downloaded again, or pass a file of your own as --data-dir"
    if name == "fashion_mnist":
        for file in digests:
            if (folder / file).exists():
                digests[file] = download_module.file_sha256(folder / file)
        monkeypatch.setattr(module, "SHA256", digests)
    else:
        monkeypatch.setattr(module, "SHA256", download_module.file_sha256(kept))
    assert module.load("train").fingerprint() == module.load("train", data_dir=own).fingerprint()


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><html>Kaggle</html>", b"\xef\xbb\xbf\r\n <html>", b'<?xml version="1.0"?><Error/>']
)
@pytest.mark.parametrize("digest", [None, DIGEST])
def test_a_web_page_in_the_place_of_the_file_is_said_and_not_kept(server, tmp_path, page, digest):
    server.content = page
    with pytest.raises(DataError, match="gave a web page instead of the file") as caught:
        download(server.url, digest, folder=tmp_path, places=("https://one.org", "https://two.org"))
    assert "Download it by hand from https://one.org or https://two.org and pass its place as --data-dir" in str(
        caught.value
    )
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_cache_is_one_line(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=f"cannot be written.*set {CACHE_VARIABLE}"):
        download(server.url, DIGEST, folder=tmp_path / "file" / "cache")


def test_plain_http_is_refused_but_from_this_machine(tmp_path, server):
    with pytest.raises(DataError, match="leads to http://example.org/archive.bin, which is not HTTPS") as caught:
        download("http://example.org/archive.bin", DIGEST, folder=tmp_path)
    assert len(str(caught.value).splitlines()) == 2 and "by hand" in str(caught.value)
    with pytest.raises(DataError, match="which is not HTTPS"):
        download("ftp://127.0.0.1/archive.bin", DIGEST, folder=tmp_path)


def test_a_redirection_away_from_https_is_not_followed(tmp_path, server):
    """The name would not resolve; that it is not even asked for is the point."""
    url = server.url.replace("archive.bin", "elsewhere")
    server.location = "http://example.org/archive.bin"
    with pytest.raises(DataError, match="leads to http://example.org/archive.bin, which is not HTTPS"):
        download(url, DIGEST, folder=tmp_path)
    server.location = "/archive.bin"
    assert download(url, DIGEST, folder=tmp_path).read_bytes() == CONTENT


def test_https_may_not_lead_to_plain_http_on_this_machine():
    import requests

    response = requests.Response()
    response.status_code, response.url = 302, "https://example.org/archive.bin"
    session = download_module._Session()
    response.headers["Location"] = "https://example.com/archive.bin"
    assert session.get_redirect_target(response) == "https://example.com/archive.bin"
    response.headers["Location"] = "http://127.0.0.1/archive.bin"
    with pytest.raises(requests.RequestException):
        session.get_redirect_target(response)


def test_two_at_once_fetch_it_once(tmp_path, server):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download(server.url, DIGEST, folder=tmp_path), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT} and len(server.requests) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["archive.bin"]


def test_every_published_file_has_a_hash_and_an_https_address():
    from data_tools import cifar100, fashion_mnist, mnist

    files = {module.URL: module.SHA256 for module in (cifar10, cifar100, mnist)}
    files |= {fashion_mnist.URL + name: digest for name, digest in fashion_mnist.SHA256.items()}
    assert len(files) == 7 and len(set(files.values())) == 7
    assert all(url.startswith("https://") and len(bytes.fromhex(digest)) == 32 for url, digest in files.items())


def test_fashion_mnist_is_downloaded_in_its_own_folder(tmp_path, server, monkeypatch):
    from data_tools import fashion_mnist

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setattr(fashion_mnist, "URL", server.url.replace("archive.bin", ""))
    monkeypatch.setattr(fashion_mnist, "SHA256", dict.fromkeys(fashion_mnist.SHA256, DIGEST))
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz must be an IDX file"):
        fashion_mnist.load("train")
    names = sorted(path.name for path in (tmp_path / "fashion_mnist").iterdir())
    assert names == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
