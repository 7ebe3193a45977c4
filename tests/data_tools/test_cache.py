"""The cache folder: where it is, who may write to it, and what is said if that is more than its user."""

import os
import stat

import pytest

from data_tools import cache


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "home" / "cache"))
    cache.warn_of_others.cache_clear()
    yield tmp_path / "home" / "cache"
    cache.warn_of_others.cache_clear()


def test_it_is_made_for_its_owner_alone_whatever_the_umask(fresh, capsys):
    before = os.umask(0)
    try:
        assert cache.cache_folder() == fresh
    finally:
        os.umask(before)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    cache.cache_folder()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "mode, who",
    [(0o777, "its group and everyone"), (0o770, "its group"), (0o1777, "its group and everyone"), (0o707, "everyone")],
)
def test_that_others_may_write_is_said_once(fresh, capsys, mode, who):
    fresh.mkdir(parents=True)
    fresh.chmod(mode)
    for _ in range(3):
        cache.cache_folder()
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and f"{who} may write to the cache folder {fresh}" in line
    assert "chmod go-w" in line and cache.CACHE_VARIABLE in line


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750])
def test_nothing_is_said_where_only_its_owner_may_write(fresh, capsys, mode):
    fresh.mkdir(parents=True)
    fresh.chmod(mode)
    cache.cache_folder()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "user, owner, said", [(1000, 1001, True), (1000, 1000, False), (1000, 0, False), (0, 1001, False), (0, 0, False)]
)
def test_the_folder_of_another_user_is_said_but_not_to_root(fresh, monkeypatch, capsys, user, owner, said):
    fresh.mkdir(parents=True, mode=0o755)
    about = os.stat_result((stat.S_IFDIR | 0o755, 0, 0, 1, owner, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "getuid", lambda: user)
    monkeypatch.setattr(type(fresh), "stat", lambda *_, **__: about)
    cache.warn_of_others(fresh, "VARIABLE")
    assert ("its owner, user 1001, may write" in capsys.readouterr().err) == said
