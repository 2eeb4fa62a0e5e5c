"""The workspace as the tests of this folder see it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).parents[3]


@attrs.frozen
class Member:
    """A distribution of the workspace."""

    folder: Path
    project: dict[str, Any]

    @property
    def name(self) -> str:
        """The distribution's name."""
        return str(self.project["name"])


@pytest.fixture(scope="session")
def members() -> tuple[Member, ...]:
    """All members, by name."""
    files = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]
    found = [
        Member(path.parent, tomllib.loads(path.read_text(encoding="utf-8"))["project"])
        for path in files
    ]
    return tuple(sorted(found, key=lambda member: member.name))


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the workspace."""
    return ROOT
