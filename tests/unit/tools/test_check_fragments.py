"""The check of changelog fragments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SENTENCE = "stoker-registry: A pull that was cut off goes on where it stopped.\n"


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        ("+resume.feature.md", SENTENCE, 0),
        ("+resume.bugfix.md", "stoker: Two lines make\none entry.\n", 0),
        ("README.md", "Anything.", 0),
        ("+resume.news.md", SENTENCE, 1),
        ("resume.feature.md", SENTENCE, 1),
        ("+resume.feature.rst", SENTENCE, 1),
        ("+resume.feature.md", "A pull goes on where it stopped.\n", 1),
        ("+resume.feature.md", "stoker: No full stop\n", 1),
        ("+resume.feature.md", "", 1),
    ],
)
def test_fragments_are_checked(
    load_tool: Callable[[str], ModuleType], tmp_path: Path, name: str, text: str, problems: int
) -> None:
    """A fragment has a known type and starts with the name of a distribution."""
    (tmp_path / name).write_text(text, encoding="utf-8")

    assert problems == len(list(load_tool("check_fragments").problems(tmp_path)))
