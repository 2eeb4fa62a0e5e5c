"""Every test says which behaviour it is about."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "tests", ROOT / "core" / "src" / "stoker" / "testing")
FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py"))


def _complaint(test: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    text = ast.get_docstring(test)
    if not text:
        return f"{test.name}: no docstring"
    sentence, _, _reason = text.partition("\n\n")
    if not sentence.endswith("."):
        return f"{test.name}: its first paragraph is no sentence"
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_say_what_they_test(path: Path) -> None:
    """A test's docstring begins with a sentence; a reason may follow after a blank line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]

    complaints = [_complaint(test) for test in tests]

    assert [] == [complaint for complaint in complaints if complaint]
