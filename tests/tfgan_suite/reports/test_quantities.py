"""The table of groups: every logged name of every variant has its place, and means there what the group says."""

import pytest

from models_zoo import VARIANTS, load_variant
from models_zoo.losses import LOSSES
from tfgan_suite.reports import quantities


@pytest.mark.parametrize("name", VARIANTS)
def test_each_name_that_a_variant_logs_has_a_group(name):
    variant = load_variant(name)
    groups = quantities.grouped(variant.logged, variant.default_loss)
    assert quantities.OTHER not in groups
    assert sorted(name for names in groups.values() for name in names) == sorted(set(variant.logged))
    with_sources = quantities.with_source_losses(dict.fromkeys(variant.logged, 1.0))
    assert quantities.OTHER not in quantities.grouped(with_sources, variant.default_loss)
    assert ("source_losses" in quantities.grouped(with_sources, variant.default_loss)) == ("g_class" in variant.logged)


def test_what_the_discriminator_says_has_the_unit_of_its_loss():
    for loss, entry in LOSSES.items():
        expected = "discriminator_scores" if entry.of_scores else "discriminator"
        assert {quantities.group_of(name, loss) for name in ("d_real", "d_fake", "d_real_test")} == {expected}, loss
    own = {loss for name in VARIANTS for loss in load_variant(name).only_losses} - LOSSES.keys()
    assert own == {"margin", "equilibrium", "relativistic_pairing"}
    energies = own - {"relativistic_pairing"}
    assert energies == set(quantities.GROUPS["discriminator_energies"].losses)
    assert {quantities.group_of("d_real", loss) for loss in energies} == {"discriminator_energies"}
    assert quantities.group_of("d_real", "relativistic_pairing") == "discriminator_scores"  # only differences mean much


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("d_loss_test", "losses"),
        ("d_class_real_test", "d_class_losses"),
        ("g_class", "g_class_losses"),
        ("gradient_penalty", "penalties"),
        ("zero_centred_penalty", "penalties"),
        ("sigma_generator/to_image", "sigma"),
        ("generator_learning_rate", "rates"),
        ("d_gradient_norm", "gradient_norms"),
        ("k", "equilibrium"),
        ("kurtosis", "other"),
    ],
)
def test_names_go_to_the_group_that_asks_for_them(name, group):
    assert quantities.group_of(name, "hinge") == group


def test_groups_come_in_the_order_of_the_table_and_axes_in_none():
    names = ["step", "images_seen", "seconds", "mystery", "g_loss", "d_loss"]
    assert quantities.grouped(names, "hinge") == {"losses": ["g_loss", "d_loss"], "other": ["mystery"]}


def test_every_entry_says_what_it_is_about():
    for group in quantities.GROUPS.values():
        assert group.title and group.question.endswith("?") and group.unit and group.good and group.names
    assert all(score.good and score.better in ("higher", "lower", "") for score in quantities.SCORES)


def test_source_losses_are_what_class_terms_leave_over():
    line = {"step": 1, "d_loss": 5.0, "d_class_real": 1.5, "d_class_fake": 0.5, "g_loss": 4.0, "g_class": 1.0}
    assert quantities.with_source_losses(line) == {**line, "d_source": 3.0, "g_source": 3.0}
    of_test = {"d_loss_test": 2.0, "d_class_test": 0.5}
    assert quantities.with_source_losses(of_test) == {**of_test, "d_source_test": 1.5}
    logged = {"d_loss": 2.0, "d_class": 0.5, "d_source": 7.0}
    assert quantities.with_source_losses(logged) == logged
    assert quantities.with_source_losses({"d_loss": 2.0}) == {"d_loss": 2.0}


def test_a_spike_is_three_times_the_median_before_it():
    steady = [2.0] * 30
    assert quantities.spikes(steady) == []
    assert quantities.spikes([*steady[:10], 6.0, *steady]) == []
    assert quantities.spikes([*steady[:10], 6.01, *steady]) == [10]
    assert quantities.spikes([2, 2, 2, 2, 100]) == []  # too early to tell
    assert quantities.spikes([2, 2, 2, 2, 2, 100, 100, 2]) == [5, 6]
    assert quantities.spikes([1.1**i for i in range(40)]) == []  # growth is none: 1.1 ** 10.5 is below 3
    assert quantities.spikes([1.2**i for i in range(40)]) == list(range(12, 40))  # half of i + 1 steps before, or 10.5
    assert quantities.spikes([0.0] * 20 + [1.0]) == []  # of nothing, everything is a multiple


def test_what_is_better_of_a_score():
    assert quantities.score_of("frechet_classifier_distance_per_class").better == "lower"
    assert quantities.score_of("tfgan_fid").better == quantities.score_of("kid").better == "lower"
    assert quantities.score_of("tfgan_inception_score").better == "higher"
    assert quantities.score_of("ms_ssim_within_classes").better == ""
    assert quantities.score_of("FID of another house").good == ""
