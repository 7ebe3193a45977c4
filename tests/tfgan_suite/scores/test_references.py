"""Reference statistics: what the cache depends on, and the files that other tools use."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from data_tools import shapes
from data_tools.errors import SuiteError, UsageError
from tfgan_suite.images.sources import ArraySource, FileSource
from tfgan_suite.networks import scoring_network
from tfgan_suite.scores import references as reference
from tfgan_suite.scores.gathering import Needs, gather
from tfgan_suite.scores.moments import Moments, squared_frechet_distance

DATA = shapes.draw(80, seed=1)
ALL = Needs(outputs=True, pictures=True, per_class=True)


@pytest.fixture(scope="module")
def network():
    return scoring_network.load("shapes")


def source(data=DATA, shuffle_seed=None):
    return ArraySource(data, "drawn", shuffle_seed=shuffle_seed)


def same(one, other):
    """Whether two statistics are equal in everything that a reference is used for."""
    a, b = one.arrays(), other.arrays()
    return a.keys() == b.keys() and all(np.allclose(a[name], b[name], rtol=1e-9, atol=1e-9) for name in a)


def test_the_second_time_comes_from_the_cache_with_the_same_numbers(network, tmp_path, monkeypatch):
    first = reference.reference_of(source(), network, ALL, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(reference, "gather", None)  # a second pass would fail
    again = reference.reference_of(source(), network, ALL, cache=tmp_path)
    assert again.num_images == 80 and again.class_names == shapes.CLASS_NAMES
    # a root is known up to an orthogonal factor, so the covariances are compared
    for one, other in [
        (first.statistics.moments, again.statistics.moments),
        *zip(first.statistics.by_class, again.statistics.by_class, strict=True),
    ]:
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12)
        np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-9, atol=1e-12)
    for name in ("logits", "pool_3", "images", "labels"):
        np.testing.assert_array_equal(first.statistics.kept(name), again.statistics.kept(name))
    np.testing.assert_array_equal(first.statistics.histogram, again.statistics.histogram)


def test_everything_that_changes_the_numbers_changes_the_entry(network, tmp_path):
    other_pixels = dataclasses.replace(DATA, images=DATA.images.copy())
    other_pixels.images[3, 4, 5, 0] ^= 1
    names = tuple(reversed(DATA.class_names))
    variations = [
        (source(), network, Needs()),
        (source(other_pixels), network, Needs()),
        (source(dataclasses.replace(DATA, class_names=names)), network, Needs()),
        (source(shuffle_seed=1), network, Needs()),
        (source(), dataclasses.replace(network, fingerprint="0"), Needs()),
        (source(), dataclasses.replace(network, resize="other"), Needs()),
        (source(), dataclasses.replace(network, values="other"), Needs()),
        (source(), dataclasses.replace(network, dtype="bfloat16-ish"), Needs()),
        (source(), network, Needs(outputs=True)),
        (source(), network, Needs(per_class=True)),
    ]
    for count, (which, with_network, needs) in enumerate(variations, start=1):
        reference.reference_of(which, with_network, needs, cache=tmp_path)
        assert len(list(tmp_path.iterdir())) == count
    reference.reference_of(source(), network, Needs(), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == count


def test_folders_of_pictures_are_cached_by_their_content(network, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(DATA.images[i]).save(folder / f"{i}.png")
    entries = []
    for change in (lambda: None, lambda: None, lambda: (folder / "3.png").write_bytes((folder / "4.png").read_bytes())):
        change()
        reference.reference_of(FileSource(folder, shuffle_seed=0), network, Needs(), cache=tmp_path / "cache")
        entries.append(len(list((tmp_path / "cache").iterdir())))
    assert entries == [1, 1, 2]


def test_a_damaged_entry_is_written_anew(network, tmp_path):
    first = reference.reference_of(source(), network, Needs(), cache=tmp_path)
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2])
    again = reference.reference_of(source(), network, Needs(), cache=tmp_path)
    np.testing.assert_array_equal(first.statistics.moments.mean, again.statistics.moments.mean)
    assert len(entry.read_bytes()) == len(whole)


def test_mu_and_sigma_are_written_and_read_as_other_tools_do(network, tmp_path):
    real = reference.reference_of(source(), network, Needs(), cache=tmp_path)
    path = tmp_path / "stats.npz"
    reference.save(real, network, path)
    features = np.asarray(network(DATA.images)["pool_3"], np.float64)
    with np.load(path) as stored:
        np.testing.assert_allclose(stored["mu"], features.mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(stored["sigma"], np.cov(features.T), rtol=1e-9, atol=1e-9)
    assert reference.is_statistics(path)
    found = reference.read(path, network)
    assert found.num_images == 80 and not found.has_features
    other = np.asarray(network(shapes.draw(90, seed=2).images)["pool_3"])
    np.savez(path, mu=features.mean(axis=0), sigma=np.cov(features.T))  # of another tool, which says no more
    foreign = reference.read(path, network)
    assert foreign.num_images is None
    expected = squared_frechet_distance(Moments.of(other), Moments.of(features))

    for one in (found, foreign):
        distance = squared_frechet_distance(Moments.of(other), one.statistics.moments)
        assert distance == pytest.approx(expected, rel=1e-6)
    with pytest.raises(SuiteError, match="there are no features of single images"):
        found.statistics.kept("pool_3")


def test_statistics_that_do_not_fit_are_refused(network, tmp_path):
    real = reference.reference_of(source(), network, Needs(), cache=tmp_path)
    path = tmp_path / "stats.npz"
    reference.save(real, network, path)
    for change in ({"fingerprint": "0" * 64}, {"resize": "tf1 bilinear to 32"}):
        with pytest.raises(SuiteError, match="they are of shapes .*, not of shapes"):
            reference.read(path, dataclasses.replace(network, **change))
    bad = [
        {"mu": np.zeros(3), "sigma": np.zeros((4, 4))},
        {"mu": np.full(2, np.nan), "sigma": np.eye(2)},
        {"mu": np.zeros(2), "sigma": np.diag([1.0, -1.0])},
        {"mu": np.zeros(2), "sigma": np.eye(2), "about": np.array("[]")},
        {"mu": np.zeros(2), "sigma": np.eye(2), "about": np.array(json.dumps({"num_images": "many"}))},
        {"mu": np.array([{}], dtype=object), "sigma": np.eye(1)},
        {"mu": np.zeros(2), "sigma": np.eye(2), "about": np.array(json.dumps({"num_images": -7}))},
        {"mu": np.zeros(2), "sigma": np.eye(2), "about": np.array(json.dumps({"num_images": 100.5}))},
        {"mu": np.zeros(2), "sigma": np.eye(2), "about": np.array("[" * 100_000)},
        {"mu": np.zeros(2), "sigma": np.eye(2) * (1 + 2j)},
        {"mu": np.array(["a", "b"]), "sigma": np.eye(2)},
        {"mu": np.zeros(2), "sigma": np.zeros(2, [("a", "<f8"), ("b", "<f8")])},
        {"mu": np.zeros(2), "sigma": np.zeros((3000, 3000))},
        {"mu": np.full(2, 1e300), "sigma": np.eye(2)},  # whose distance would be infinite
        {"mu": np.zeros(2), "sigma": np.eye(2) * 1e300},
    ]
    for arrays in bad:
        np.savez_compressed(path, **arrays)
        with pytest.raises(SuiteError, match="cannot serve as --reference"):
            reference.read(path, network)
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert not reference.is_statistics(folder)
    path.write_bytes(b"PK")
    assert not reference.is_statistics(path)
    with pytest.raises(SuiteError, match="cannot serve as --reference"):
        reference.read(path, network)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_features_come_in_order_and_do_not_depend_on_the_batch(network, batch_size):
    statistics = gather(source(), network, 50, ALL, batch_size=batch_size)
    expected = network(DATA.images[:50])
    for name in ("logits", "pool_3"):
        assert statistics.kept(name).shape[0] == 50
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(statistics.kept(name), expected[name], rtol=0, atol=1e-5 * scale)
    np.testing.assert_array_equal(statistics.kept("images"), DATA.images[:50])


def test_the_halves_are_drawn_by_their_seed_whatever_the_order(network):
    ordered = np.argsort(DATA.labels, kind="stable")
    by_class = dataclasses.replace(DATA, images=DATA.images[ordered], labels=DATA.labels[ordered])
    statistics = gather(source(by_class), network, 51, ALL, half_seed=4, batch_size=8)
    features, labels = statistics.kept("pool_3").astype(np.float64), by_class.labels[:51]
    order = np.random.default_rng(4).permutation(51)
    for half, rows in zip(statistics.halves, (order[:25], order[25:]), strict=True):
        np.testing.assert_allclose(half.mean, features[rows].mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(half.covariance, np.cov(features[rows].T), rtol=1e-9, atol=1e-12)
    for number, pair in enumerate(statistics.class_halves):
        assert [half.count for half in pair] == [(labels[rows] == number).sum() for rows in (order[:25], order[25:])]
    other = gather(source(by_class), network, 51, ALL, half_seed=5)
    assert not np.allclose(other.halves[0].mean, statistics.halves[0].mean)


def test_the_sample_for_errors_is_random_and_of_both_halves(network, monkeypatch):
    monkeypatch.setattr("tfgan_suite.scores.gathering.SAMPLE", 12)
    statistics = gather(source(), network, 60, Needs(outputs=True), half_seed=4, batch_size=7)
    order = np.random.default_rng(4).permutation(60)
    chosen = np.sort(np.concatenate([order[:6], order[30:36]]))
    features, second, labels = statistics.sample
    np.testing.assert_array_equal(features, statistics.kept("pool_3")[chosen])
    np.testing.assert_array_equal(second, np.isin(chosen, order[30:]))
    np.testing.assert_array_equal(labels, DATA.labels[chosen])


def test_what_needs_no_pass_is_refused_before_it(network, tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "gather", None)  # a pass would fail
    lacking = dataclasses.replace(DATA, labels=np.where(DATA.labels == 3, 0, DATA.labels))
    for wrong, needs, message in (
        (source(lacking), Needs(per_class=True), "2 images or more of each class. Received: star [(]0[)] of 80"),
        (
            source(),
            Needs(per_class=True, class_names=("cat", "dog")),
            "the same classes. Received: cat, dog and circle",
        ),
        (source(), Needs(fewest=1000), "need 1,000 images or more, .* Received: 80 of drawn"),
        (source(shuffle_seed=2), Needs(stored_order=True), "give --shuffle-seed None. Received: drawn shuffled by 2"),
    ):
        with pytest.raises(UsageError, match=message):
            reference.reference_of(wrong, network, needs, cache=tmp_path)


@pytest.mark.parametrize("before", [True, False])
def test_a_pass_is_without_tf32_and_leaves_it_as_it_was(network, before):
    """For the network, for a generator that works beside it, and after an error, too."""
    import tensorflow as tf

    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    seen = []

    class Watched(ArraySource):
        def batches(self, num_images, batch_size):
            for batch in super().batches(num_images, batch_size):
                seen.append(enabled())
                yield batch

    def watched(images):
        seen.append(enabled())
        return network(images)

    at_first = enabled()
    try:
        tf.config.experimental.enable_tensor_float_32_execution(before)
        statistics = gather(Watched(DATA, "drawn", shuffle_seed=None), watched, 70, Needs())
        assert statistics.tf32 == "off" and enabled() == before
        with pytest.raises(SuiteError):
            gather(source(), lambda images: {"logits": np.full((len(images), 3), np.nan)}, 50, Needs())
        assert enabled() == before
        network(DATA.images[:2])
        assert enabled() == before and seen == [False] * 6
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(at_first)


def test_a_network_that_gives_nan_and_a_source_that_ends_early_are_errors(network):
    class Short(ArraySource):
        def batches(self, num_images, batch_size):
            return super().batches(num_images - 1, batch_size)

    with pytest.raises(SuiteError, match="gave 49 images of the 50"):
        gather(Short(DATA, "short", shuffle_seed=None), network, 50, Needs())
    with pytest.raises(SuiteError, match="logits that are not finite for images 0 to 32"):
        gather(source(), lambda images: {"logits": np.full((len(images), 3), np.nan)}, 50, Needs())
