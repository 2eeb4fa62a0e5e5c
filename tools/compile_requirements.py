"""Compile requirements/*.in into exact versions, for every platform and Python from 3.11 on.

Needs the `uv` command. The results carry no index addresses, so they mean the same behind any
mirror. Versions that are pinned already stay; pass `--upgrade` to move them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
# In order: a later group is constrained by the earlier ones (`-c` lines in the .in files).
GROUPS = ("runtime", "test", "lint", "docs", "build", "bench", "peers")
OPTIONS = (
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--annotation-style=line",
    "--no-header",
)


def compile_group(name: str, *extra: str) -> None:
    """Compile one group and head the result with where it came from."""
    source, target = REQUIREMENTS / f"{name}.in", REQUIREMENTS / f"{name}.txt"
    command = ["uv", "pip", "compile", *OPTIONS, *extra, source.name, "-o", target.name]
    subprocess.run(command, cwd=REQUIREMENTS, check=True, timeout=600)
    header = f"# Compiled from {source.name} by tools/compile_requirements.py; do not edit.\n"
    target.write_text(header + target.read_text(encoding="utf-8"), encoding="utf-8")


def main() -> None:
    """Compile all groups."""
    for name in GROUPS:
        compile_group(name, *sys.argv[1:])


if __name__ == "__main__":
    main()
