"""What no committed file may contain."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

THIS_FILE = "tests/unit/workspace/test_committed_files.py"

FORBIDDEN = {
    "a package index": re.compile(r"p[y]pi\.org|p[y]thonhosted\.|n[p]mjs\.|d[e]b\.debian"),
    "a path of one machine": re.compile(r"(?<![\w.~*])/(?:work|root|Users)/"),
    "unfinished work": re.compile(r"\b(?:TODO|FIXME|XXX)\b"),
}


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """The text of every file that is committed or about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    return {
        name: (root / name).read_text(encoding="utf-8", errors="replace")
        for name in listing
        if (root / name).is_file() and name != THIS_FILE
    }


@pytest.mark.parametrize("what", FORBIDDEN)
def test_committed_files_are_clean(texts: dict[str, str], what: str) -> None:
    """No committed file mentions a package index, a machine's path or unfinished work."""
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if FORBIDDEN[what].search(line)
    ]

    assert [] == found
