"""Every test says in one sentence which behaviour it is about."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("tests", "core/src/stoker/testing")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def _complaint(test: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    text = ast.get_docstring(test)
    if not text:
        return f"{test.name}: no docstring"
    if "\n\n" in text or not text.endswith("."):
        return f"{test.name}: not one sentence"
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_say_what_they_test(path: Path) -> None:
    """A test function has a docstring of one sentence."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]

    assert [] == [complaint for test in tests if (complaint := _complaint(test))]
