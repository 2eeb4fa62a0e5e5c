"""Check the changelog fragments: their names, and that each is one entry for users.

python tools/check_fragments.py changelog.d
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

TYPES = ("feature", "bugfix", "removal", "doc", "misc")
DISTRIBUTIONS = (
    "stoker",
    "stoker-example",
    "stoker-litestar",
    "stoker-llama-cpp",
    "stoker-mlx",
    "stoker-recorder",
    "stoker-registry",
    "stoker-remote",
    "stoker-stdio",
)
_NAME = re.compile(rf"\+[a-z0-9-]+\.(?:{'|'.join(TYPES)})\.md")
_TEXT = re.compile(rf"`?(?:{'|'.join(DISTRIBUTIONS)})`?: [^\n]+\.")


def problems(folder: Path) -> Iterator[str]:
    """One line per fragment that breaks a rule."""
    for path in sorted(folder.iterdir()):
        if path.name in {"README.md", ".gitignore"}:
            continue
        if not _NAME.fullmatch(path.name):
            yield f"{path}: name it +what-changed.TYPE.md, with TYPE one of {', '.join(TYPES)}."
        elif not _TEXT.fullmatch(" ".join(path.read_text(encoding="utf-8").split())):
            yield f"{path}: write 'DISTRIBUTION: What users see now.' (one of {DISTRIBUTIONS})."


def main() -> None:
    """Print the problems; fail when there are some."""
    found = list(problems(Path(sys.argv[1])))
    for line in found:
        print(line, file=sys.stderr)
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
