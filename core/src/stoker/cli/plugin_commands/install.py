"""`stoker plugins install`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.cli.failure import note

if TYPE_CHECKING:
    from stoker.plugins import PluginManager


@click.command("install")
@click.argument("requirements", metavar="DISTRIBUTION...", nargs=-1, required=True)
@click.option("-U", "--upgrade", is_flag=True, help="Take newer versions than those installed.")
@click.option(
    "--find-links",
    metavar="FOLDER",
    multiple=True,
    help="Look for wheels here, too. May be given several times.",
)
@click.option("--no-index", is_flag=True, help="Ask no index: take wheels from --find-links only.")
def command(
    *, requirements: tuple[str, ...], upgrade: bool, find_links: tuple[str, ...], no_index: bool
) -> None:
    """Install plugins into the environment that stoker runs in.

    Takes what pip takes: names with or without versions, wheels and folders. pip does it, or uv
    where there is no pip, with the index and the certificates that they are set to. stoker itself
    keeps its version unless it is named.
    """
    from stoker.plugin_installer import PackageSources, PluginInstaller
    from stoker.plugins import PluginManager

    before = set(_listed(PluginManager()))
    sources = PackageSources(find_links, index=not no_index)
    PluginInstaller.here().install(requirements, sources, upgrade=upgrade)
    after = _listed(PluginManager())
    for line in after:
        if line not in before:
            click.echo(line)
    if not set(after) - before:
        note("no plugin is new: see `stoker plugins`")


def _listed(plugins: PluginManager) -> list[str]:
    return [
        f"{plugin.name}  {plugin.distribution} {plugin.version}  {plugin.status}"
        for plugin in plugins.plugins
    ]
