"""Every test says in one sentence which behaviour it is about."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KIT = ROOT / "core" / "src" / "stoker" / "testing"
FILES = sorted(path for folder in (ROOT / "tests", KIT) for path in folder.rglob("*.py"))


def _complaint(test: ast.FunctionDef | ast.AsyncFunctionDef, *, may_go_on: bool) -> str | None:
    text = ast.get_docstring(test)
    if not text:
        return f"{test.name}: no docstring"
    sentence, _, rest = text.partition("\n\n")
    if not sentence.endswith(".") or (rest and not may_go_on):
        return f"{test.name}: not one sentence"
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_say_what_they_test(path: Path) -> None:
    """A test has a docstring of one sentence; those of the kits may explain more after it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]

    complaints = [_complaint(test, may_go_on=path.is_relative_to(KIT)) for test in tests]

    assert [] == [complaint for complaint in complaints if complaint]
