"""A directive that makes a section of every error: what it means, what to do, and how it ends.

`{error-pages} package.module:ROOT` reads the classes from the code, and what to do from
`errors.toml` beside the page. The sections' addresses (`#error-config-error`) never change.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from code_tables import FromCode
from docutils.nodes import Node
from sphinx.application import Sphinx

from stoker.cli.exit_codes import exit_code
from stoker.errors import StokerError, anchor_of

REMEDIES = Path(__file__).parents[1] / "reference" / "errors.toml"


def all_errors(root: type[StokerError] = StokerError) -> Iterator[type[StokerError]]:
    """The errors of the core, root first."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == root.__module__:
            yield from all_errors(child)


def remedies() -> dict[str, str]:
    """What to do, by the names of the errors."""
    return tomllib.loads(REMEDIES.read_text(encoding="utf-8"))


class ErrorPages(FromCode):
    """A section per error."""

    def run(self) -> list[Node]:
        """Make the sections."""
        root: Any = self.source()
        texts = remedies()
        found = sorted(set(all_errors(root)), key=lambda kind: kind.__name__)
        text = "\n\n".join(_section(kind, texts[kind.__name__]) for kind in found)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _section(kind: type[StokerError], remedy: str) -> str:
    meaning = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    parent = kind.__mro__[1]
    kinds = f"a kind of `{parent.__name__}`; " if issubclass(parent, StokerError) else ""
    return (
        f"({anchor_of(kind)})=\n\n## {kind.__name__}\n\n{meaning}\n\n**What to do:** {remedy}\n\n"
        f"In code: `stoker.errors.{kind.__name__}`, {kinds}"
        f"the command line ends with {exit_code(kind.__new__(kind))}."
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("error-pages", ErrorPages)
    return {"parallel_read_safe": True}
