import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data_tools import folder, images, pictures
from data_tools.errors import DataError


def write(path, size=(40, 30), colour=(200, 30, 90), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


@pytest.fixture
def root(tmp_path):
    for split in ("train", "test"):
        for name, colour in (("cat", (250, 0, 0)), ("ant", (0, 250, 0))):
            for i in range(3):
                write(tmp_path / split / name / f"{i}.png", colour=colour)
    return tmp_path


@pytest.mark.parametrize("given", ["", "train"])
def test_classes_in_order_and_both_splits(root, given):
    for split in ("train", "test"):
        data = folder.load(split, image_size=16, data_dir=root / given)
        assert data.class_names == ("ant", "cat")
        assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert data.images.shape == (6, 16, 16, 3)
        assert data.images[0, 8, 8].tolist() == [0, 250, 0] and data.images[5, 8, 8].tolist() == [250, 0, 0]


def test_a_folder_of_classes_is_the_train_split(root):
    (root / "test").rename(root / "other")
    data = folder.load("train", image_size=16, data_dir=root / "other")
    assert len(data) == 6
    with pytest.raises(DataError, match="no 'test' split"):
        folder.load("test", image_size=16, data_dir=root / "other")


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["test", "Test", "testing", "val", "valid", "validation", "selection", "Training"])
def test_a_split_is_never_taken_for_a_class(tmp_path, name, split):
    for place in ("cat", name):
        write(tmp_path / place / "0.png")
    with pytest.raises(DataError, match=rf"has splits \({name}\) but no train"):
        folder.load(split, image_size=16, data_dir=tmp_path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_train_beside_what_is_no_split_is_refused(root, split):
    write(root / "testing" / "cat" / "0.png")
    with pytest.raises(DataError, match="holds the folder train beside testing: "):
        folder.load(split, image_size=16, data_dir=root)


def test_a_collection_is_for_another_dataset(tmp_path, sources):
    with pytest.raises(DataError, match="use --dataset reptiles"):
        folder.load("train", image_size=16, data_dir=sources.write_collection(tmp_path))


def test_what_a_mac_or_a_viewer_left_behind_is_passed_over(root):
    whole = folder.load("train", image_size=16, data_dir=root).fingerprint()
    for name in ("._ant", "ant/._0.png", "ant/.thumbs/0.png", "ant/__MACOSX/0.png", "__MACOSX/ant/0.png"):
        (root / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "train" / name).write_bytes(b"no picture")
    (root / "__MACOSX").mkdir()
    assert folder.load("train", image_size=16, data_dir=root).fingerprint() == whole
    write(root / "flat" / "0.png")
    (root / "flat" / "._0.png").write_bytes(b"no picture")
    assert len(folder.load("train", image_size=16, data_dir=root / "flat")) == 1


def test_links_count_as_what_they_lead_to(root, tmp_path_factory):
    """To an image, to a class and to a folder inside one, out of the folder, too."""
    own = folder.load("train", image_size=16, data_dir=root)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("single.png", "class/0.png", "part/0.png", "part/deep/1.png", "part/.hidden/2.png"):
        write(elsewhere / name, colour=(1, 2, 3))
    (root / "train" / "ant" / "9.png").symlink_to(elsewhere / "single.png")
    (root / "train" / "bee").symlink_to(elsewhere / "class")
    (root / "train" / "cat" / "part").symlink_to(elsewhere / "part")
    (root / "train" / "cat" / "link to nothing").symlink_to(elsewhere / "nothing")
    (elsewhere / "part" / "notes.txt").write_text("no image")
    listing = folder.listing("train", data_dir=root)
    assert [name for name in listing.names if name not in ("ant/0.png", "ant/1.png", "ant/2.png")] == [
        *("ant/9.png", "bee/0.png", "cat/0.png", "cat/1.png", "cat/2.png", "cat/part/0.png", "cat/part/deep/1.png")
    ]
    data = folder.load("train", image_size=16, data_dir=root)
    assert data.class_names == ("ant", "bee", "cat") and len(data) == len(own) + 4
    assert data.images[3, 8, 8].tolist() == [1, 2, 3]
    assert folder.not_images(listing) == 2  # the notes, and the link to nothing


@pytest.mark.parametrize(
    ("place", "target"),
    [("cat/loop", "."), ("cat/loop", ".."), ("loop", "."), ("kitten", "cat"), ("ant/more", "../cat")],
)
def test_a_folder_that_is_reached_twice_is_refused(root, place, target):
    (root / "train" / place).symlink_to(target)
    with pytest.raises(
        DataError, match="is the folder .* again, by a link or a mount, and its images would count twice"
    ):
        folder.listing("train", data_dir=root)


def test_links_that_multiply_are_refused_at_once(tmp_path):
    """Two links to the next folder in each of thirty: a thousand million ways to the last one."""
    for index in range(30):
        (tmp_path / "far" / str(index)).mkdir(parents=True)
        for name in "ab":
            (tmp_path / "far" / str(index) / name).symlink_to(tmp_path / "far" / str(index + 1))
    write(tmp_path / "far" / "30" / "0.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat").symlink_to(tmp_path / "far" / "0")
    with pytest.raises(DataError, match="again, by a link"):
        folder.listing("train", data_dir=tmp_path / "photos")


@pytest.mark.parametrize("place", ["ant/7.png", "ant/inside/7.png"])
def test_an_image_that_is_a_link_to_nothing_is_named(root, place):
    (root / "train" / place).parent.mkdir(exist_ok=True)
    (root / "train" / place).symlink_to("gone.png")
    with pytest.raises(DataError, match=r"7\.png is a link to nothing: mend or remove it"):
        folder.listing("train", data_dir=root)


def test_centre_crop_and_resize_are_pillows(root):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (60, 90, 3), dtype=np.uint8))
    picture.save(root / "train" / "ant" / "0.png")
    ours = folder.load("train", image_size=20, data_dir=root).images[0]
    independent = picture.crop((15, 0, 75, 60)).resize((20, 20), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(ours, np.asarray(independent))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8, :8] = 255
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, 3),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(turned).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(pictures.read_image(tmp_path / "turned.png", 16), upright)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("picture.tif" if mode in ("CMYK", "I;16") else "picture.png")
    Image.new(mode, (20, 20)).save(path)
    assert pictures.read_image(path, 16).shape == (16, 16, 3)


def test_sixteen_bits_are_scaled_and_thirty_two_refused(tmp_path):
    Image.fromarray(np.full((16, 16), 64 * 257, np.uint16)).save(tmp_path / "deep.png")
    assert (pictures.read_image(tmp_path / "deep.png", 16) == 64).all()
    for kind, values in (("float", np.zeros((16, 16), np.float32)), ("int", np.zeros((16, 16), np.int32))):
        Image.fromarray(values).save(tmp_path / f"{kind}.tif")
        with pytest.raises(DataError, match=f"{kind}.tif has 32-bit pixels"):
            pictures.read_image(tmp_path / f"{kind}.tif", 16)


def test_transparency_is_laid_on_black(tmp_path):
    Image.new("RGBA", (16, 16), (255, 255, 255, 0)).save(tmp_path / "clear.png")
    assert pictures.read_image(tmp_path / "clear.png", 16).max() == 0


def bomb(side=30_000):
    """A PNG of a few hundred bytes whose header claims side x side pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


HOSTILE = {"broken.jpg": b"\xff\xd8\xff broken", "empty.png": b"", "bomb.png": bomb(), "large.png": bomb(9000)}


@pytest.mark.parametrize(("name", "content"), HOSTILE.items(), ids=list(HOSTILE))
def test_broken_and_hostile_files_are_named(root, name, content):
    (root / "train" / "ant" / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        folder.load("train", image_size=16, data_dir=root)


def test_a_truncated_jpeg_is_named(root):
    path = root / "train" / "ant" / "cut.jpg"
    write(path, size=(200, 200))
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match="cut.jpg cannot be read"):
        folder.load("train", image_size=16, data_dir=root)


def test_refusals(tmp_path):
    with pytest.raises(DataError, match="needs --data-dir DIR"):
        folder.load("train", image_size=16)
    with pytest.raises(DataError, match="existing folder. Received: .*nowhere"):
        folder.load("train", image_size=16, data_dir=tmp_path / "nowhere")
    with pytest.raises(DataError, match="no class folders"):
        folder.load("train", image_size=16, data_dir=tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match="hold no images"):
        folder.load("train", image_size=16, data_dir=tmp_path)


def test_fingerprint_follows_pixels_labels_and_names(root):
    def fingerprint():
        return folder.load("train", image_size=16, data_dir=root).fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    write(root / "train" / "ant" / "0.png", colour=(0, 249, 0))
    second = fingerprint()
    (root / "train" / "cat").rename(root / "train" / "dog")
    assert len({first, second, fingerprint()}) == 3


def test_labelled_images_refuse_inconsistent_arrays():
    good = np.zeros((2, 4, 4, 3), np.uint8)
    for arrays, message in (
        ((good.astype(float), np.zeros(2, int), ("a",)), "must be uint8"),
        ((good, np.zeros(3, int), ("a",)), "one integer per image"),
        ((good, np.array([0, 1]), ("a",)), r"labels must be in 0..0. Received: 0..1"),
    ):
        with pytest.raises(ValueError, match=message):
            images.LabelledImages(*arrays)
