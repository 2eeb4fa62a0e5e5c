"""The reference pages name everything that exists, and nothing that does not."""

from __future__ import annotations

import re

import click
import msgspec
import pytest

from stoker.cli import main
from stoker.config import Config
from stoker.hookspecs import HOOK_RECORDS
from stoker.plugins import PluginManager

from .conftest import ROOT, walk

COMMANDS = dict(walk(main))
_SECTION = re.compile(r"^## `stoker ([a-z ]+[a-z]).*?`$", re.MULTILINE)


def page(name: str) -> str:
    """The text of a reference page."""
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    """The sections of the page on the command line, by command."""
    parts = _SECTION.split(page("cli.md"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options(command: click.Command) -> set[str]:
    """The long options of a command."""
    names = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    return {name for name in names if name.startswith("--")} - {"--help"}


def test_every_command_has_a_section() -> None:
    """The page on the command line has a section for each command, and no other."""

    assert {" ".join(words) for words in COMMANDS} == set(sections())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_described(words: tuple[str, ...]) -> None:
    """A command's section names each of its options, and no other."""
    described = set(re.findall(r"`(--[a-z-]+)", sections()[" ".join(words)]))

    assert options(COMMANDS[words]) == described


def test_the_common_options_are_described() -> None:
    """The options before the command are described before the first command."""
    head = _SECTION.split(page("cli.md"))[0]

    assert options(main) == set(re.findall(r"`(--[a-z-]+)", head)) - {"--help"}


@pytest.mark.parametrize(("hook", "record"), HOOK_RECORDS.items())
def test_every_hook_is_described(hook: str, record: type) -> None:
    """The page on hooks names each hook with its arguments, none, and its record."""

    assert f"| `{hook}()` | `{record.__name__}` |" in page("hooks.md")


def setting_names(struct: type[msgspec.Struct]) -> set[str]:
    """The keys of a table and of the tables in it that the core knows."""
    names = set()
    for field in msgspec.structs.fields(struct):
        names.add(field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            names |= setting_names(field.type)
    return names


def test_every_setting_is_described() -> None:
    """The page on the configuration names each key of the core and of the shipped plugins."""
    plugins = PluginManager()
    keys = setting_names(Config).union(
        *(setting_names(spec.options_type) for spec in plugins.backends.values()),
        *(setting_names(spec.options_type) for spec in plugins.stores.values()),
        *(setting_names(spec.options_type) for spec in plugins.transports.values()),
    )
    text = page("configuration.md")

    assert set() == {key for key in keys if not re.search(rf"\b{key}\b", text)}
