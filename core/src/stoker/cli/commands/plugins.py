"""`stoker plugins`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click

from stoker.cli.command_list import PLUGIN_COMMANDS, LazyCommands
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json, print_table
from stoker.cli.quantities import size_text

if TYPE_CHECKING:
    from stoker.cli.wire.plugins import BackendDocument, DeviceDocument, PluginDocument

HOOK_PREFIX = "stoker_register_"


@click.group(
    "plugins",
    cls=LazyCommands,
    entries=PLUGIN_COMMANDS,
    package="stoker.cli.plugin_commands",
    invoke_without_command=True,
)
@click.option("--traceback", is_flag=True, help="Show where failed plugins failed.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_context
def command(context: click.Context, /, *, traceback: bool, as_json: bool) -> None:
    """Show the plugins, what they provide and what is wrong.

    For every backend it also shows whether it can run here, and on which devices.
    """
    if context.invoked_subcommand is not None:
        return
    from stoker.cli.backend_survey import survey
    from stoker.cli.wire.plugins import PluginDocument, PluginsDocument

    invocation: Invocation = context.obj
    manager = invocation.application().plugins
    document = PluginsDocument(
        plugins=tuple(map(PluginDocument.from_domain, manager.plugins)),
        backends=survey(manager),
    )
    if as_json:
        print_json(document)
        return
    _print_plugins(document.plugins)
    if document.backends:
        click.echo()
        _print_backends(document.backends)
    _print_problems(document.plugins, traceback=traceback)


def _print_plugins(plugins: tuple[PluginDocument, ...]) -> None:
    print_table(
        ("NAME", "DISTRIBUTION", "STATUS", "HOOKS", "PROVIDES", "IMPORT"),
        [
            (
                plugin.name,
                f"{plugin.distribution} {plugin.version}",
                plugin.status,
                ", ".join(hook.removeprefix(HOOK_PREFIX) for hook in plugin.hooks),
                _by_kind(plugin.provides),
                f"{plugin.import_ms:.1f} ms",
            )
            for plugin in plugins
        ],
        spare=("HOOKS", "IMPORT"),
    )


def _by_kind(provides: tuple[str, ...]) -> str:
    """Names of one kind one after the other: `transport http; dialect openai, ollama`."""
    kinds = [
        (kind, [item.partition(" ")[2] for item in items])
        for kind, items in itertools.groupby(provides, lambda item: item.partition(" ")[0])
    ]
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds)


def _print_backends(backends: tuple[BackendDocument, ...]) -> None:
    print_table(
        ("BACKEND", "AVAILABLE", "REASON", "DEVICES"),
        [
            (
                backend.name,
                "yes" if backend.available else "no",
                backend.reason,
                backend.devices_problem or ", ".join(map(_device, backend.devices)),
            )
            for backend in backends
        ],
    )


def _device(device: DeviceDocument) -> str:
    details = [device.description] if device.description else []
    if device.memory_bytes is not None:
        details.append(size_text(device.memory_bytes))
    return f"{device.name} ({', '.join(details)})" if details else device.name


def _print_problems(plugins: tuple[PluginDocument, ...], *, traceback: bool) -> None:
    failed = [(plugin, plugin.problem) for plugin in plugins if plugin.problem is not None]
    for plugin, problem in failed:
        click.echo()
        summary = " ".join(problem.summary.split())
        click.echo(f"{plugin.name} failed ({problem.phase}): {summary}")
        if traceback:
            click.echo(problem.traceback.rstrip())
    if failed and not traceback:
        click.echo(
            "\n`stoker plugins --traceback` shows where, `stoker plugins doctor` what to do."
        )
