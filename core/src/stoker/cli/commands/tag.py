"""`stoker tag`."""

from __future__ import annotations

import click

from stoker.cli.invocation import Invocation
from stoker.errors import InvalidReferenceError


@click.command("tag")
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.pass_obj
def command(invocation: Invocation, *, source: str, target: str) -> None:
    """Give a model another name.

    A name that exists moves. Nothing is copied.
    """
    stores = invocation.application().stores
    old, new = stores.parse(source), stores.parse(target)
    store = stores.writable(new)
    if stores.of(old) is not store:
        raise InvalidReferenceError(
            f"{old.familiar!r} and {new.familiar!r} belong to different stores: make a model"
            f" of that name with `stoker package {new.familiar} --from {old.familiar}`."
        )
    artifact = store.tag(old, new)
    click.echo(artifact.digest)
