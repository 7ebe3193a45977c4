"""Search spaces: what a point means as settings, and what a user's file may say."""

import json

import pytest

from data_tools.errors import UsageError
from tfgan_suite.runs import config
from tfgan_suite.runs.config import Config
from tfgan_suite.searching import spaces
from tfgan_suite.searching.spaces import SPACES, Choice, Range


@pytest.mark.parametrize(
    "parameter, values",
    [
        (Range(0, 3, whole=True), [0, 0, 1, 1, 2, 2, 3, 3]),
        (Range(1.0, 3.0), [1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75]),
        (Range(1.0, 256.0, log=True), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]),
        (Choice(("a", "b", False, 2)), ["a", "a", "b", "b", False, False, 2, 2]),
    ],
)
def test_values_lie_evenly(parameter, values):
    assert [parameter.at(i / 8) for i in range(8)] == pytest.approx(values)
    assert all(parameter.holds(parameter.at(i / 100)) for i in range(100))


def test_whole_numbers_on_a_logarithmic_range_reach_both_ends():
    found = [Range(8, 256, log=True, whole=True).at(i / 1000) for i in range(1000)]
    assert min(found) == 8 and max(found) == 256 and all(isinstance(value, int) for value in found)


@pytest.mark.parametrize("name", SPACES)
def test_every_space_has_a_default_and_settings_that_fit_a_configuration(name):
    space = SPACES[name]
    if name == "rates":
        default = space.default_point()
        assert default["generator_learning_rate"] == 2e-4
    for fraction in (0.0, 0.5, 0.99):
        point = {key: parameter.at(fraction) for key, parameter in space.parameters.items()}
        settings = config.replace(Config(), space.settings(point), source=name)
        assert settings.epochs is None


def test_fields_go_to_the_configuration_and_options_to_the_variant():
    space = SPACES["conditional"]
    point = space.active({**space.complete({}), "latent_dim": 77, "slope": 0.25, "generator_conditioning": "concat"})
    settings = space.settings(point)
    assert settings["latent_dim"] == 77 and "latent_dim" not in settings["options"]
    assert settings["options"]["slope"] == 0.25 and "slope" not in settings
    assert settings["variant"] == "cgan"


def test_a_condition_takes_a_parameter_away():
    space = SPACES["conditional"]
    whole = space.complete({"generator_conditioning": "concat", "discriminator_conditioning": "hidden_concat"})
    assert "generator_concat_layer" not in space.active(whole)
    assert "discriminator_concat_layer" in space.active(whole)
    assert "generator_concat_layer" not in space.settings(space.active(whole))["options"]


def test_named_settings_replace_the_variant_and_its_options():
    space = SPACES["abc"]
    settings = space.settings({"method": "wgan_gp", "setting": "C"})
    assert (settings["variant"], settings["options"]) == ("wgan_gp", {})
    assert (settings["generator_learning_rate"], settings["beta_2"], settings["image_size"]) == (2e-3, 0.999, 28)
    assert space.settings({"method": "layer_norm", "setting": "A"})["options"] == {"normalization": "layer"}


def test_what_is_fixed_stands_below_what_is_searched():
    import dataclasses

    space = dataclasses.replace(SPACES["rates"], fixed={"steps": 7, "beta_1": 0.3})
    point = space.complete({"beta_1": 0.9})
    assert space.settings(point)["steps"] == 7 and space.settings(point)["beta_1"] == 0.9


def written(path, **record):
    path.write_text(json.dumps(record))
    return path


def test_a_file_says_the_same_as_the_table(tmp_path):
    for name, space in SPACES.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(spaces.as_record(space)))
        read = spaces.read(path)
        assert spaces.as_record(read) == json.loads(json.dumps(spaces.as_record(space)))
        point = space.complete({})
        assert read.settings(point) == space.settings(point)


GOOD = {"beta_1": {"choices": [0.0, 0.5]}}


@pytest.mark.parametrize(
    "record, message",
    [
        ({}, "'parameters' must name one parameter or more"),
        ({"parameters": {}}, "'parameters' must name one parameter or more"),
        ({"parameters": GOOD, "bass": "sngan"}, r"has no 'bass' \(did you mean base\?\)"),
        ({"parameters": GOOD, "base": "sngann"}, r"'base' must be a preset \(did you mean sngan\?\)"),
        ({"parameters": GOOD, "fixed": []}, "'fixed' must be an object"),
        ({"parameters": GOOD, "modules": ["beta1"]}, r"did you mean beta_1\?"),
        ({"parameters": GOOD, "default": {"beta1": 0}}, r"did you mean beta_1\?"),
        ({"parameters": {"beta_1": 3}}, "must be an object with low and high"),
        ({"parameters": {"beta_1": {"lo": 0, "high": 1}}}, r"has no 'lo' \(did you mean low\?\)"),
        ({"parameters": {"beta_1": {"low": 1, "high": 0}}}, "from a number to a larger one"),
        ({"parameters": {"beta_1": {"low": "0", "high": 1}}}, "low and high must be numbers"),
        ({"parameters": {"beta_1": {"low": 0, "high": 1, "log": True}}}, "begins above 0"),
        ({"parameters": {"beta_1": {"low": 0, "high": 1, "log": 1}}}, "log must be true or false"),
        ({"parameters": {"latent_dim": {"low": 0.5, "high": 3, "whole": True}}}, "has whole ends"),
        ({"parameters": {"beta_1": {"choices": [0.5]}}}, "two or more different values"),
        ({"parameters": {"beta_1": {"choices": [0.5, 0.5]}}}, "two or more different values"),
        ({"parameters": {"beta_1": {"choices": [[0.5], 1]}}}, "list of numbers, texts"),
        ({"parameters": {"a": {"settings": {"x": 1, "y": {}}}}}, "an object of objects"),
        ({"parameters": {**GOOD, "slope": {"low": 0, "high": 1, "when": {"beta1": [0.5]}}}}, r"did you mean beta_1\?"),
        ({"parameters": {**GOOD, "slope": {"low": 0, "high": 1, "when": {"beta_1": [0.7]}}}}, "what it never is"),
        ({"parameters": {**GOOD, "slope": {"low": 0, "high": 1, "when": 3}}}, "must name one parameter"),
    ],
)
def test_wrong_files_are_refused_with_what_is_wrong(record, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        spaces.read(written(tmp_path / "mine.json", **record))


def test_unknown_names_are_refused_with_the_nearest():
    options = ("slope", "kernel_size")
    spaces.check_names(SPACES["rates"], options)
    for parameters, fixed in (({"slop": Range(0, 1)}, {}), ({"slope": Range(0, 1)}, {"kernel_siz": 3})):
        space = spaces.Space("", "", "cgan", parameters, fixed)
        with pytest.raises(UsageError, match=r"did you mean (slope|kernel_size)\?"):
            spaces.check_names(space, options)


def test_a_default_outside_of_the_space_is_refused():
    space = spaces.Space("", "", "sngan", {"beta_1": Choice((0.1, 0.2))})
    with pytest.raises(UsageError, match="default of beta_1 is outside"):
        space.default_point()
    with pytest.raises(UsageError, match="needs a default for nonsense"):
        spaces.Space("", "", "sngan", {"nonsense": Choice((0.1, 0.2))}).default_point()
