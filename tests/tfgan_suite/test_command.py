"""The commands as a user calls them: help, refusals, exit status, nothing half-written."""

import errno
import os
import subprocess
import sys
import time

import pytest
import tensorflow as tf
from PIL import Image

from data_tools import command as cli
from models_zoo import networks
from models_zoo.gan import GAN
from tfgan_suite import evaluate, fit
from tfgan_suite.images import named_sources
from tfgan_suite.training import loop

COMMANDS = ("fit", "evaluate", "sample", "export", "compare", "explore", "search", "classifier", "benchmark")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_fast_and_has_examples(name, command):
    seconds = []
    while not seconds or (min(seconds) >= 1 and len(seconds) < 5):  # other tests keep the cores busy
        began = time.monotonic()
        result = command(f"tfgan_suite.{name}", "--help")
        seconds.append(time.monotonic() - began)
        assert result.returncode == 0 and f"python -m tfgan_suite.{name} " in result.stdout.partition("Example")[2]
        assert result.stderr == ""
    assert min(seconds) < 1


@pytest.mark.parametrize("name", COMMANDS)
def test_help_does_not_import_tensorflow(name):
    code = f"import sys, tfgan_suite.{name}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_list_presets(command):
    result = command("tfgan_suite.fit", "--list-presets")
    assert result.returncode == 0 and "Frank and Juracek" in result.stdout


def broken_image_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "photos" / name / "good.png")
    (tmp_path / "photos" / "b" / "bad.png").write_bytes(b"\x89PNG broken")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--no-such-flag", "1"], 2, "--no-such-flag"),
        (["--dataset", "folder", "--data-dir", "nowhere"], 1, "nowhere"),
        (["--dataset", "folder", "--data-dir", "empty"], 1, "no class folders"),
        (["--dataset", "folder", "--data-dir", "photos"], 1, "bad.png cannot be read as an image"),
        (["--dataset", "folder"], 1, "needs --data-dir"),
        (["--dataset", "npz", "--data-dir", "notes.txt"], 1, "notes.txt cannot be read as an .npz file"),
        (["--dataset", "reptiles", "--data-dir", "photos"], 1, "python -m data_tools.flickr prepare --output photos"),
        (["--dataset", "folder", "--data-dir", "photos/a", "--variant", "acgan"], 2, "learns classes and needs two"),
        (["--channels", "2"], 2, "--channels must be 1 or 3"),
        (["--batch-size", "0"], 2, "--batch-size must be from 1 to 65,536"),
        (["--batch-size", "201"], 2, "--batch-size must be at most 200, the training images of shapes"),
        (["--image-size", "33"], 2, "multiple of 4 from 16 on, for instance 32 or 36"),
        (["--loss", "wasserstien"], 2, "loss must be one of non_saturating, minimax, hinge"),
        (["--variant", "lsgan", "--loss", "hinge"], 2, "loss must be one of least_squares, least_squares_pearson"),
        (["--options", "architecture"], 2, "--options takes NAME=VALUE. Received: architecture"),
        (["--options", "margin=2"], 2, "--options of sngan must be among architecture, augment"),
        (["--options", "stable_rank=much"], 2, "stable_rank must be a value like 0.0. Received: 'much'"),
        (["--options", "architecture=deep"], 2, "architecture must be one of standard, resnet, strided"),
        (["--options", "augment=colour"], 2, "Received: "),
        (["--num-classes", "10"], 2, "--num-classes is for conditional variants, which sngan is not"),
        (["--options", "stable_rank=nan"], 2, "stable_rank must be a finite number"),
        (["--options", "augment=color", "augment=cutout"], 2, "--options takes each name once"),
        (["--variant", "began", "--discriminator-steps", "2"], 2, "discriminator_steps must be 1 in BEGAN"),
        (["--variant", "acgan", "--num-classes", "1"], 2, "--num-classes must be from 2 to 100,000"),
        (["--variant", "acgan", "--num-classes", "9"], 2, "--num-classes must be 10, the classes of shapes"),
        (["--classifier", "nowhere.npz"], 2, "--classifier must be one of shapes"),
        (["--classifier", "notes.txt"], 2, "--classifier must be inception"),
        (["--data-dir", "photos"], 1, "shapes are drawn, not read"),
        (["--run-dir", "notes.txt"], 2, "--run-dir must be new or empty"),
        (["--run-dir", "notes.txt/run"], 1, "cannot be written"),
        (["--run-dir", "photos"], 2, "--resume photos"),
        (["--dataset", "cifar10"], 1, "by hand"),
    ],
)
def test_refusals_write_nothing(monkeypatch, capsys, tmp_path, few_shapes, arguments, status, message):
    broken_image_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    before = sorted(tmp_path.rglob("*"))
    # a proxy that refuses at once, so that a download fails like offline without touching the network
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    assert cli.run(fit.main, ["--steps", "5", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    lines = [line for line in err.splitlines() if not line.startswith(("sngan on ", "features of "))]
    assert 1 <= len(lines) <= 2 and "Traceback" not in err, err
    assert sorted(tmp_path.rglob("*")) == before


def full_gpu():
    text = "OOM when allocating tensor with shape[64,512,8,8] on /job:localhost/device:GPU:0 by allocator GPU_0_bfc"
    return tf.errors.ResourceExhaustedError(None, None, text)


OUT_OF_MEMORY = [
    full_gpu,
    MemoryError,
    lambda: OSError(errno.ENOMEM, "Cannot allocate memory"),
    lambda: tf.errors.InternalError(None, None, "std::bad_alloc"),
    lambda: RuntimeError("std::bad_alloc"),
]


@pytest.mark.parametrize("make", OUT_OF_MEMORY)
@pytest.mark.parametrize("moment", ["building", "tracing", "training"])
def test_too_large_for_the_memory_is_one_line_and_leaves_no_run(
    monkeypatch, capsys, tmp_path, few_shapes, moment, make
):
    """The errors come from where TensorFlow raises them: drawing weights, tracing a step, running it."""
    monkeypatch.chdir(tmp_path)

    def full(*_, **__):
        raise make()

    if moment == "building":
        monkeypatch.setattr(networks, "dcgan", full)
    elif moment == "tracing":
        monkeypatch.setattr(GAN, "parts", full)
    else:
        monkeypatch.setattr(loop, "compiled_steps", lambda *_: full)
    small = ["--variant", "dcgan", "--image-size", "16", "--width", "0.05", "--steps", "2", "--classifier", "none"]
    assert cli.run(fit.main, small) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "error: does not fit in memory: lower --batch-size, --width or --image-size"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_memory_is_said_by_every_command_and_other_errors_are_not_taken_for_it(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def raises(error):
        def main(_):
            raise error

        return main

    for make in OUT_OF_MEMORY:
        assert cli.run(raises(make()), []) == 1
        assert capsys.readouterr().err == "error: does not fit in memory: ask for less at once\n"
    for error in (RuntimeError("no luck"), ValueError("out of memory"), tf.errors.InternalError(None, None, "no")):
        assert cli.run(raises(error), []) == 1
        assert "This is a bug" in capsys.readouterr().err
    monkeypatch.setattr(named_sources, "open_source", lambda *_: raises(full_gpu())(0))
    assert cli.run(evaluate.main, ["shapes:test"]) == 1
    assert "does not fit in memory: lower --num-images, give --no-tfgan" in capsys.readouterr().err


LIMITED = """
import resource, sys
from data_tools import command
from tfgan_suite import fit
from tfgan_suite.console.quiet_tensorflow import load_tensorflow
load_tensorflow()
from tfgan_suite.training import session
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (2 << 30), resource.RLIM_INFINITY))
sys.exit(command.run(fit.main))
"""


@pytest.mark.parametrize("large", [("--batch-size", "16384"), ("--latent-dim", "65536", "--width", "8")])
def test_a_process_with_too_little_memory_says_so(tmp_path, large):
    """A real limit, of two gigabytes more than TensorFlow takes by itself."""
    arguments = ["--variant", "dcgan", "--steps", "2", "--classifier", "none", *large]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "does not fit in memory" in done.stderr and "lower --batch-size, --width or --image-size" in done.stderr
    assert "This is a bug" not in done.stderr and "Traceback" not in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nobody_reading_ends_no_training(tmp_path):
    """Output into a pipe whose reader is gone, messages into a descriptor that is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    folder = broken_image_folder(tmp_path)
    (folder / "b" / "bad.png").unlink()
    small = ["--variant", "dcgan", "--image-size", "16", "--width", "0.05", "--batch-size", "2", "--steps", "4",
             "--classifier", "none", "--dataset", "folder", "--data-dir", str(folder), "--run-dir", "run"]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "tfgan_suite.fit", *small], cwd=tmp_path, stdout=writing, stderr=writing,
        preexec_fn=lambda: os.close(2),
    ) as process:  # fmt: skip
        os.close(writing)
        assert process.wait(300) == 0
    assert (tmp_path / "run" / "checkpoints" / "step-00000004.npz").exists()
    assert (tmp_path / "run" / "export" / "saved_model.pb").exists()


def test_a_process_that_refuses_ends_with_the_status_and_the_message(command, tmp_path):
    result = command("tfgan_suite.fit", "--steps", "5", "--image-size", "33")
    assert result.returncode == 2 and result.stdout == "" and len(result.stderr.splitlines()) == 1
    assert "multiple of 4 from 16 on, for instance 32 or 36" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_export_refuses_what_is_no_run_and_what_is_in_the_way(command, tmp_path):
    result = command("tfgan_suite.export", "nowhere", "out")
    assert result.returncode == 2 and "nowhere is no run folder" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_dry_run_prints_configuration_and_layer_tables(command, tmp_path):
    result = command("tfgan_suite.fit", "--dry-run", "--preset", "dcgan", "--width", "0.25")
    assert result.returncode == 0, result.stderr
    assert '"variant": "dcgan"' in result.stdout and '"loss": "non_saturating"' in result.stdout
    assert "to_image (Conv2DTranspose)" in result.stdout and "Total params" in result.stdout
    assert list(tmp_path.iterdir()) == []
