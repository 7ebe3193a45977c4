"""One way to open a run: by its newest, best or any checkpoint, averaged or raw, and what is refused."""

import dataclasses
import importlib
import json

import numpy as np
import pytest
import tensorflow as tf

from data_tools import command as cli
from data_tools.errors import SuiteError, UsageError
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.opening import is_run, open_run
from tfgan_suite.runs.run_folder import create
from tfgan_suite.training import building

SETTINGS = Config(
    variant="dcgan", image_size=16, width=0.05, latent_dim=4, batch_size=4, discriminator_steps=2, steps=3
)
NAMES = ("ant", "cat")


@pytest.fixture(scope="module")
def states():
    """The state after 1, 2 and 3 steps, as arrays."""
    gan = building.build(SETTINGS)
    images, found = tf.random.stateless_uniform((8, 16, 16, 3), [1, 2], -1, 1), {}
    step = tf.function(gan.train_step)
    for number in (1, 2, 3):
        step(images)
        found[number] = checkpoints.arrays_of(gan.state())
    return found


@pytest.fixture
def run(tmp_path, states):
    run = create(SETTINGS, tmp_path / "run")
    run.write_config(SETTINGS, "0" * 64, NAMES)
    for number, arrays in states.items():
        checkpoints.save(run.checkpoints, number, arrays, 3)
    checkpoints.write(run.best, states[1])
    with open(run.metrics, "w", encoding="utf-8") as file:
        for step in (1, 3):
            file.write(json.dumps({"step": step, "metric": "fid", "value": step}) + "\n")
    return run


def weights_of(generator):
    return {variable.path: variable.numpy() for variable in generator.variables}


@pytest.mark.parametrize(("checkpoint", "step"), [("newest", 3), ("best", 1), ("2", 2)])
def test_a_run_is_opened_at_the_checkpoint_that_is_asked_for(run, states, checkpoint, step):
    opened = open_run(run.path, checkpoint)
    assert (opened.step, opened.settings, opened.class_names) == (step, SETTINGS, NAMES)
    assert opened.checkpoint == (run.best if checkpoint == "best" else checkpoints.path_of(run.checkpoints, step))
    for name, array in checkpoints.arrays_of(opened.gan.state()).items():
        np.testing.assert_array_equal(array, states[step][name])
    for weights, section in (("ema", "ema_generator"), ("raw", "generator")):
        for path, array in weights_of(opened.generator(weights)).items():
            np.testing.assert_array_equal(array, states[step][f"{section}/{path}"])
    assert [line["value"] for line in opened.scores()] == [step] * (step != 2)


def test_a_damaged_newest_checkpoint_is_said_and_skipped(run):
    path = checkpoints.path_of(run.checkpoints, 3)
    path.write_bytes(path.read_bytes()[:100])
    said = []
    assert open_run(run.path, report=said.append).step == 2
    assert len(said) == 1 and "is damaged" in said[0]
    with pytest.raises(SuiteError, match="is damaged"):
        open_run(run.path, "3")


@pytest.mark.parametrize(
    ("checkpoint", "change", "reason"),
    [
        ("newest", {"training/step": np.int64(1)}, "holds the state of step 1, which is not the one in its name"),
        ("newest", {"generator/to_image/bias": np.full(3, np.nan, np.float32)}, "not finite"),
        ("newest", {"generator/to_image/bias": np.zeros(4, np.float32)}, r"to_image/bias should be float32 \(3,\)"),
        ("best", {"generator/to_image/bias": np.zeros(4, np.float32)}, r"to_image/bias should be float32 \(3,\)"),
    ],
)
def test_a_readable_checkpoint_that_cannot_be_used_is_passed_over(run, states, checkpoint, change, reason):
    path = run.best if checkpoint == "best" else checkpoints.path_of(run.checkpoints, 3)
    checkpoints.write(path, {**states[3], **change})
    said = []
    if checkpoint == "newest":
        assert open_run(run.path, report=said.append).step == 2
        assert len(said) == 1
    with pytest.raises(SuiteError, match=reason):
        open_run(run.path, "best" if checkpoint == "best" else "3")


def test_a_run_of_which_no_checkpoint_can_be_used_does_not_begin_anew(run):
    for path in checkpoints.newest_first(run.checkpoints):
        path.write_bytes(b"damaged")
    with pytest.raises(SuiteError, match="holds no checkpoint that can be used: .*step-00000003.npz is damaged"):
        open_run(run.path, may_be_new=True)


COMMANDS = {"fit": ["--resume"], "evaluate": [], "export": []}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("part", ["evaluation.jsonl", "log.jsonl", "plots", "checkpoints", ".lock"])
def test_no_command_opens_a_run_with_linked_parts(run, tmp_path, capsys, name, part):
    mine = tmp_path / "mine"
    mine.mkdir()
    path = run.path / part
    if path.is_dir():
        path.rename(mine / part)
    else:
        (mine / part).write_text('{"step": 1}\n')
        path.unlink(missing_ok=True)
    path.symlink_to(mine / part)
    before = {file: file.read_bytes() if file.is_file() else None for file in sorted(mine.rglob("*"))}
    command = importlib.import_module(f"tfgan_suite.{name}")
    arguments = [*COMMANDS[name], str(run.path), *([str(tmp_path / "out")] if name == "export" else [])]
    assert cli.run(command.main, arguments) == 1
    assert f"{path} is a link, and a run is opened only if all of it is in its folder" in capsys.readouterr().err
    assert {file: file.read_bytes() if file.is_file() else None for file in sorted(mine.rglob("*"))} == before


def test_a_run_without_checkpoints_is_opened_only_where_that_is_meant(run):
    for path in run.checkpoints.iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="has no readable checkpoint: train it further first"):
        open_run(run.path)
    opened = open_run(run.path, may_be_new=True)
    assert opened.checkpoint is None and opened.step == 0
    with pytest.raises(UsageError, match="has no readable checkpoint"):
        open_run(run.path, "best", may_be_new=True)


def test_a_model_that_is_there_is_brought_into_the_state(run):
    gan = building.build(SETTINGS)
    assert open_run(run.path, gan=gan).gan is gan and int(gan.step.numpy()) == 3


def test_what_is_no_run_or_does_not_fit_is_refused(run, tmp_path):
    assert is_run(run.path) and not is_run(tmp_path)
    with pytest.raises(UsageError, match="is no run folder"):
        open_run(tmp_path)
    with pytest.raises(UsageError, match="no checkpoint '9', only 3, 2, 1, best"):
        open_run(run.path, "9")
    with pytest.raises(UsageError, match="--checkpoint must be newest, best or a step. Received: oldest"):
        open_run(run.path, "oldest")
    run.update_config(dataclasses.replace(SETTINGS, latent_dim=5))
    with pytest.raises(SuiteError, match="does not fit this model"):
        open_run(run.path)
