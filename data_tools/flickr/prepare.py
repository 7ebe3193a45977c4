"""Make square RGB pictures of one size out of the downloaded files: `prepared/<size>/<class>/<photo id>.png`."""

from __future__ import annotations

import collections
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageCms

from data_tools import pictures
from data_tools.flickr.checks import Unusable, open_picture
from data_tools.flickr.store import BY_ID, Store
from data_tools.flickr.work import in_parallel, write_whole

FITS = ("crop", "pad")
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def prepare_picture(body: bytes, size: int, fit: str) -> Image.Image:
    """An RGB picture of `size` x `size` pixels out of the bytes of a file.

    In this order: turned upright as EXIF says; transparency laid on black; colours brought from the embedded profile
    to sRGB; the centre square cut out (`"crop"`), or nothing (`"pad"`); resized with antialiasing (Pillow's bicubic);
    `"pad"` fills up with black, evenly on both sides. The picture carries nothing but its pixels, so that the same
    bytes give the same file whenever it is prepared.

    Raises:
        Unusable: for a file that is no whole picture of allowed size.
    """
    picture = to_srgb(open_picture(body))
    # Pillow would write it into the PNG: the profile that was converted to, for one, with the time at which it was made
    picture.info = {}
    if fit == "crop":
        return pictures.square(picture, size)
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    whole = Image.new("RGB", (size, size))
    whole.paste(picture, ((size - width) // 2, (size - height) // 2))
    return whole


def to_srgb(picture: Image.Image) -> Image.Image:
    """The picture as RGB in the sRGB colour space; an unreadable colour profile counts as none."""
    profile = picture.info.get("icc_profile")
    picture = pictures.on_black(pictures.eight_bits(picture))
    if picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            changed = ImageCms.profileToProfile(picture, source, _SRGB, outputMode="RGB")
        except Exception:  # damaged profiles, and those for another kind of picture, raise several things
            changed = None
        if changed is not None:
            return changed
    return picture.convert("RGB")


def prepare(
    store: Store, *, size: int, fit: str, limit: int | None, workers: int, advance: Callable[[int], None]
) -> collections.Counter[str]:
    """Prepare every downloaded photograph that is not prepared in this way yet; gives how many ended how.

    An original that is gone or was changed is marked to be fetched again.
    """
    _sweep(store, size)
    rows = pending(store, size, fit, limit)
    ended: collections.Counter[str] = collections.Counter()
    one = lambda row: _one(store, row, size, fit)  # noqa: E731
    for end in in_parallel(one, rows, workers):
        ended[end] += 1
        advance(1)
    return ended


def pending(store: Store, size: int, fit: str, limit: int | None = None):
    """The downloaded photographs that are not prepared in this size and fit and whose original is kept."""
    return store.rows(
        "SELECT id, class, original, sha256 FROM photos WHERE state = 'downloaded' AND original != '' AND NOT EXISTS "
        f"(SELECT 1 FROM prepared WHERE photo = id AND size = ? AND fit = ?) {BY_ID} LIMIT ?",
        *(size, fit, -1 if limit is None else limit),
    )


def discard_originals(store: Store, size: int, fit: str) -> int:
    """Delete the files of all photographs that are prepared in this way or set aside; gives how many."""
    rows = store.rows(
        "SELECT id, original FROM photos WHERE original != '' AND (state = 'set_aside' OR (state = 'downloaded' AND "
        "EXISTS (SELECT 1 FROM prepared WHERE photo = id AND size = ? AND fit = ?)))",
        *(size, fit),
    )
    for row in rows:
        store.path(row["original"]).unlink(missing_ok=True)
        store.update("photos", "id", row["id"], original="")
    return len(rows)


def _one(store: Store, row, size: int, fit: str) -> str:
    try:
        body = store.path(row["original"]).read_bytes()
    except FileNotFoundError:
        body = b""
    if hashlib.sha256(body).hexdigest() != row["sha256"]:
        store.count("prepare", "original gone or changed")
        store.update("photos", "id", row["id"], state="found", reason="", original="")
        return "to be fetched again"
    try:
        picture = prepare_picture(body, size, fit)
    except Unusable as error:
        store.update("photos", "id", row["id"], state="set_aside", reason=str(error))
        return "set_aside"
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    file = f"prepared/{size}/{row['class']}/{row['id']}.png"
    write_whole(store.path(file), encoded.getvalue())
    digest = hashlib.sha256(encoded.getvalue()).hexdigest()
    store.write("INSERT OR REPLACE INTO prepared VALUES (?, ?, ?, ?, ?)", row["id"], size, fit, file, digest)
    return "prepared"


def _sweep(store: Store, size: int) -> None:
    """Forget and delete pictures of photographs that are set aside by now, what a kill left, and lost files."""
    gone = "SELECT photo FROM prepared JOIN photos ON id = photo WHERE state != 'downloaded'"
    store.write(f"DELETE FROM prepared WHERE photo IN ({gone})")
    known = {row["file"]: row["photo"] for row in store.rows("SELECT file, photo FROM prepared")}
    there = set()
    for path in (store.folder / "prepared").glob("*/*/*"):
        file = path.relative_to(store.folder).as_posix()
        if file in known:
            there.add(file)
        elif path.suffix == ".tmp" or (path.suffix == ".png" and path.stem.isdecimal()):
            store.path(file).unlink()
    lost = [(photo, file) for file, photo in known.items() if file not in there]
    store.write_many("DELETE FROM prepared WHERE photo = ? AND file = ?", lost)
    for folder in (store.folder / "prepared" / str(size)).glob("*"):
        if folder.is_dir() and not any(folder.iterdir()):
            Path.rmdir(folder)


def without_original(store: Store, size: int, fit: str) -> int:
    """How many downloaded photographs cannot be prepared in this way because their original was not kept."""
    return store.value(
        "SELECT count(*) FROM photos WHERE state = 'downloaded' AND original = '' AND NOT EXISTS "
        "(SELECT 1 FROM prepared WHERE photo = id AND size = ? AND fit = ?)",
        *(size, fit),
    )


def enlarged(store: Store, size: int, fit: str) -> int:
    """How many of the pictures prepared in this way have more pixels than what they were made from."""
    side = "min" if fit == "crop" else "max"
    return store.value(
        "SELECT count(*) FROM prepared JOIN photos ON id = photo WHERE prepared.size = ? AND fit = ? "
        f"AND {side}(width, height) < ?",
        *(size, fit, size),
    )
