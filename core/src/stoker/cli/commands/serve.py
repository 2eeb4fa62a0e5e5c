"""`stoker serve`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from stoker.cli.invocation import Invocation

if TYPE_CHECKING:
    from stoker.application import Application
    from stoker.config import Settings


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
@click.option(
    "--insecure", is_flag=True, help="Let other machines in although there are no API keys."
)
@click.pass_obj
def command(
    invocation: Invocation,
    *,
    host: str | None,
    port: int | None,
    transports: tuple[str, ...],
    insecure: bool,
) -> None:
    """Serve models to clients until it is stopped.

    Prints the address of every transport. SIGHUP, or `stoker config reload`, reads the
    configuration again. Models are loaded when they are asked for first. Ctrl-C
    (or SIGTERM) stops the server in order; a second one ends it at once.
    """
    import asyncio

    from stoker.cli.serving import serve

    # None is "not said".
    values = {"host": host, "port": port, "insecure": insecure or None}
    application, read = _application(invocation, values, transports)
    invocation.log_as(application.settings.config.log)
    asyncio.run(
        serve(
            application,
            _announce,
            read=read,
            applied=lambda config: invocation.log_as(config.log),
        )
    )


def _application(
    invocation: Invocation, values: Mapping[str, object], transports: tuple[str, ...]
) -> tuple[Application, Callable[[], Settings]]:
    """The application, with the command's options as settings, and what reads them again.

    Raises:
        ConfigError: A setting is wrong, or the main transport does not have it.
        UnavailableError: No transport is installed.
    """
    from stoker.application import Application
    from stoker.config import load_settings
    from stoker.config.sources import Flag
    from stoker.supervisor.supervisor import wanted_transports

    flags = [Flag("--transport", ("serve", "transports"), transports)] if transports else []
    application = invocation.application(flags)
    main = wanted_transports(application)[0].name
    flags += [
        Flag(f"--{name}", ("transports", main, name), value)
        for name, value in values.items()
        if value is not None
    ]

    def read() -> Settings:
        return load_settings(config_file=invocation.config_file, flags=invocation.flags(flags))

    return Application(read(), application.plugins), read


def _announce(address: str) -> None:
    click.echo(f"listening on {address}")
    sys.stdout.flush()
