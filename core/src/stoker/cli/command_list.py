"""The list of commands, and the group that imports a command's module when it is needed.

`stoker --help` shows the summaries below and imports no command; a test compares them with the
commands' own help.
"""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Mapping
from typing import Any

import click

COMMANDS = {
    "pull": "Fetch a model.",
    "push": "Send a model to the registry in its name.",
    "login": "Log in to a registry.",
    "logout": "Forget the login to a registry.",
    "package": "Make a model from files.",
    "export": "Write models into a file or folder for another machine.",
    "import": "Take the models of such a file or folder.",
    "list": "List the models that are here.",
    "inspect": "Show a model's manifest, facts and layers.",
    "tag": "Give a model another name.",
    "rm": "Remove models.",
    "verify": "Check that models are still what was fetched.",
    "prune": "Delete what no model needs.",
    "run": "Ask a model, once or in a conversation.",
    "serve": "Serve models to clients until it is stopped.",
    "ps": "Show the loaded models of the running server.",
    "logs": "Show what the engine of a model printed in the running server.",
    "stop": "Unload models from the running server.",
    "keys": "Make API keys for clients of the server.",
    "why": "Show which backend a model gets, and what it will take in memory, and why.",
    "config": "Show and check the configuration, and have it read again.",
    "plugins": "Show the plugins, what they provide and what is wrong.",
    "version": "Show versions, for reports of problems.",
}
"""What `stoker --help` says of each command, in the order in which it shows them."""

PLUGIN_COMMANDS = {
    "new": "Write the project of a new plugin, which works at once.",
    "doctor": "Say what is wrong with the plugins, and what to do.",
    "install": "Install plugins into the environment that stoker runs in.",
    "uninstall": "Remove distributions of plugins.",
}
"""The same for `stoker plugins --help`."""

CONFIG_COMMANDS = {
    "show": "Show every setting, its effective value and where that comes from.",
    "explain": "Show the settings that hold for one model, and where each comes from.",
    "check": "Check the whole configuration, options of plugins included.",
    "reload": "Have the running server read its configuration again.",
}
"""And for `stoker config --help`."""

ALIASES = {"ls": "list"}


class LazyCommands(click.Group):
    """A group whose commands stand in modules of their names, each as `command`.

    The module of a name that is a word of Python ends in an underscore.
    """

    def __init__(
        self,
        *args: Any,
        entries: Mapping[str, str],
        package: str = "stoker.cli.commands",
        **kwargs: Any,
    ) -> None:
        """Make the group.

        Args:
            *args: For `click.Group`.
            entries: Summaries by name.
            package: Where the modules are.
            **kwargs: For `click.Group`.
        """
        super().__init__(*args, **kwargs)
        self._entries = entries
        self._package = package

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names, in the order of the list."""
        return list(self._entries)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of the name."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in self._entries:
            return None
        module = f"{name}_" if keyword.iskeyword(name) else name
        command = importlib.import_module(f"{self._package}.{module}").command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command by name or alias; help names it by its proper name."""
        _, command, rest = super().resolve_command(ctx, args)
        return (command.name if command else None), command, rest

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._entries.items()))
