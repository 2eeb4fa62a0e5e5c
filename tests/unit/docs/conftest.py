"""The blocks of code in the documentation."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import attrs
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[3]
_PAGES = ("*.md", "docs/**/*.md", "*/README.md", "*/*/README.md")


@attrs.frozen
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    """Of its first line of code."""
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def console_commands(self) -> Iterator[list[str]]:
        """The words of each line that is typed, with the lines joined that a backslash parts."""
        for line in self.code.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield shlex.split(line.removeprefix("$ "), comments=True)


def all_blocks() -> list[Block]:
    """All fenced blocks of every page."""
    pages = sorted({path for pattern in _PAGES for path in ROOT.glob(pattern)})
    return [
        Block(
            page=str(page.relative_to(ROOT)),
            line=token.map[0] + 2,
            language=_language(token.info),
            code=token.content,
        )
        for page in pages
        if "_build" not in page.parts
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8"))
        if token.type == "fence" and token.map is not None
    ]


def blocks(language: str) -> list[Block]:
    """All blocks in a language."""
    return [block for block in all_blocks() if block.language == language]


def _language(info: str) -> str:
    """The word after the fence; of a directive such as `{toctree}`, its name in braces."""
    return info.split(maxsplit=1)[0] if info.strip() else ""
