"""What the members have in common, and what may depend on what."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from stoker.hookspecs import ENTRY_POINT_GROUP
from stoker.plugin_template import GROUP as TEMPLATE_GROUP
from stoker.version import __version__

from .conftest import Member


@pytest.mark.parametrize(
    ("key", "value"),
    [("version", __version__), ("requires-python", ">=3.11"), ("license", "Apache-2.0")],
)
def test_members_agree(members: tuple[Member, ...], key: str, value: str) -> None:
    """All members carry one version, one oldest Python and one licence."""

    assert {member.name: value for member in members} == {
        member.name: member.project[key] for member in members
    }


def test_changelog_carries_the_members_version(root: Path) -> None:
    """The version that the changelog is built for is that of the members."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))

    assert __version__ == settings["tool"]["towncrier"]["version"]


def test_members_are_complete(members: tuple[Member, ...]) -> None:
    """Every member has a description, a readme and type information."""

    for member in members:
        assert member.project["description"]
        assert (member.folder / member.project["readme"]).is_file()
        assert 1 == len(list(member.folder.glob("src/*/py.typed"))), member.name


def test_plugins_depend_on_the_core_only(members: tuple[Member, ...]) -> None:
    """A plugin pins the core, the core depends on no member, and no plugin on another."""
    names = {member.name for member in members}
    siblings = {
        member.name: {str(item) for item in _dependencies(member) if item.name in names}
        for member in members
    }

    assert set() == siblings.pop("stoker")
    assert {name: {f"stoker=={__version__}"} for name in siblings} == siblings


def test_extras_name_the_members(members: tuple[Member, ...]) -> None:
    """The core's extras name members of the same version, and `all` names all of the others."""
    names = {member.name for member in members}
    core = next(member for member in members if member.name == "stoker")
    extras = core.project["optional-dependencies"]
    named = {line for key, lines in extras.items() if key != "all" for line in lines}

    assert named == set(extras["all"])
    assert named <= {f"{name}=={__version__}" for name in names}


def test_shipped_plugins_use_the_public_entry_points(members: tuple[Member, ...]) -> None:
    """Shipped plugins are found as a stranger's are: by the entry-point group of the hook specs."""
    groups = {
        member.name: set(member.project.get("entry-points", {}))
        for member in members
        if member.name != "stoker"
    }

    assert {name: {ENTRY_POINT_GROUP} for name in groups} == {
        name: found - {TEMPLATE_GROUP} for name, found in groups.items()
    }


def test_tested_versions_fit_the_members(members: tuple[Member, ...], root: Path) -> None:
    """Every dependency of a member has a tested version, and the member allows it."""
    lines = (root / "requirements" / "runtime.txt").read_text(encoding="utf-8").splitlines()
    pins: dict[str, set[Version]] = {}
    for line in lines:
        pin = Requirement(line.partition("#")[0]) if not line.startswith("#") else None
        if pin is not None:
            (specifier,) = pin.specifier
            pins.setdefault(pin.name, set()).add(Version(specifier.version))
    names = {member.name for member in members}

    for member in members:
        for dependency in _dependencies(member):
            if dependency.name not in names:
                versions = pins.get(dependency.name, set())
                allowed = {item for item in versions if item in dependency.specifier}
                assert versions, f"{member.name}: {dependency} has no tested version"
                assert versions == allowed, f"{member.name}: {dependency}"


def _dependencies(member: Member) -> Iterator[Requirement]:
    return map(Requirement, member.project.get("dependencies", ()))
