"""`stoker logout`."""

from __future__ import annotations

import click

from stoker.cli.invocation import Invocation
from stoker.errors import NotFoundError


@click.command("logout")
@click.argument("host", metavar="HOST")
@click.pass_obj
def command(invocation: Invocation, *, host: str) -> None:
    """Forget the login to a registry.

    The login goes from docker's config and from the credential helper that it names.
    """
    from stoker.logins import LoginKeeper
    from stoker.reference import parse_registry

    registry = parse_registry(host)
    if not invocation.application().stores.general(LoginKeeper).log_out(registry):
        raise NotFoundError(f"There is no login to {registry} to forget.")
    click.echo(f"forgot the login to {registry}")
