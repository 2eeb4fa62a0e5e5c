"""`stoker config`."""

from __future__ import annotations

import click

from stoker.cli.command_list import CONFIG_COMMANDS, LazyCommands


@click.group(
    "config",
    cls=LazyCommands,
    entries=CONFIG_COMMANDS,
    package="stoker.cli.config_commands",
)
def command() -> None:
    """Show and check the configuration, and have it read again."""
