"""The loop and the command in one process: determinism, logs, stops, options."""

import dataclasses
import json
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_tools import command as cli
from data_tools import shapes
from data_tools.errors import Interrupted, SuiteError
from tfgan_suite import fit
from tfgan_suite.images.sampler import Sampler
from tfgan_suite.runs import checkpoints
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.run_folder import create
from tfgan_suite.scores import protocol
from tfgan_suite.training import building, loop

SETTINGS = Config(
    image_size=16, width=0.05, latent_dim=4, batch_size=4, steps=12, log_every=4, loss="hinge", classifier="none",
    options={"architecture": "strided"},
)  # fmt: skip
DATA = shapes.draw(50, seed=0, image_size=16)


@pytest.fixture(autouse=True)
def hangup():
    """SIGHUP as a terminal has it, also where the tests were started by `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def trained(tmp_path, settings=SETTINGS, name="run", watchers=()):
    gan = building.build(settings)
    run = create(settings, tmp_path / name)
    loop.train(gan, settings, DATA, run, list(watchers))
    return gan, run


def values(gan):
    return checkpoints.arrays_of(gan.state())


def equal(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The state at the end of an undisturbed run, and its folder; to be read only."""
    gan, run = trained(tmp_path_factory.mktemp("whole"))
    return values(gan), run


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path, whole):
    first = whole[0]
    assert equal(first, values(trained(tmp_path, name="b")[0]))
    other = values(trained(tmp_path, dataclasses.replace(SETTINGS, seed=1), "c")[0])
    assert not any(np.array_equal(first[name], other[name]) for name in first if name.endswith("kernel"))


@pytest.mark.parametrize("calls", [[12], [1] * 12, [5, 7]])
def test_steps_per_call_change_nothing(whole, calls):
    gan = building.build(SETTINGS)
    run_steps = loop.compiled_steps(gan, SETTINGS)
    step = 0
    for count in calls:
        assert bool(run_steps(*loop.gather(DATA, SETTINGS, step, count)))
        step += count
    for tracker in gan.trackers.values():
        tracker.reset_state()
    assert equal(values(gan), whole[0])


def test_the_loop_equals_train_step_called_by_hand(tmp_path):
    """Batches in the promised order, scaled to [-1, 1], one train_step each; fused kernels may round differently."""
    settings = dataclasses.replace(SETTINGS, steps=14)
    gan = building.build(settings)
    order = np.concatenate([np.random.default_rng([0, epoch]).permutation(50) for epoch in range(2)])
    step = tf.function(gan.train_step)
    for i in range(14):  # 56 images, so the second epoch begins within a batch
        chosen = order[i * 4 : i * 4 + 4]
        step((DATA.images[chosen].astype(np.float32) / 127.5 - 1, DATA.labels[chosen]))
    ours, looped = values(gan), values(trained(tmp_path, settings)[0])
    untrained = values(building.build(settings))
    for name in (name for name in ours if name.endswith("kernel") and "optimizer" not in name):
        moved = np.abs(ours[name] - untrained[name]).max()
        assert np.abs(ours[name] - looped[name]).max() < 0.02 * moved, name


def test_log_lines(tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=10, discriminator_steps=2)
    gan, run = trained(tmp_path, settings)
    lines = [json.loads(line) for line in run.log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 10]
    assert [line["images_seen"] for line in lines] == [32, 64, 80]
    assert set(lines[0]) == {"step", "images_seen", "seconds", *gan.logged}
    assert lines[0]["seconds"] < lines[1]["seconds"]
    assert 0 < lines[0]["d_real"] < 1 and lines[0]["d_gradient_norm"] > 0


def test_a_log_line_is_the_mean_over_its_interval(tmp_path, whole):
    each = dataclasses.replace(SETTINGS, log_every=1)
    single = [json.loads(x) for x in trained(tmp_path, each, "each")[1].log.read_text().splitlines()]
    means = [json.loads(x) for x in whole[1].log.read_text().splitlines()]
    for i, line in enumerate(means):
        expected = np.mean([one["g_loss"] for one in single[i * 4 : i * 4 + 4]])
        assert line["g_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_stop_between_log_lines_loses_nothing(tmp_path, whole, number, status):
    """A signal at step 6, with a line every 4: the resumed run's line of step 8 is the mean over 5 to 8."""
    gan = building.build(SETTINGS)
    run = create(SETTINGS, tmp_path / "stopped")
    stop = [(6, lambda step: os.kill(os.getpid(), number))]
    with pytest.raises(Interrupted, match="stopped at step 6 of 12, saved") as caught:
        loop.train(gan, SETTINGS, DATA, run, stop)
    assert caught.value.status == status
    resumed = building.build(SETTINGS)
    checkpoints.restore(resumed.state(), *reversed(checkpoints.newest(run.checkpoints, print)))
    loop.train(resumed, SETTINGS, DATA, run, [])
    assert equal(values(resumed), whole[0])
    ours, theirs = ([{**json.loads(x), "seconds": 0} for x in r.log.read_text().splitlines()] for r in (run, whole[1]))
    assert ours == theirs and len(ours) == 3


def test_a_lengthened_run_logs_as_if_it_had_been_that_long(tmp_path, whole):
    """The first run ends in the middle of an interval of 4."""
    _, run = trained(tmp_path, dataclasses.replace(SETTINGS, steps=10), "short")
    gan = building.build(SETTINGS)
    checkpoints.restore(gan.state(), *reversed(checkpoints.newest(run.checkpoints, print)))
    run.cut_back(10, SETTINGS)
    loop.train(gan, SETTINGS, DATA, run, [])
    assert equal(values(gan), whole[0])
    ours, theirs = ([{**json.loads(x), "seconds": 0} for x in r.log.read_text().splitlines()] for r in (run, whole[1]))
    assert ours == theirs


def test_watchers_are_called_at_their_multiples_and_at_the_end(tmp_path):
    called = {5: [], 100: []}
    trained(tmp_path, watchers=[(every, called[every].append) for every in called])
    assert called == {5: [5, 10, 12], 100: [12]}


@pytest.mark.parametrize("checkpoint_every", [1, 100])
def test_a_loss_that_is_not_finite_stops_with_name_step_and_checkpoint(tmp_path, checkpoint_every):
    bad = dataclasses.replace(
        SETTINGS, generator_learning_rate=1e30, steps=40, checkpoint_every=checkpoint_every, log_every=1000
    )
    gan = building.build(bad)
    expected = 0
    logs = {"d_loss": 0.0}
    while np.isfinite(list(logs.values())).all():
        images, labels = loop.gather(DATA, bad, expected, 1)
        logs = {
            name: float(value)
            for name, value in gan.train_step((loop.prepare(images[0], bad, gan.step), labels[0])).items()
        }
        expected += 1
    with pytest.raises(SuiteError) as caught:
        trained(tmp_path, bad)
    message = str(caught.value)
    assert f"stopped at step {expected}:" in message and len(message.splitlines()) == 2
    assert all(f"{name} is " in message for name, value in logs.items() if not np.isfinite(value))
    if checkpoint_every == 1:
        last = checkpoints.path_of(tmp_path / "run" / "checkpoints", expected - 1)
        assert f"the last good checkpoint is {last}" in message
        assert all(np.isfinite(array).all() for name, array in checkpoints.read(last).items() if "log" not in name)
    else:
        assert "there is no checkpoint yet" in message
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_a_gradient_that_is_not_finite_is_named_though_the_loss_is_fine(tmp_path, monkeypatch):
    from models_zoo import gan as gan_module

    original = gan_module.GAN.generator_step

    def poisoned(self, batch_size):
        logs = original(self, batch_size)
        inf = tf.where(self.step.value == 6, float("inf"), 0.0)
        return {**logs, "g_gradient_norm": logs["g_gradient_norm"] + inf}

    monkeypatch.setattr(gan_module.GAN, "generator_step", poisoned)
    with pytest.raises(SuiteError, match="stopped at step 7: g_gradient_norm is inf;"):
        trained(tmp_path)


@pytest.mark.parametrize(("minutes", "steps"), [(1e-9, [1, 2, 3]), (60.0, [3]), (0.0, [3])])
def test_a_checkpoint_is_due_after_minutes_too(tmp_path, whole, minutes, steps):
    """Steps between the log's lines, so that each of the three is a call of its own."""
    settings = dataclasses.replace(SETTINGS, steps=3, log_every=1, checkpoint_every=100, checkpoint_minutes=minutes)
    _, run = trained(tmp_path, settings)
    assert [checkpoints.step_of(path) for path in reversed(checkpoints.newest_first(run.checkpoints))] == steps


def test_a_signal_in_the_first_call_says_that_a_step_comes_first(tmp_path, monkeypatch, capfd):
    gather = loop.gather

    def stopped(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return gather(*arguments)

    monkeypatch.setattr(loop, "gather", stopped)
    with pytest.raises(Interrupted, match="stopped at step 1 of 12, saved"):
        trained(tmp_path)
    assert "SIGTERM: stopping after the first step, which is saved\n" in capfd.readouterr().err
    assert checkpoints.path_of(tmp_path / "run" / "checkpoints", 1).is_file()


def test_a_second_ctrl_c_does_not_wait_for_a_save(tmp_path):
    def impatient(step):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="stopped at once, what came after the last checkpoint is lost"):
        trained(tmp_path, watchers=[(6, impatient)])
    assert checkpoints.newest_first(tmp_path / "run" / "checkpoints") == []


def test_only_the_asked_number_of_checkpoints_is_kept(tmp_path):
    _, run = trained(tmp_path, dataclasses.replace(SETTINGS, checkpoint_every=2, keep_checkpoints=2))
    assert [path.name for path in checkpoints.newest_first(run.checkpoints)] == [
        "step-00000012.npz",
        "step-00000010.npz",
    ]


def test_flip_mirrors_half_of_the_images_as_a_function_of_the_step():
    settings = dataclasses.replace(SETTINGS, flip=True)
    images = np.random.default_rng(0).integers(0, 255, (400, 8, 8, 3), dtype=np.uint8)
    scaled = images.astype(np.float32) * np.float32(1 / 127.5) - 1
    steps = [keras.Variable(step, dtype="int64") for step in (3, 3, 4)]
    results = [loop.prepare(images, settings, step).numpy() for step in steps]
    mirrored = (results[0] == scaled[:, :, ::-1]).all(axis=(1, 2, 3))
    kept = (results[0] == scaled).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all() and 140 < mirrored.sum() < 260
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    np.testing.assert_array_equal(loop.prepare(images, SETTINGS, steps[0]).numpy(), scaled)


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_state(tmp_path, whole):
    gan, _ = trained(tmp_path, dataclasses.replace(SETTINGS, mixed_precision="bfloat16"))
    assert gan.generator.get_layer("deconv_0").compute_dtype == "bfloat16"
    assert gan.generator.output.dtype == gan.discriminator.output.dtype == "float32"
    assert {variable.dtype for variable in gan.state().values()} <= {"float32", "int64", "int32"}
    assert not equal(values(gan), whole[0])


def test_jit_compile_is_used(tmp_path):
    """XLA draws other random numbers, so the weights differ; and they stay finite."""
    settings = dataclasses.replace(SETTINGS, steps=2)
    plain, compiled = (
        values(trained(tmp_path, dataclasses.replace(settings, jit_compile=jit), str(jit))[0]) for jit in (False, True)
    )
    assert not equal(plain, compiled)
    assert all(np.isfinite(array).all() for array in compiled.values())


def test_learning_rates_and_betas_reach_the_optimizers():
    settings = dataclasses.replace(
        SETTINGS, generator_learning_rate=0.5, discriminator_learning_rate=0.25, beta_1=0.1, beta_2=0.7
    )
    gan = building.build(settings)
    assert float(gan.generator_optimizer.learning_rate) == 0.5
    assert float(gan.discriminator_optimizer.learning_rate) == 0.25
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.1, 0.7, 1e-8)


ARGUMENTS = [
    "--options",
    "architecture=strided",
    "--width",
    "0.05",
    "--batch-size",
    "4",
    "--steps",
    "6",
    "--log-every",
    "2",
]
ARGUMENTS += ["--num-images", "50", "--sample-every", "3"]


def test_a_run_folder_holds_what_it_should(tmp_path, monkeypatch, capsys, few_shapes):
    monkeypatch.chdir(tmp_path)
    assert cli.run(fit.main, [*ARGUMENTS, "--evaluate-every", "3", "--tensorboard", "--debug"]) == 0
    run = tmp_path / "results" / "runs" / "0001-sngan-shapes-seed0"
    out, err = capsys.readouterr()
    for name in ("classifier_score", "frechet_classifier_distance", "smallest_class_fraction"):
        assert name in out
    for path in ("samples/step-000006.png", "export"):
        assert f"results/runs/0001-sngan-shapes-seed0/{path}" in out
    assert "images/s" in err and "s left" in err
    assert sorted(path.name for path in (run / "samples").iterdir()) == [f"step-00000{i}.png" for i in (0, 3, 6)]
    assert {path.name for path in (run / "plots").iterdir()} == {
        "losses.png",
        "gradient_norms.png",
        "discriminator.png",
        "metric-classifier_score.png",
        "metric-frechet_classifier_distance.png",
        "metric-class_coverage.png",
        "metric-smallest_class_fraction.png",
        "metric-class_histogram_kl.png",
    }
    assert (run / "export" / "saved_model.pb").exists()
    (events,) = (run / "tensorboard").glob("events.*")
    stored = tf.compat.v1.train.summary_iterator(str(events))
    points = [(event.step, value.tag) for event in stored for value in event.summary.value]
    assert [step for step, tag in points if tag == "d_loss"] == [2, 4, 6]
    record = json.loads((run / "config.json").read_text())
    assert record["config"]["steps"] == 6 and record["config"]["loss"] == "hinge"
    assert record["dataset_fingerprint"] == shapes.load("train").fingerprint()
    assert {"tensorflow", "keras", "numpy", "python", "tfgan_suite", "git"} <= record["versions"].keys()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(line == protocol.check(line) and line["num_generated"] == 50 for line in lines)
    chosen = [line for line in lines if line["reference"] == "shapes:selection"]
    assert [line["step"] for line in chosen] == [0, 3, 6]
    lines = [line for line in lines if line not in chosen]
    assert {line["reference"] for line in lines} == {"shapes:test", None}
    assert [line["step"] for line in lines] == [0] * 5 + [3] * 5 + [6] * 5
    best = min(chosen, key=lambda line: line["value"])["step"]
    assert np.load(run / "checkpoints" / "best.npz")["training/step"] == best
    assert len({line["value"] for line in lines if line["metric"] == "frechet_classifier_distance"}) == 3
    assert cli.run(fit.main, [*ARGUMENTS, "--classifier", "none", "--debug"]) == 0
    assert (tmp_path / "results" / "runs" / "0002-sngan-shapes-seed0").is_dir()
    assert not (tmp_path / "results" / "runs" / "0002-sngan-shapes-seed0" / "metrics.jsonl").exists()


def test_a_generator_that_cannot_be_scored_is_noted_and_trains_on(tmp_path, monkeypatch, capsys, few_shapes):
    """A score that fails on the way, here for pixels that are no numbers, is told, and the run goes on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Sampler, "generate", lambda self, latents, labels: np.full((len(latents), 32, 32, 3), np.nan))
    scored = [*ARGUMENTS, "--classifier", "shapes", "--evaluate-every", "3", "--num-images", "20"]
    assert cli.run(fit.main, [*scored, "--run-dir", "run", "--debug"]) == 0
    assert "note: no score at step 3: run has pixels that are not finite" in capsys.readouterr().err
    assert checkpoints.newest_first(tmp_path / "run" / "checkpoints")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_tensorboard_without_its_package_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(fit.importlib.util, "find_spec", lambda name: None)
    assert cli.run(fit.main, ["--tensorboard"]) == 2
    assert "pip install 'tfgan_suite[tensorboard]'" in capsys.readouterr().err
