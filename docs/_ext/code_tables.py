"""Directives that make reference pages out of the code, so that these pages cannot be wrong.

- `{field-table} package.module:TABLE`: what becomes of each field of a request;
- `{status-table} package.module:TABLE`: the HTTP status of each kind of error;
- `{settings} package.module:STRUCT`: the settings of a plugin, by its options type;
- `{options} package.module:COMMAND`: the options of a click command;
- `{commands} package.module:GROUP`: a section per command of a click group, and of groups in it.
"""

from __future__ import annotations

import abc
import importlib
import inspect
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import click
import msgspec
from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective


class FromCode(SphinxDirective):
    """Something that is made from an object, which the argument names as `package.module:NAME`."""

    required_arguments = 1

    def source(self) -> Any:
        """The object."""
        module, _, name = self.arguments[0].partition(":")
        return getattr(importlib.import_module(module), name)


class _CodeTable(FromCode, abc.ABC):
    """A table whose rows come from the object."""

    columns: ClassVar[Sequence[str]]

    @abc.abstractmethod
    def rows(self, source: Any) -> Iterable[Sequence[str]]:
        """The rows, as Markdown."""

    def run(self) -> list[Node]:
        """Make the table."""
        return self.parse_text_to_nodes(_table(self.columns, self.rows(self.source())))


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


class Settings(_CodeTable):
    """The fields of a plugin's options type, with the docstrings below them."""

    columns = ("Setting", "Default", "Meaning")

    def rows(self, source: Any) -> Iterable[Sequence[str]]:
        """One per field, in order."""
        docs = ModuleAnalyzer.for_module(source.__module__).find_attr_docs()
        for field in msgspec.structs.fields(source):
            text = " ".join(docs[source.__name__, field.name])
            yield f"`{field.name}`", _default(field), text


def _default(field: msgspec.structs.FieldInfo) -> str:
    """A field's default as the configuration file spells it."""
    if field.required:
        return "required"
    # What can be changed in place, such as a table, has a function that makes it.
    made = field.default is msgspec.NODEFAULT
    value = field.default_factory() if made else field.default
    return "unset" if value is None else f"`{msgspec.json.encode(value).decode()}`"


class Options(FromCode):
    """The options of a click command."""

    def run(self) -> list[Node]:
        """Make the table."""
        command = self.source()
        return self.parse_text_to_nodes(_options(command, click.Context(command)))


class Commands(FromCode):
    """A section per command of a click group: its usage, its help and its options."""

    def run(self) -> list[Node]:
        """Make the sections."""
        group: click.Group = self.source()
        context = click.Context(group, info_name="stoker")
        text = "\n\n".join(_sections(context, group))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _sections(context: click.Context, group: click.Group) -> Iterable[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield _command_section(context, command)
        if isinstance(command, click.Group):
            inner = click.Context(command, parent=context, info_name=command.name)
            yield from _sections(inner, command)


def _command_section(parent: click.Context, command: click.Command | None) -> str:
    if command is None:
        raise ValueError("The group lists a command that it does not have.")
    context = click.Context(command, parent=parent, info_name=command.name)
    usage = " ".join(
        [context.command_path, *(item.make_metavar(context) for item in _arguments(command))]
    )
    help_text = inspect.cleandoc(command.help or "")
    return f"## `{usage}`\n\n{help_text}\n\n{_options(command, context)}"


def _arguments(command: click.Command) -> list[click.Argument]:
    return [item for item in command.params if isinstance(item, click.Argument)]


def _options(command: click.Command, context: click.Context) -> str:
    records = [
        item.get_help_record(context) for item in command.params if isinstance(item, click.Option)
    ]
    rows = [(f"`{names}`", text) for names, text in filter(None, records)]
    return _table(("Option", "Meaning"), rows) if rows else ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    cells = ([cell.replace("|", r"\|") for cell in row] for row in rows)
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("field-table", FieldTable)
    app.add_directive("status-table", StatusTable)
    app.add_directive("settings", Settings)
    app.add_directive("options", Options)
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
