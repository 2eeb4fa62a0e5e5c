"""Commands that plugins add: found when a name is none of the core's own."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from stoker.cli.invocation import Invocation
from stoker.errors import PluginError
from stoker.plugin import Plugin


def find_command(invocation: Invocation, name: str) -> click.Command | None:
    """The command that a plugin registered under a name; None when there is none.

    Raises:
        ConfigError: A setting is wrong, so that nobody knows which plugins may load.
        PluginError: The plugin cannot make it.
    """
    plugins = invocation.application().plugins
    spec = plugins.commands.get(name)
    if spec is None:
        return None
    plugin = plugins.provider(spec)
    made: Any
    try:
        with contextlib.redirect_stdout(sys.stderr):
            made = spec.factory()
    except Exception as exc:
        raise _error(plugin, name, f"{type(exc).__name__}: {exc}") from exc
    if not isinstance(made, click.Command):
        raise _error(plugin, name, f"it returned a {type(made).__name__}, not a click command")
    return made


def _error(plugin: Plugin, name: str, problem: str) -> PluginError:
    return PluginError(
        f"Plugin {plugin.name!r} ({plugin.distribution} {plugin.version}) cannot make its command"
        f" {name!r}: {problem}; tell its author.",
        plugin=plugin.name,
        distribution=f"{plugin.distribution} {plugin.version}",
    )
