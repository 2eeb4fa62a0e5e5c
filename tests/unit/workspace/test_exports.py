"""Packages export what they say, and say what they export."""

from __future__ import annotations

import importlib
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = sorted(
    ".".join(path.parent.relative_to(source).parts)
    for source in [*ROOT.glob("*/src"), *ROOT.glob("*/*/src")]
    for path in source.rglob("__init__.py")
)


@pytest.mark.parametrize("package", PACKAGES)
def test_all_names_what_is_exported(package: str) -> None:
    """A package's `__all__` has each of its public names once, and every name in it exists."""
    module = importlib.import_module(package)
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and name != "annotations"
        and not isinstance(value, types.ModuleType)
    }
    exported = list(getattr(module, "__all__", ()))

    assert sorted(set(exported)) == sorted(exported)
    assert [] == [name for name in exported if not hasattr(module, name)]
    assert set() == public - set(exported)


def test_packages_were_found() -> None:
    """The list of packages is not empty by accident."""

    assert "stoker" in PACKAGES
