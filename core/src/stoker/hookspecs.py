"""The hooks: everything that a plugin can offer, in one file.

A plugin is a module (or object) with functions of these names, each marked `@stoker.hookimpl`,
named by an entry point of the group `stoker.v1`. Every hook is called once, without arguments,
after all plugins were loaded; it returns frozen records. Records are cheap: they name factories,
and only factories import engines, frameworks and clients. No request, token or byte ever passes
through a hook.

An example, complete::

    # pyproject.toml
    [project.entry-points."stoker.v1"]
    shout = "stoker_shout.plugin"

    # stoker_shout/plugin.py
    import stoker
    from stoker.backend import BackendSpec, always_available
    from stoker.media_types import MediaType

    def load(bundle, options, progress):
        from stoker_shout.engine import ShoutEngine   # heavy imports belong here
        return ShoutEngine(bundle.weights[0])

    @stoker.hookimpl
    def stoker_register_backends():
        media_type = MediaType("application/vnd.example.shout")
        return [BackendSpec("shout", (media_type,), load, probe=always_available)]

A hook that raises, returns something else than records, or registers a name that another plugin
has, makes its plugin *failed*: `stoker plugins` shows why, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from stoker.backend import BackendSpec
from stoker.command import CommandSpec
from stoker.dialect import DialectSpec
from stoker.formats import FormatRule
from stoker.listener import ListenerSpec
from stoker.metrics import MetricSpec
from stoker.parser import ParserSpec
from stoker.store import StoreSpec
from stoker.transport import TransportSpec

PROJECT_NAME = "stoker"
ENTRY_POINT_GROUP = "stoker.v1"
"""Carries the API's major version: plugins for another one are never loaded by mistake."""

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


@hookspec
def stoker_register_backends() -> Iterable[BackendSpec]:
    """Offer engines.

    Called once in every stoker process, runners included.

    Returns:
        One record per backend. Names are unique among all plugins.
    """
    return ()


@hookspec
def stoker_register_stores() -> Iterable[StoreSpec]:
    """Offer places where models come from and are kept.

    Returns:
        One record per store. Names and schemes are unique among all plugins.
    """
    return ()


@hookspec
def stoker_register_transports() -> Iterable[TransportSpec]:
    """Offer ways for requests to arrive.

    Returns:
        One record per transport. Names are unique among all plugins.
    """
    return ()


@hookspec
def stoker_register_formats() -> Iterable[FormatRule]:
    """Say what layers of some media type, config format or file path are.

    Returns:
        Rules; see `stoker.formats` for which of several wins. Two rules with one condition and
        different results are an error of the plugin whose name sorts last.
    """
    return ()


@hookspec
def stoker_register_dialects() -> Iterable[DialectSpec]:
    """Offer wire APIs for transports to mount.

    Returns:
        One record per dialect. Names are unique among all plugins.
    """
    return ()


@hookspec
def stoker_register_parsers() -> Iterable[ParserSpec]:
    """Offer parsers of tool-call and reasoning syntaxes.

    Returns:
        One record per syntax. Names are unique among all plugins.
    """
    return ()


@hookspec
def stoker_register_listeners() -> Iterable[ListenerSpec]:
    """Offer to hear of requests that start and end, and of models that are loaded and unloaded.

    Returns:
        One record per listener. Names are unique among all plugins.
    """
    return ()


@hookspec
def stoker_register_metrics() -> Iterable[MetricSpec]:
    """Offer to measure, for whoever scrapes the server.

    Returns:
        One record per source. Names are unique among all plugins.
    """
    return ()


@hookspec
def stoker_register_commands() -> Iterable[CommandSpec]:
    """Offer commands of the command line.

    Returns:
        One record per command. Names are unique among all plugins, and the core's own commands
        stay what they are: a command of a plugin that has the name of one is never reached.
    """
    return ()


HOOK_RECORDS: dict[str, type] = {
    "stoker_register_backends": BackendSpec,
    "stoker_register_stores": StoreSpec,
    "stoker_register_transports": TransportSpec,
    "stoker_register_formats": FormatRule,
    "stoker_register_dialects": DialectSpec,
    "stoker_register_parsers": ParserSpec,
    "stoker_register_listeners": ListenerSpec,
    "stoker_register_metrics": MetricSpec,
    "stoker_register_commands": CommandSpec,
}
"""The type of record that each hook returns."""
