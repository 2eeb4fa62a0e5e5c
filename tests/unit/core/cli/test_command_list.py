"""The list of commands."""

from __future__ import annotations

import pkgutil

import click
import pytest

import stoker.cli.commands
from stoker.cli.command_list import ALIASES, COMMANDS
from stoker.cli.program import program


@pytest.mark.parametrize("name", COMMANDS)
def test_summaries_are_those_of_the_commands(name: str) -> None:
    """What `stoker --help` says of a command is the first sentence of the command's own help."""
    command = program.get_command(click.Context(program), name)

    assert command is not None
    assert name == command.name
    assert COMMANDS[name] == command.get_short_help_str(limit=1000)


def test_every_module_is_a_listed_command() -> None:
    """No command is left out of the list."""
    names = (module.name for module in pkgutil.iter_modules(stoker.cli.commands.__path__))

    assert set(COMMANDS) == {name.rstrip("_") for name in names}


def test_aliases_lead_to_commands() -> None:
    """An alias is another name of a listed command."""

    assert set() == set(ALIASES.values()) - set(COMMANDS)


def test_every_option_has_help() -> None:
    """`--help` explains every option of every command."""
    commands = [program.get_command(click.Context(program), name) for name in COMMANDS]
    silent = [
        f"{command.name}: {option.name}"
        for command in (program, *commands)
        if command is not None
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]

    assert [] == silent
