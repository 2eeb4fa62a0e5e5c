"""`stoker serve`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stoker.cli.invocation import Invocation

if TYPE_CHECKING:
    from stoker.application import Application


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="Where the main transport listens.")
@click.option("--port", metavar="N", type=int, help="Its port; 0 takes any that is free.")
@click.option(
    "--transport",
    "transports",
    metavar="NAME",
    multiple=True,
    help="Start this transport only. May be given several times.",
)
@click.pass_obj
def command(
    invocation: Invocation, *, host: str | None, port: int | None, transports: tuple[str, ...]
) -> None:
    """Serve models to clients until it is stopped.

    Prints the address of every transport. Models are loaded when they are asked for first. Ctrl-C
    (or SIGTERM) stops the server in order; a second one ends it at once.
    """
    import asyncio

    from stoker.cli.serving import serve

    application = _application(invocation, host, port, transports)
    asyncio.run(serve(application, _announce))


def _application(
    invocation: Invocation, host: str | None, port: int | None, transports: tuple[str, ...]
) -> Application:
    """The application, with the command's options as settings.

    Raises:
        ConfigError: A setting is wrong, or the main transport has no host or port.
        UnavailableError: No transport is installed.
    """
    from stoker.application import Application
    from stoker.config import load_settings
    from stoker.config.sources import Flag
    from stoker.supervisor.supervisor import wanted_transports

    flags = [Flag("--transport", ("serve", "transports"), transports)] if transports else []
    application = invocation.application(flags)
    main = wanted_transports(application)[0].name
    if host is not None:
        flags.append(Flag("--host", ("transports", main, "host"), host))
    if port is not None:
        flags.append(Flag("--port", ("transports", main, "port"), port))
    settings = load_settings(config_file=invocation.config_file, flags=invocation.flags(flags))
    return Application(settings, application.plugins)


def _announce(address: str) -> None:
    click.echo(f"listening on {address}")
    sys.stdout.flush()
