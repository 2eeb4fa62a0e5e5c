"""Directives that make tables out of the code, so that these tables cannot be wrong.

- `{field-table} package.module:TABLE`: what becomes of each field of a request;
- `{status-table} package.module:TABLE`: the HTTP status of each kind of error.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class _CodeTable(SphinxDirective, abc.ABC):
    """A table whose rows come from an object that the argument names."""

    required_arguments = 1
    columns: ClassVar[Sequence[str]]

    @abc.abstractmethod
    def rows(self, source: Any) -> Iterable[Sequence[str]]:
        """The rows, as Markdown."""

    def run(self) -> list[Node]:
        """Make the table."""
        module, _, name = self.arguments[0].partition(":")
        source = getattr(importlib.import_module(module), name)
        lines = [self.columns, ["---"] * len(self.columns), *self.rows(source)]
        return self.parse_text_to_nodes("\n".join(f"| {' | '.join(line)} |" for line in lines))


class FieldTable(_CodeTable):
    """What becomes of each field of a request."""

    columns = ("Field", "", "Remark")

    def rows(self, source: Any) -> Iterable[Sequence[str]]:
        """One per field, by name."""
        for name, rule in sorted(source.items()):
            let_through = ", ".join(f"`{value!r}`" for value in rule.harmless)
            remark = rule.reason + (f" ({let_through} is let through)" if let_through else "")
            yield f"`{name}`", rule.treatment.value, remark


class StatusTable(_CodeTable):
    """The HTTP status of each kind of error."""

    columns = ("Error", "Status")

    def rows(self, source: Any) -> Iterable[Sequence[str]]:
        """One per error in the table, in its order."""
        for error, status in source.items():
            yield f"`{error.__name__}`", f"{status.value} {status.phrase}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("field-table", FieldTable)
    app.add_directive("status-table", StatusTable)
    return {"parallel_read_safe": True}
