"""Cache folders of plugins."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stoker.cache_folder import cache_folder
from stoker.errors import UnavailableError


def test_only_the_owner_can_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin's folder is made in stoker's home, for its owner alone; a second call finds it."""
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    path = cache_folder("example")

    assert tmp_path / "cache" / "example" == path == cache_folder("example")
    assert 0o700 == stat.S_IMODE(path.stat().st_mode)


def test_a_file_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be made is an error that says what to do."""
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    (tmp_path / "cache").touch()

    with pytest.raises(UnavailableError, match="STOKER_HOME"):
        cache_folder("example")
