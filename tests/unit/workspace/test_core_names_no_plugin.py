"""The core knows no engine, no web framework and no registry client."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[3] / "core" / "src"
# As a word or as part of a dotted or underscored one; prose in docstrings may give examples. Llama 3
# is a family of models, whose way to call tools the core reads on every engine.
FORBIDDEN = re.compile(
    r"(?<![a-z])(?:llama(?!3)|mlx|litestar|uvicorn|oras)(?![a-z])", re.IGNORECASE
)


def _code_words(path: Path) -> Iterator[tuple[int, str]]:
    """Every name, import and string of a module, docstrings left out, with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield line, node.value
        elif isinstance(node, ast.Import):
            yield from ((line, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield line, node.module or ""
        elif isinstance(node, ast.Name):
            yield line, node.id
        elif isinstance(node, ast.Attribute):
            yield line, node.attr
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield line, node.name


@pytest.mark.parametrize(
    "path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE))
)
def test_core_names_no_plugin(path: Path) -> None:
    """No module of the core has an engine's, a framework's or a client's name in its code."""
    found = [f"line {line}: {word}" for line, word in _code_words(path) if FORBIDDEN.search(word)]

    assert [] == found
