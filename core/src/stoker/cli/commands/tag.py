"""`stoker tag`."""

from __future__ import annotations

import click

from stoker.cli.invocation import Invocation


@click.command("tag")
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.pass_obj
def command(invocation: Invocation, *, source: str, target: str) -> None:
    """Give a model another name.

    A name that exists moves. Nothing is copied.
    """
    artifact = invocation.application().stores.tag(source, target)
    click.echo(artifact.digest)
