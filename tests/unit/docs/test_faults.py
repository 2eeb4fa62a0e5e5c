"""The pages on faults and on hostile artifacts name tests that exist."""

from __future__ import annotations

import re

import pytest

from .conftest import ROOT


@pytest.mark.parametrize("name", ["faults.md", "hostile-artifacts.md"])
def test_every_row_has_its_test(name: str) -> None:
    """A test that was renamed or removed takes its row of the table along."""
    page = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    files = (ROOT / "tests").rglob("test_*.py")
    defined = {
        name
        for file in files
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }

    assert named
    assert set() == named - defined
