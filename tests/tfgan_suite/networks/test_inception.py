"""TF-GAN's Inception from the server to the loaded module, with a small module of the same form on a local server."""

import hashlib
import http.server
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from data_tools.cache import CACHE_VARIABLE
from data_tools.errors import DataError, SuiteError
from tfgan_suite.networks import inception, saved_models, scoring_network

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append((self.path, wanted))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        self.wfile.write(server.content[start : server.break_at])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tiny_inception, tiny_models, tmp_path, monkeypatch):
    """Serves the packed module under the handle, which is made to point at it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content = tiny_models.pack(tiny_inception, tmp_path / "served.tar.gz").read_bytes()
    server.requests, server.break_at = [], None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(inception, "HANDLE", f"http://127.0.0.1:{server.server_port}/tfgan/eval/inception/1")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and a process that has loaded nothing."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(inception.HUB_CACHE_VARIABLE, raising=False)
    inception._loaded.clear()
    yield tmp_path / "cache" / "tfhub"
    inception._loaded.clear()


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def folder_name():
    return hashlib.sha1(inception.HANDLE.encode()).hexdigest()


def test_downloaded_interrupted_resumed_kept_and_loaded_once(server, cache, tiny_inception):
    server.break_at = 3_000_000
    with pytest.raises(DataError, match="cannot be downloaded"):
        inception.load()
    part = cache / "tfgan-inception-1.tar.gz.part"
    have = part.stat().st_size
    assert 0 < have <= 3_000_000 and visible(cache) == [part.name]
    server.break_at = None
    first = scoring_network.load("inception")
    path = "/tfgan/eval/inception/1?tf-hub-format=compressed"
    assert server.requests == [(path, None), (path, f"bytes={have}-")]
    assert visible(cache) == [folder_name(), f"{folder_name()}.descriptor.txt"]
    assert f"Module: {inception.HANDLE}\n" in (cache / f"{folder_name()}.descriptor.txt").read_text()
    assert not list(cache.glob(".*.tmp"))

    loads = []
    original, inception.saved_models.load = inception.saved_models.load, lambda *a: loads.append(a) or original(*a)
    try:
        second = scoring_network.load("inception")
        given = scoring_network.load("inception", inception=tiny_inception)
    finally:
        inception.saved_models.load = original
    assert len(server.requests) == 2 and loads == []
    assert first.fingerprint == second.fingerprint == given.fingerprint and first.is_inception
    outputs = first(IMAGES)
    assert outputs["logits"].shape == (3, 1008) and outputs["pool_3"].shape == (3, 2048)
    np.testing.assert_array_equal(outputs["pool_3"], given(IMAGES)["pool_3"])


def test_the_folder_of_tensorflow_hub_is_honoured(server, cache, tmp_path, monkeypatch, tiny_inception):
    monkeypatch.setenv(inception.HUB_CACHE_VARIABLE, str(tmp_path / "hub"))
    shutil.copytree(tiny_inception, tmp_path / "hub" / folder_name())  # as tensorflow_hub leaves it
    assert inception.fetch() == tmp_path / "hub" / folder_name()
    assert server.requests == [] and not cache.exists()
    shutil.rmtree(tmp_path / "hub")
    assert inception.fetch() == tmp_path / "hub" / folder_name()
    assert len(server.requests) == 1 and not cache.exists()


def test_tensorflow_hub_finds_what_was_fetched_here(server, tmp_path, monkeypatch):
    resolver = pytest.importorskip("tensorflow_hub.resolver")
    compressed = pytest.importorskip("tensorflow_hub.compressed_module_resolver")
    monkeypatch.setenv(inception.HUB_CACHE_VARIABLE, str(tmp_path / "hub"))
    fetched = inception.fetch()
    assert compressed.HttpCompressedFileResolver()(inception.HANDLE) == str(fetched)
    assert resolver._module_descriptor_file(str(fetched)) == f"{fetched}.descriptor.txt"
    assert len(server.requests) == 1


def test_a_remote_folder_of_tensorflow_hub_is_refused(monkeypatch):
    monkeypatch.setenv(inception.HUB_CACHE_VARIABLE, "gs://bucket/modules")
    with pytest.raises(SuiteError, match="must be a local folder.*gs://bucket"):
        inception.fetch()


def test_offline_says_what_to_download_to_where(cache, monkeypatch):
    monkeypatch.setattr(inception, "HANDLE", "http://127.0.0.1:9/inception/1")
    with pytest.raises(DataError) as caught:
        inception.load()
    first, second = str(caught.value).splitlines()
    assert first.startswith("http://127.0.0.1:9/inception/1?tf-hub-format=compressed cannot be downloaded")
    assert second.endswith(f"pass its place as --inception, or put it at {cache / 'tfgan-inception-1.tar.gz'}")


def test_a_copy_put_there_by_hand_is_taken(server, cache):
    cache.mkdir(parents=True)
    (cache / "tfgan-inception-1.tar.gz").write_bytes(server.content)
    assert inception.load().outputs == ("logits", "pool_3")
    assert server.requests == []


def test_a_web_page_in_its_place_names_both_places_and_the_option(server, cache):
    """As tfhub.dev answers, which leads to Kaggle, where archives are for those who are logged in."""
    good, server.content = server.content, b"<!DOCTYPE html>\n<html>Kaggle: find models</html>"
    for _ in range(2):
        with pytest.raises(DataError, match="gave a web page instead of the file") as caught:
            inception.load()
        message = str(caught.value)
        assert f"by hand from {inception.HANDLE} or {inception.KAGGLE} and pass its place as --inception" in message
        assert "kaggle.com" in inception.KAGGLE and "run the command again" not in message
        assert visible(cache) == []
    server.content = b'{"error": "gone"}'
    with pytest.raises(SuiteError, match=f"by hand from .* or {inception.KAGGLE} and pass its place as --inception"):
        inception.load()
    server.content = good
    assert inception.load().outputs == ("logits", "pool_3")


def test_a_plain_tar_is_taken(server, cache, tmp_path, tiny_inception, tiny_models):
    plain = tiny_models.pack(tiny_inception, tmp_path / "plain.tar", "w:")
    given = inception.load(plain)
    server.content = plain.read_bytes()
    assert inception.load().fingerprint == given.fingerprint == saved_models.fingerprint(tiny_inception)


def test_a_kept_module_that_was_changed_is_refused(server, cache, tiny_inception, tiny_models, tmp_path):
    kept = inception.fetch()
    digest = inception.load().fingerprint
    other = tiny_models.save(tmp_path / "other", tiny_models.TinyInception(seed=1))
    for part in ("variables/variables.index", "variables/variables.data-00000-of-00001"):
        shutil.copy(other / part, kept / part)
    inception._loaded.clear()
    changed = saved_models.fingerprint(kept)
    with pytest.raises(
        SuiteError, match=f"was changed since it was unpacked: .*{changed}, and had {digest}.\nDelete it"
    ):
        inception.load()
    assert inception.load(kept).fingerprint == changed  # of the user's own it is taken
    (cache / f"{folder_name()}.descriptor.txt").write_text("Module: x\nDownload Time: y\n")  # as tensorflow_hub has it
    assert inception.load().fingerprint == changed
    shutil.rmtree(kept)
    assert inception.load().fingerprint == digest


def test_a_folder_or_an_archive_can_be_given(server, cache, tmp_path, tiny_inception, tiny_models):
    packed = tmp_path / "mine.tar.gz"
    packed.write_bytes(server.content)
    deeper = shutil.copytree(tiny_inception, tmp_path / "deeper" / "inception").parent
    models = [inception.load(given) for given in (tiny_inception, packed, tiny_models.pack(deeper, tmp_path / "d.tgz"))]
    assert models[0] is models[1] is models[2]  # the same fingerprint: loaded once
    assert server.requests == [] and not cache.exists()
    another = tiny_models.save(tmp_path / "another", tiny_models.TinyInception(seed=1))
    assert inception.load(another).fingerprint != models[0].fingerprint


def test_what_is_given_must_be_there_and_be_a_model(tmp_path, tiny_models):
    with pytest.raises(DataError, match="does not exist. Expected the folder of a SavedModel"):
        inception.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SuiteError, match="is no SavedModel: expected saved_model.pb"):
        inception.load(tmp_path / "empty")
    with pytest.raises(SuiteError, match="holds no SavedModel"):
        inception.load(tiny_models.pack_members(tmp_path / "a.tar.gz", [("readme", b"")]))


def test_another_network_is_not_taken_for_inception(tmp_path, tiny_models):
    other = tiny_models.save(tmp_path / "other", tiny_models.TinyInception(logits=1001))
    with pytest.raises(SuiteError, match=r"expected .*logits \[B, 1008\].*Received: .*'logits': 1001"):
        inception.load(other)
    only = tiny_models.save_function(tmp_path / "only", lambda images: {"logits": tf.reduce_mean(images, [1, 2])})
    with pytest.raises(SuiteError, match="is not TF-GAN's Inception.*Received: .*'logits': 3"):
        inception.load(only)


@pytest.mark.parametrize("kind", ["damaged", "elsewhere", "link", "bomb"])
def test_a_bad_archive_is_refused_removed_and_nothing_is_kept(server, cache, tmp_path, tiny_models, monkeypatch, kind):
    good, link = server.content, tiny_models.tarfile.TarInfo("saved_model.pb")
    link.type, link.linkname = tiny_models.tarfile.SYMTYPE, "/etc/passwd"
    if kind == "bomb":
        monkeypatch.setattr(inception.archives, "MAX_BYTES", 10_000)
    server.content = {
        "damaged": good[:20_000] + b"?" + good[20_001:],
        "elsewhere": tiny_models.pack_members(tmp_path / "x", [("../../evil", b"x")]).read_bytes(),
        "link": tiny_models.pack_members(tmp_path / "x", [(link, b"")]).read_bytes(),
    }.get(kind, good)
    with pytest.raises(SuiteError, match="It was removed: run the command again"):
        inception.load()
    assert visible(cache) == [] and not list(cache.glob(".*.tmp"))
    assert not (tmp_path / "evil").exists() and not (cache / "evil").exists()
    server.content = good
    monkeypatch.undo()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(inception, "HANDLE", f"http://127.0.0.1:{server.server_port}/tfgan/eval/inception/1")
    assert inception.fetch().is_dir()


def test_what_a_killed_process_left_is_removed(server, cache):
    (cache / ".tfgan-inception-abc.tmp" / "content").mkdir(parents=True)
    inception.fetch()
    assert not list(cache.glob(".*.tmp"))


def test_two_processes_at_once_download_once(server, cache):
    script = (
        f"from tfgan_suite.networks import inception\ninception.HANDLE = {inception.HANDLE!r}\n"
        "assert (inception.fetch() / 'saved_model.pb').is_file()"
    )
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert len(server.requests) == 1
    assert visible(cache) == [folder_name(), f"{folder_name()}.descriptor.txt"]
