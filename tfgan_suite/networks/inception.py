"""TF-GAN's Inception module: fetched once, kept, and loaded once per process.

The module is a TensorFlow 2 SavedModel of about 90 MB that takes float32 images [B, 299, 299, 3], `(x - 128) / 128` of
pixels in 0..255, and gives `logits` [B, 1008] and `pool_3` [B, 2048]. Its publisher states no hash, so its fingerprint
is recorded in every score rather than compared: two scores with the same fingerprint come from the same module. The
copy that is kept must stay what it was when it was unpacked, by the fingerprint that was written down then; one that
tensorflow_hub left there, or that is given, has none and is taken as it is.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data_tools import files
from data_tools.cache import cache_folder, warn_of_others
from data_tools.download import download
from data_tools.errors import DataError, SuiteError
from tfgan_suite.networks import archives, saved_models
from tfgan_suite.networks.saved_models import ImageModel

HANDLE = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"  # tests put a server of their own here
KAGGLE = "https://www.kaggle.com/models/tensorflow/inception/tensorFlow1/tfgan-eval-inception/1"  # where that leads
ARCHIVE = "tfgan-inception-1.tar.gz"
HUB_CACHE_VARIABLE = "TFHUB_CACHE_DIR"
IMAGE_SIZE = 299
_RECORDED = "SHA-256 of its files: "
_COLUMNS = {"logits": 1008, "pool_3": 2048}

_loaded: dict[str, ImageModel] = {}  # fingerprint -> the one that is in memory


def load(given: Path | None = None) -> ImageModel:
    """The module, ready to run; one copy per process.

    Args:
        given: folder of the SavedModel, or its `.tar.gz` archive; None for the kept copy, downloaded if there is none.
            Nothing but the fingerprint tells another module of the same form from the genuine one.

    Raises:
        DataError: if it is neither kept nor to be downloaded.
        SuiteError: for anything else than a SavedModel with these outputs, or one with operations that could do harm
            (`saved_models.check`).
    """
    with _folder(given) as folder:
        if not (folder / "saved_model.pb").is_file():
            raise SuiteError(f"{folder} is no SavedModel: expected saved_model.pb and variables/ of {HANDLE}")
        digest = saved_models.fingerprint(folder)
        if given is None:
            _require_as_unpacked(folder, digest)
        if digest not in _loaded:
            model = saved_models.load(folder)
            _check_columns(model, given or folder)
            _loaded.clear()
            _loaded[digest] = model
        return _loaded[digest]


def fetch() -> Path:
    """Folder of the kept module, downloaded and unpacked if there is none.

    It is where tensorflow_hub keeps it, `$TFHUB_CACHE_DIR/<SHA-1 of the handle>`, so that either finds the other's
    copy; without that variable, under this suite's cache folder. It appears whole or not at all; of several processes
    one downloads.

    Raises:
        DataError: if it cannot be downloaded; two lines that say what to put where.
        SuiteError: for a damaged or harmful archive, or a full disk.
    """
    root = _root()
    target = root / hashlib.sha1(HANDLE.encode()).hexdigest()
    if (target / "saved_model.pb").is_file():
        return target
    with files.writing(root):
        root.mkdir(parents=True, exist_ok=True)
    with files.writing(root), files.locked(root / f".{ARCHIVE}.lock"):
        if (target / "saved_model.pb").is_file():
            return target
        files.remove_temporaries(root)  # of a process that was killed
        url, places = f"{HANDLE}?tf-hub-format=compressed", (HANDLE, KAGGLE)
        archive = download(url, None, folder=root, name=ARCHIVE, flag="--inception", places=places)
        try:
            with _unpacked(archive, root) as folder, files.writing(target):
                if target.is_dir() and not any(target.iterdir()):
                    target.rmdir()
                _describe(target, saved_models.fingerprint(folder))
                os.replace(folder, target)
        except archives.BadArchive as error:
            archive.unlink(missing_ok=True)
            raise SuiteError(
                f"{error}\nIt was removed: run the command again to download it anew, or download it by hand from "
                f"{' or '.join(places)} and pass its place as --inception"
            ) from None
        archive.unlink()
    return target


def _root() -> Path:
    chosen = os.environ.get(HUB_CACHE_VARIABLE)
    if chosen and "://" in chosen:
        raise SuiteError(f"{HUB_CACHE_VARIABLE} must be a local folder for this command. Received: {chosen}")
    if not chosen:
        return cache_folder() / "tfhub"
    folder = Path(chosen).expanduser().absolute()
    warn_of_others(folder, HUB_CACHE_VARIABLE)
    return folder


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder of the SavedModel; an archive is unpacked for as long as the context lasts."""
    if given is None:
        yield fetch()
    elif given.is_dir():
        yield given
    elif given.is_file():
        with _unpacked(given, None) as folder:
            yield folder
    else:
        raise DataError(
            f"{given} does not exist. Expected the folder of a SavedModel or its .tar.gz archive, from {HANDLE} or "
            f"{KAGGLE}"
        )


@contextlib.contextmanager
def _unpacked(archive: Path, beside: Path | None) -> Iterator[Path]:
    """The model in `archive`, in a temporary folder that is removed in the end; in `beside` if given."""
    with files.writing(beside or Path(tempfile.gettempdir())):
        work = Path(tempfile.mkdtemp(prefix=".tfgan-inception-", suffix=".tmp", dir=beside))
        try:
            content = work / "content"
            content.mkdir()
            archives.unpack(archive, content)
            inside = [content, *sorted(path for path in content.iterdir() if path.is_dir())]
            models = [folder for folder in inside if (folder / "saved_model.pb").is_file()]
            if not models:
                raise archives.BadArchive(f"{archive} holds no SavedModel: expected saved_model.pb and variables/")
            yield models[0]
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _descriptor(target: Path) -> Path:
    """The note that tensorflow_hub, too, puts beside a model, because its folder has no telling name."""
    return target.with_name(f"{target.name}.descriptor.txt")


def _describe(target: Path, digest: str) -> None:
    now = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
    lines = [f"Module: {HANDLE}", f"Download Time: {now}", _RECORDED + digest]
    files.replace_text(_descriptor(target), "\n".join(lines) + "\n")


def _require_as_unpacked(target: Path, digest: str) -> None:
    try:
        lines = _descriptor(target).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    recorded = [line.removeprefix(_RECORDED) for line in lines if line.startswith(_RECORDED)]
    if recorded and digest not in recorded:
        raise SuiteError(
            f"{target} was changed since it was unpacked: its files have SHA-256 {digest}, and had "
            f"{recorded[0][:64]}.\nDelete it to have it downloaded again, or pass a module of your own as --inception"
        )


def _check_columns(model: ImageModel, source: Path) -> None:
    import tensorflow as tf

    found = {}
    if model.image_size in (None, IMAGE_SIZE):
        outputs = model.function(tf.zeros([1, IMAGE_SIZE, IMAGE_SIZE, 3]))
        found = {name: outputs[name].shape[-1] for name in model.outputs}
    if any(found.get(name) != count for name, count in _COLUMNS.items()):
        raise SuiteError(
            f"{source} is not TF-GAN's Inception: expected images [B, 299, 299, 3] to logits [B, 1008] and pool_3 "
            f"[B, 2048]. Received: images of side {model.image_size} to {found or model.outputs}. Another network goes "
            f"by --classifier"
        )
