import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from data_tools import files, npz
from data_tools.errors import SuiteError
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.training import building

ARRAYS = {"generator/dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "training/step": np.int64(7)}

KERNEL = ARRAYS["generator/dense/kernel"]


def of_step(step):
    return {**ARRAYS, "training/step": np.int64(step)}


def variables():
    return {name: keras.Variable(np.zeros_like(array), dtype=array.dtype.name) for name, array in ARRAYS.items()}


def test_round_trip_and_no_leftovers(tmp_path):
    path = checkpoints.save(tmp_path, 7, ARRAYS, keep=3)
    stored = checkpoints.read(path)
    assert stored.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert stored[name].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(stored[name], array)
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-00000007.npz"]


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 20, 3, 100):
        checkpoints.save(tmp_path, step, of_step(step), keep=2)
    assert [path.name for path in checkpoints.newest_first(tmp_path)] == ["step-00000100.npz", "step-00000020.npz"]


def rewritten(path, change):
    """The file with other arrays, by `change`, and what it says of itself as it was."""
    with np.load(path) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez_compressed(path, **arrays)


def zeros_instead(arrays):
    arrays["generator/dense/kernel"] = np.zeros((64 << 20,), np.uint8)


def one_bit_and_its_checksum(arrays):
    arrays["generator/dense/kernel"][0, 0] = 1e-9


def of_the_future(arrays):
    arrays["about"] = np.array(json.dumps({"format": 3}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "step-00000002.npz is damaged"),
        (lambda path: path.write_bytes(b""), "step-00000002.npz is damaged"),
        (lambda path: path.write_bytes(b"hello"), "step-00000002.npz is damaged"),
        (lambda path: path.write_bytes(path.read_bytes().replace(KERNEL.tobytes(), b"1" * 24)), "00002.npz is damaged"),
        (lambda path: np.savez(path, **{name: np.array([{}], dtype=object) for name in ARRAYS}), "numbers or strings"),
        (lambda path: rewritten(path, one_bit_and_its_checksum), "damaged (its content has another hash than was"),
        (lambda path: rewritten(path, of_the_future), "is of format 3, not of 2 or earlier: it needs a newer"),
        (lambda path: rewritten(path, lambda arrays: arrays.update(about=np.array("[]"))), "does not say its format"),
        (lambda path: rewritten(path, lambda arrays: arrays.update(about=np.zeros(3))), "does not say its format"),
        (lambda path: rewritten(path, zeros_instead), "kernel should be float32 (2, 3). Received: uint8 (67108864,)"),
        (lambda path: rewritten(path, lambda arrays: arrays.pop("training/step")), "1 arrays missing"),
        (lambda path: checkpoints.write(path, of_step(3)), "holds the state of step 3, which is not the one in its"),
        (lambda path: checkpoints.write(path, {**of_step(2), "generator/dense/kernel":
                                               np.full((2, 3), np.nan, np.float32)}), "not finite, in generator/dense"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_passed_over_with_its_reason(tmp_path, damage, reason):
    good = checkpoints.save(tmp_path, 1, of_step(1), keep=3)
    damage(checkpoints.save(tmp_path, 2, of_step(2), keep=3))
    messages = []
    path, arrays = checkpoints.newest(tmp_path, messages.append, variables())
    assert path == good and arrays.keys() == ARRAYS.keys()
    assert len(messages) == 1 and reason in messages[0] and "skipped, trying the one before" in messages[0]
    good.unlink()
    with pytest.raises(SuiteError, match="no checkpoint that can be used: .*step-00000002.npz"):
        checkpoints.newest(tmp_path, messages.append, variables())


def test_a_large_array_in_a_small_file_is_refused_unexpanded(tmp_path, monkeypatch):
    path = checkpoints.save(tmp_path, 2, of_step(2), keep=3)
    best = shutil.copy(path, tmp_path / "best.npz")
    for file in (path, Path(best)):
        rewritten(file, zeros_instead)
        assert file.stat().st_size < 1 << 20
        monkeypatch.setattr(npz, "_expanded", lambda *_: pytest.fail("an array was expanded"))
        with pytest.raises(SuiteError, match="does not fit this model"):
            checkpoints.read(file, variables())
        monkeypatch.undo()


def test_memory_that_is_short_is_no_damage(tmp_path, monkeypatch):
    """Otherwise a good checkpoint would be passed over, and deleted by the run that goes on without it."""
    checkpoints.save(tmp_path, 2, of_step(2), keep=3)

    def short(*_):
        raise MemoryError

    monkeypatch.setattr(npz, "_expanded", short)
    with pytest.raises(MemoryError):
        checkpoints.newest(tmp_path, pytest.fail, variables())


def test_the_file_says_its_format_and_hash(tmp_path):
    path = checkpoints.save(tmp_path, 7, ARRAYS, keep=3)
    with np.load(path) as stored:
        about = json.loads(str(stored["about"]))
    assert about["format"] == checkpoints.FORMAT == 2 and len(about["sha256"]) == 64
    assert checkpoints.read(path).keys() == ARRAYS.keys()


def test_a_file_of_the_first_format_is_read():
    """Two steps of this model, as they were written before files said their format."""
    path = Path(__file__).parent / "format-1-step-00000002.npz"
    with zipfile.ZipFile(path) as archive:
        assert "about.npy" not in archive.namelist()
    gan = building.build(Config(variant="dcgan", image_size=16, width=0.02, latent_dim=4, batch_size=4, steps=3))
    fresh = checkpoints.arrays_of(gan.state())
    checkpoints.restore(gan.state(), checkpoints.read(path, gan.state()), path)
    assert int(gan.step.numpy()) == 2
    assert not np.array_equal(fresh["generator/project/kernel"], gan.state()["generator/project/kernel"].numpy())


def test_restore_assigns_everything(tmp_path):
    state = variables()
    checkpoints.restore(state, ARRAYS, tmp_path)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(state[name].numpy(), array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("training/step"), r"1 arrays missing \['training/step'\]"),
        (lambda arrays: arrays.update(extra=np.zeros(1)), r"1 unknown \['extra'\]"),
        (lambda arrays: arrays.update({"training/step": np.float64(7)}), "training/step should be int64"),
        (lambda arrays: arrays.update({"training/step": np.zeros(2, np.int64)}), r"Received: int64 \(2,\)"),
    ],
)
def test_restore_refuses_what_does_not_fit_and_assigns_nothing(tmp_path, change, message):
    arrays, state = dict(ARRAYS), variables()
    change(arrays)
    with pytest.raises(SuiteError, match=message):
        checkpoints.restore(state, arrays, tmp_path)
    assert not any(variable.numpy().any() for variable in state.values())


def test_a_failed_save_leaves_the_earlier_ones(tmp_path, monkeypatch):
    checkpoints.save(tmp_path, 1, of_step(1), keep=1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(SuiteError, match="step-00000002.npz cannot be written: No space left on device"):
        checkpoints.save(tmp_path, 2, ARRAYS, keep=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-00000001.npz"]
    checkpoints.read(tmp_path / "step-00000001.npz")


def test_lines_are_appended_whole_and_read_back(tmp_path):
    path = tmp_path / "log.jsonl"
    for step in range(3):
        files.append_json_line(path, {"step": step})
    with open(path, "a") as file:
        file.write('{"step": 3, "lo')
    assert files.read_json_lines(path) == [{"step": 0}, {"step": 1}, {"step": 2}]
    with pytest.raises(ValueError, match="Out of range float"):
        files.append_json_line(path, {"loss": float("nan")})


def test_shapes_come_from_the_headers_alone(tmp_path):
    path = checkpoints.save(tmp_path, 1, {"large": np.zeros((1000, 100), np.float32), **ARRAYS}, keep=3)
    content = bytearray(path.read_bytes())
    content[200_000] ^= 1  # values are not looked at
    path.write_bytes(content)
    with pytest.raises(SuiteError):
        checkpoints.read(path)
    assert checkpoints.shapes(path) == {"large": (1000, 100), "generator/dense/kernel": (2, 3), "training/step": ()}
    path.write_bytes(b"foreign")
    with pytest.raises(SuiteError, match="step-00000001.npz is damaged"):
        checkpoints.shapes(path)


def test_a_network_whose_optimizer_keeps_no_moments_has_no_known_number_of_parameters(tmp_path):
    moments = {f"generator_optimizer/adam/{name}_velocity": np.zeros(size) for name, size in (("a", (2, 3)), ("b", 4))}
    path = checkpoints.save(tmp_path, 1, {**ARRAYS, **moments}, keep=3)
    assert checkpoints.num_parameters(path) == {"generator": 10}
