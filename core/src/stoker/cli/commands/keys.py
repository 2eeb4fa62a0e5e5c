"""`stoker keys`."""

from __future__ import annotations

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json


@click.group("keys")
def command() -> None:
    """Make API keys for clients of the server.

    The server's configuration holds only hashes of them.
    """


@command.command("new")
@click.argument("name", metavar="NAME")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["infer", "admin"]),
    multiple=True,
    help="What the key is good for; infer alone unless said. May be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the key and its entry as JSON.")
@click.pass_obj
def new(_invocation: Invocation, *, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a key, and show it once.

    Prints the key, and what to add to the configuration of the server. Nothing is stored.
    """
    import json

    from stoker.cli.wire.keys import NewKeyDocument
    from stoker.keys import hash_of, new_key

    key = new_key()
    scopes = tuple(dict.fromkeys(scopes)) or ("infer",)
    if as_json:
        print_json(NewKeyDocument(name=name, key=key, hash=hash_of(key), scopes=scopes))
        return
    click.echo(key)
    note("keep the key: it is not shown again; add this to the server's configuration:")
    click.echo("\n[[keys]]", err=True)
    # A JSON string is a TOML string, too.
    click.echo(f"name = {json.dumps(name)}", err=True)
    click.echo(f'hash = "{hash_of(key)}"', err=True)
    click.echo(f"scopes = {json.dumps(scopes)}", err=True)
