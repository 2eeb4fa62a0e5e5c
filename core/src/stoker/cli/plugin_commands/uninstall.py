"""`stoker plugins uninstall`."""

from __future__ import annotations

import click


@click.command("uninstall")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def command(*, names: tuple[str, ...]) -> None:
    """Remove distributions of plugins.

    A name is a distribution's or a plugin's, as `stoker plugins` shows them. A distribution goes
    as a whole, with all of its plugins; what it needed stays.
    """
    from stoker.errors import NotFoundError
    from stoker.plugin_discovery import distributions
    from stoker.plugin_installer import PluginInstaller

    installed = distributions()
    unknown = [name for name in names if name not in installed]
    if unknown:
        raise NotFoundError(
            f"{unknown[0]!r} is neither a plugin nor a distribution of plugins; there are:"
            f" {', '.join(sorted(set(installed.values()))) or 'none'}."
        )
    wanted = list(dict.fromkeys(installed[name] for name in names))
    PluginInstaller.here().uninstall(wanted)
    for name in wanted:
        click.echo(name)
