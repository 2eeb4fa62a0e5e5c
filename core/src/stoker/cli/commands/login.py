"""`stoker login`."""

from __future__ import annotations

import sys

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.errors import InvalidInputError


@click.command("login")
@click.argument("host", metavar="HOST")
@click.option("-u", "--username", metavar="NAME", help="Who you are; without it you are asked.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def command(
    invocation: Invocation, *, host: str, username: str | None, password_stdin: bool
) -> None:
    """Log in to a registry.

    Asks for the password in a terminal, tries it, and keeps it where docker keeps logins: with
    the credential helper that docker's config names, else in a file that only you can read.
    """
    from stoker.logins import LoginKeeper
    from stoker.reference import parse_registry

    stores = invocation.application().stores
    registry = parse_registry(host)
    if password_stdin and username is None:
        raise click.UsageError("--password-stdin needs --username NAME.")
    if not password_stdin and not _is_terminal():
        raise click.UsageError(
            "This is no terminal to ask in: use --username NAME --password-stdin."
        )
    if username is None:
        username = click.prompt(f"User name at {registry}", err=True)
    password = _piped() if password_stdin else click.prompt("Password", hide_input=True, err=True)
    login = stores.general(LoginKeeper).log_in(registry, username=username, password=password)
    if not login.is_verified:
        note(f"{registry} did not ask for a login, so nobody knows whether this one is right")
    click.echo(f"logged in to {registry} as {username}; the login is kept in {login.place}")


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _piped() -> str:
    """The first line of standard input.

    Raises:
        InvalidInputError: There is none.
    """
    try:
        password = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError as exc:
        raise InvalidInputError("The password on standard input is not text in UTF-8.") from exc
    if not password:
        raise InvalidInputError("There is no password on standard input.")
    return password
