import dataclasses
import json

import pytest

from data_tools.errors import UsageError
from models_zoo import VARIANTS
from tfgan_suite import fit
from tfgan_suite.runs import config
from tfgan_suite.runs.config import Config
from tfgan_suite.runs.presets import PRESETS
from tfgan_suite.runs.run_folder import RunFolder
from tfgan_suite.training import building, session

NOT_DEFAULT = {
    "variant": "dcgan", "dataset": "folder", "data_dir": "x", "image_size": 64, "channels": 1, "width": 0.5,
    "latent_dim": 7,
    "loss": "minimax", "steps": 11, "batch_size": 3, "discriminator_steps": 2, "generator_learning_rate": 0.1,
    "discriminator_learning_rate": 0.2, "beta_1": 0.3, "beta_2": 0.4, "ema_decay": 0.6, "flip": True, "seed": 9,
    "mixed_precision": "bfloat16", "distribute": "mirrored", "log_every": 12, "sample_every": 13,
    "deterministic": False, "checkpoint_every": 14, "checkpoint_minutes": 18.0,
    "keep_checkpoints": 15, "evaluate_every": 16, "classifier": "none", "num_images": 17,
    "options": {"augment": "color,cutout", "discriminator_clip_norm": 2.5}, "num_classes": 7, "optimizer": "rmsprop",
}  # fmt: skip


def flags(values):
    result = []
    for name, value in values.items():
        flag = "--" + name.replace("_", "-")
        negated = "--no-" + name.replace("_", "-")
        if isinstance(value, dict):
            result += [flag, *(f"{option}={choice}" for option, choice in value.items())]
        else:
            result += {True: [flag], False: [negated]}[value] if isinstance(value, bool) else [flag, str(value)]
    return result


def test_every_field_has_a_flag_and_a_json_name(tmp_path):
    expected = dataclasses.replace(Config(), **NOT_DEFAULT)
    assert set(NOT_DEFAULT) | {"epochs", "jit_compile"} == {field.name for field in dataclasses.fields(Config)}
    assert all(expected.as_dict()[name] != Config().as_dict()[name] for name in NOT_DEFAULT)
    assert fit.parse(flags(NOT_DEFAULT)).settings == expected
    (tmp_path / "c.json").write_text(json.dumps(NOT_DEFAULT))
    assert fit.parse(["--config", str(tmp_path / "c.json")]).settings == expected
    (tmp_path / "c.json").write_text(json.dumps({"config": NOT_DEFAULT, "versions": {}}))
    assert config.read_json(tmp_path / "c.json", Config()) == expected


def test_jit_compile_has_a_flag():
    assert fit.parse(["--jit-compile"]).settings == dataclasses.replace(PRESETS["quickstart"].config, jit_compile=True)


def test_flags_go_over_the_file_and_the_file_over_the_preset(tmp_path):
    (tmp_path / "c.json").write_text('{"width": 0.5, "batch_size": 5}')
    settings = fit.parse(["--preset", "dcgan", "--config", str(tmp_path / "c.json"), "--batch-size", "6"]).settings
    assert (settings.variant, settings.width, settings.batch_size, settings.epochs) == ("dcgan", 0.5, 6, 40)


def test_a_file_may_replace_steps_by_epochs_and_a_flag_either(tmp_path):
    path = tmp_path / "c.json"
    for content, flag, expected in (
        ('{"steps": 5}', [], (5, None)),
        ('{"epochs": 1}', [], (None, 1)),
        ('{"epochs": 1}', ["--steps", "3"], (3, None)),
        ('{"steps": 5}', ["--epochs", "3"], (None, 3)),
    ):
        path.write_text(content)
        for preset in PRESETS:
            settings = fit.parse(["--preset", preset, "--config", str(path), *flag]).settings
            assert (settings.steps, settings.epochs) == expected


def test_flags_can_switch_off_what_a_file_switched_on(tmp_path):
    (tmp_path / "c.json").write_text('{"flip": true}')
    for flag, expected in (("--flip", True), ("--no-flip", False)):
        assert fit.parse(["--config", str(tmp_path / "c.json"), flag]).settings.flip is expected


def test_options_are_put_beside_the_presets_own_and_forgotten_with_its_variant(tmp_path):
    path = tmp_path / "c.json"
    for source in (["--preset", "quickstart", "--variant", "wgan"], ["--config", str(path)]):
        path.write_text('{"variant": "wgan"}')
        assert fit.parse([*source, "--options", "clip=0.1"]).settings.options == {"clip": 0.1}
        assert fit.parse(source).settings.options == {}
    ours = PRESETS["quickstart"].config.options
    assert ours and fit.parse([]).settings.options == ours
    added = fit.parse(["--options", "augment=color", "spectral-generator=true"]).settings.options
    assert added == {**ours, "augment": "color", "spectral_generator": True}
    path.write_text('{"options": {"normalization": "layer"}}')
    assert fit.parse(["--config", str(path)]).settings.options == {**ours, "normalization": "layer"}
    assert fit.parse(["--options", "architecture=resnet"]).settings.options == {"architecture": "resnet"}


def test_a_variant_alone_starts_from_its_own_small_preset(tmp_path):
    path = tmp_path / "c.json"
    path.write_text("{}")
    quickstart = PRESETS["quickstart"].config
    assert fit.parse(["--variant", "wgan_gp", "--seed", "3"]).settings == dataclasses.replace(
        PRESETS["wgan-gp-shapes"].config, seed=3
    )
    assert fit.parse(["--variant", "sngan"]).settings == quickstart
    for source in (["--preset", "quickstart"], ["--config", str(path)]):
        settings = fit.parse([*source, "--variant=wgan_gp"]).settings
        assert settings == dataclasses.replace(quickstart, variant="wgan_gp", options={})


@pytest.mark.parametrize(
    ("text", "value"), [("x=3", 3), ("x=0.5", 0.5), ("x=1e-3", 1e-3), ("x=True", True), ("x=a=b", "a=b"), ("x=", "")]
)
def test_option_values_are_what_they_look_like(text, value):
    assert config.parse_options([text]) == {"x": value} and type(config.parse_options([text])["x"]) is type(value)


def test_presets_are_valid_and_told_apart():
    for name, preset in PRESETS.items():
        assert fit.parse(["--preset", name]).settings == preset.config
        assert preset.paper and preset.about and name in fit.preset_table()
    assert all(preset.seconds_per_step > 0 for preset in PRESETS.values())
    assert {preset.config.variant for preset in PRESETS.values()} == set(VARIANTS)
    small = {name for name in PRESETS if name.endswith("-shapes")}
    assert {PRESETS[name].config.variant for name in small} == set(VARIANTS)
    for name in small:
        config_ = PRESETS[name].config
        assert (config_.dataset, config_.steps, config_.width < 1) == ("shapes", 2000, True)


PAPERS = {
    # Frank and Juracek, table of section 4.2: epochs, batch size, rate, optimizer, discriminator updates
    "dcgan": {"epochs": 40, "batch_size": 128, "rates": (2e-4, 2e-4), "optimizer": "adam", "discriminator_steps": 1},
    "wgan": {"epochs": 100, "batch_size": 64, "rates": (5e-5, 5e-5), "optimizer": "rmsprop", "discriminator_steps": 5},
    "wgan-gp": {"epochs": 100, "batch_size": 64, "rates": (1e-4, 1e-4), "optimizer": "adam", "discriminator_steps": 5},
    # Feng et al., section 4 and the end of section 3
    "sngan-a": {"rates": (1e-3, 1e-3), "betas": (0.5, 0.9), "epochs": 300, "image_size": 28},
    "sngan-b": {"rates": (1e-3, 1e-3), "betas": (0.5, 0.999), "epochs": 300, "image_size": 28},
    "sngan-c": {"rates": (2e-3, 2e-3), "betas": (0.5, 0.999), "epochs": 300, "image_size": 28},
    "sngan-ttur": {"rates": (1e-3, 4e-3), "epochs": 300, "image_size": 28, "options": {"spectral_generator": True}},
    "baseline-bn": {"options": {"normalization": "batch"}},
    "baseline-ln": {"options": {"normalization": "layer"}},
    # Gunnlaugsson et al.: 190 epochs, 108x108
    "dcgan-108": {"image_size": 108, "epochs": 190},
    "sngan-reptiles": {"image_size": 108, "loss": "non_saturating", "epochs": 190},
    "lsgan": {"epochs": 190},
    # Sridhar: 500 epochs
    "vtgan": {"epochs": 500},
    # the originals
    "sngan-resnet": {"rates": (2e-4, 2e-4), "betas": (0.0, 0.9), "discriminator_steps": 5},
    "sagan": {"rates": (1e-4, 4e-4), "betas": (0.0, 0.9)},
    "acgan": {"rates": (2e-4, 2e-4), "betas": (0.5, 0.999), "batch_size": 100, "steps": 50_000},
    # Huang et al., for CIFAR-10: 250 million images
    "rpgan": {"rates": (2e-4, 2e-4), "betas": (0.0, 0.99)},
    "r3gan": {"rates": (2e-4, 2e-4), "betas": (0.0, 0.99), "batch_size": 512, "latent_dim": 64, "steps": 488_281},
    # Kang et al., for CIFAR-10
    "reacgan": {"rates": (2e-4, 2e-4), "betas": (0.5, 0.999), "discriminator_steps": 5, "steps": 100_000},
    "began": {"rates": (1e-4, 1e-4), "batch_size": 16, "latent_dim": 64},
}


@pytest.mark.parametrize("name", PAPERS)
def test_presets_are_what_their_papers_say(name):
    settings = PRESETS[name].config
    found = {
        **settings.as_dict(),
        "rates": (settings.generator_learning_rate, settings.discriminator_learning_rate),
        "betas": (settings.beta_1, settings.beta_2),
    }
    assert {field: found[field] for field in PAPERS[name]} == PAPERS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_the_options_of_a_preset_exist(name):
    settings = PRESETS[name].config
    network, training = building.options_of(settings)
    assert settings.options.items() <= (network | training).items()


def test_the_expected_minutes_are_steps_times_seconds():
    wgan = PRESETS["wgan"]  # 100 epochs of 50,000 images, 5 updates of 64
    assert wgan.steps() == 15_625
    assert dataclasses.replace(wgan, seconds_per_step=0.06).minutes() == "16 on two CPU cores; GPU not measured"
    assert (
        dataclasses.replace(wgan, seconds_per_step=1.2).minutes() == "312 (5 hours) on two CPU cores; GPU not measured"
    )
    assert (
        dataclasses.replace(PRESETS["dcgan-108"], seconds_per_step=2.5).minutes()
        == "2.5 s a step on two CPU cores; GPU not measured"
    )


def test_steps_replace_epochs_and_the_other_way_round():
    assert fit.parse(["--preset", "dcgan", "--steps", "9"]).settings.epochs is None
    assert fit.parse(["--epochs", "2.5"]).settings == dataclasses.replace(
        PRESETS["quickstart"].config, steps=None, epochs=2.5
    )


def test_epochs_are_passes_of_the_discriminator():
    class Any:
        adversarial_loss = "hinge"

    settings = dataclasses.replace(Config(), epochs=2.0, batch_size=10, discriminator_steps=3)
    assert session.resolved(settings, Any, 1001).steps == 67  # 2 * 1001 / 30, rounded up
    assert session.resolved(settings, Any, 1001).loss == "hinge"
    with pytest.raises(UsageError, match="--steps or --epochs"):
        session.resolved(Config(), Any, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-siz", "3"], "--batch-siz"),
        (["--batch-size", "0"], "--batch-size must be from 1 to 65,536. Received: 0"),
        (["--batch-size", "x"], "--batch-size"),
        (["--checkpoint-minutes", "-1"], "--checkpoint-minutes must be from 0 to 100,000. Received: -1.0"),
        (["--checkpoint-minutes", "inf"], "--checkpoint-minutes must be from 0 to 100,000. Received: inf"),
        (["--jit-compile", "--distribute", "mirrored"], "--jit-compile works on one device"),
        (["--num-images", "1"], "--num-images must be from 2 to 10,000,000. Received: 1"),
        (["--width", "-1"], "--width must be a positive number, at most 64. Received: -1.0"),
        (["--width", "nan"], "--width must be a positive number"),
        (["--ema-decay", "1"], r"--ema-decay must be in \[0, 1\)"),
        (["--seed", "-1"], "--seed must be from 0"),
        (["--seed", str(2**31)], "--seed must be from 0"),
        (["--steps", "0"], "--steps must be from 1 to 1,000,000,000. Received: 0"),
        (["--width", "1000"], "--width must be a positive number, at most 64. Received: 1000.0"),
        (["--image-size", "100000"], "--image-size must be from 1 to 1,024. Received: 100000"),
        (["--latent-dim", str(10**12)], "--latent-dim must be from 1 to 65,536"),
        (["--batch-size", str(10**400)], "--batch-size must be from 1 to 65,536. Received: 10{79}$"),
        (["--discriminator-steps", "1001"], "--discriminator-steps must be from 1 to 1,000"),
        (["--num-classes", str(10**9)], "--num-classes must be from 2 to 100,000"),
        (["--epochs", "1e7"], "--epochs must be positive, at most 1,000,000"),
        (["--generator-learning-rate", "1e39"], r"--generator-learning-rate must be a positive number, at most 1e\+38"),
        (["--options", f"stable_rank={10**400}"], r"--options: stable_rank must be at most 1e\+38. Received: 10"),
        (["--data-dir", "a\0b"], "--data-dir must be a path, without a zero byte"),
        (["--steps", "3", "--epochs", "3"], "--steps and --epochs say the same thing"),
        (["--variant", "gan"], "--variant"),
        (["--dataset", "imagenet"], "--dataset"),
        (["--preset", "gan"], "--preset must be one of quickstart, dcgan"),
        (["--extend", "5"], "--extend needs --resume"),
        (["--config", "nowhere.json"], "nowhere.json must be a readable JSON file"),
        (["--resume", "nowhere"], "nowhere is no run folder"),
        (["stray"], "stray"),
    ],
)
def test_refusals_are_one_or_two_lines(arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        fit.parse(arguments)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "JSON object of settings. Received: list"),
        ("{", "readable JSON file"),
        ('{"batch_sizes": 3}', "unknown field 'batch_sizes'; did you mean 'batch_size'"),
        ('{"batch_size": "3"}', "batch_size must be int. Received: '3'"),
        ('{"batch_size": true}', "batch_size must be int. Received: True"),
        ('{"batch_size": 3.5}', "batch_size must be int"),
        ('{"variant": []}', "variant must be Variant"),
        ("[" * 100_000, "readable JSON file"),
        ('{"flip": 1}', "flip must be bool"),
        ('{"variant": "gan"}', "variant must be Variant. Received: 'gan'"),
        ('{"mixed_precision": "float8"}', "mixed_precision must be"),
        ('{"width": NaN}', "--width must be a positive number"),
        ('{"width": 1' + "0" * 400 + "}", "--width must be a positive number, at most 64. Received: 10{79}$"),
        ('{"image_size": 1' + "0" * 4000 + "}", "--image-size must be from 1 to 1,024. Received: 10{79}$"),
        ('{"width": 1' + "0" * 5000 + "}", "readable JSON file"),
        ('{"data_dir": ["a"]}', r"data_dir must be str | None. Received: \['a'\]"),
        ('{"dataset": "../../etc"}', "dataset must be Dataset. Received: '../../etc'"),
        ('{"classifier": "a\\u0000"}', "--classifier must be a path, without a zero byte"),
    ],
)
def test_configuration_files_are_checked(tmp_path, content, message):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        config.read_json(tmp_path / "c.json", Config())


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path)
    run.write_config(dataclasses.replace(PRESETS["quickstart"].config, steps=100, loss="hinge"), "0" * 64, ("a",))
    return run


def test_resume_takes_the_configuration_of_the_run(run):
    assert fit.parse(["--resume", str(run.path)]).settings.steps == 100
    assert fit.parse(["--resume", str(run.path), "--width", "0.25"]).settings.width == 0.25  # the same as it was
    assert fit.parse(["--resume", str(run.path), "--data-dir", "moved"]).settings.data_dir == "moved"
    assert fit.parse(["--resume", str(run.path), "--extend", "250"]).settings.steps == 250


def test_resume_loads_a_program_as_classifier_only_where_it_is_named_again(run):
    for named, refused in (("mine.npz", False), ("mine.keras", True), ("some/folder", True), ("inception", False)):
        run.update_config(dataclasses.replace(run.read_config()[0], classifier=named))
        resume = ["--resume", str(run.path)]
        if refused:
            with pytest.raises(UsageError, match=f"'{named}', which is not loaded unasked.*give --classifier {named}"):
                fit.parse(resume)
            assert fit.parse([*resume, "--classifier", "moved.keras"]).settings.classifier == "moved.keras"
        else:
            assert fit.parse(resume).settings.classifier == named
        assert fit.parse([*resume, "--classifier", named]).settings.classifier == named
    with pytest.raises(UsageError, match="classifier: inception -> mine.keras"):
        fit.parse(["--resume", str(run.path), "--classifier", "mine.keras"])


def test_a_batch_is_no_larger_than_the_data():
    Config(steps=3, batch_size=10).require_batch_of(10)
    with pytest.raises(UsageError, match="--batch-size must be at most 9, the training images of shapes. Received: 10"):
        Config(steps=3, batch_size=10).require_batch_of(9)


def test_resume_refuses_changes_and_lists_them(run):
    with pytest.raises(UsageError, match="width: 0.25 -> 0.5; batch_size: 32 -> 8"):
        fit.parse(["--resume", str(run.path), "--width", "0.5", "--batch-size", "8"])
    with pytest.raises(UsageError, match="steps: 100 -> 300"):
        fit.parse(["--resume", str(run.path), "--steps", "300"])
    for name in ("--preset=dcgan", "--config=x", "--run-dir=x", "--run_dir=x"):
        with pytest.raises(UsageError, match="cannot be given with --resume"):
            fit.parse(["--resume", str(run.path), *name.split("=")])
    with pytest.raises(UsageError, match="--extend must be at least the run's 100 steps. Received: 50"):
        fit.parse(["--resume", str(run.path), "--extend", "50"])
