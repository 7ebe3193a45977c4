import keras
import numpy as np
import pytest

from data_tools import files
from data_tools.errors import SuiteError
from tfgan_suite.runs import checkpoints

ARRAYS = {"generator/dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "training/step": np.int64(7)}


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
        checkpoints.save(tmp_path, step, ARRAYS, keep=2)
    assert [path.name for path in checkpoints.newest_first(tmp_path)] == ["step-00000100.npz", "step-00000020.npz"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign", "pickle"])
def test_a_damaged_one_is_skipped_with_a_message(tmp_path, damage):
    good = checkpoints.save(tmp_path, 1, ARRAYS, keep=3)
    bad = checkpoints.save(tmp_path, 2, ARRAYS, keep=3)
    content = bytearray(bad.read_bytes())
    if damage == "flip":
        content[content.index(ARRAYS["generator/dense/kernel"].tobytes())] ^= 1
    replaced = {"cut": content[:-40], "empty": b"", "foreign": b"hello", "flip": content}.get(damage)
    if damage == "pickle":
        np.savez(bad, **{name: np.array([{}], dtype=object) for name in ARRAYS})
    else:
        bad.write_bytes(bytes(replaced))
    messages = []
    path, arrays = checkpoints.newest(tmp_path, messages.append)
    assert path == good and arrays.keys() == ARRAYS.keys()
    assert len(messages) == 1 and "step-00000002.npz is damaged" in messages[0]


def test_none_when_there_is_nothing_readable(tmp_path):
    assert checkpoints.newest(tmp_path, print) is None


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
    checkpoints.save(tmp_path, 1, ARRAYS, keep=1)

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
