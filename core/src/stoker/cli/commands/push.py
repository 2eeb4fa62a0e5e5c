"""`stoker push`."""

from __future__ import annotations

import click

from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json
from stoker.cli.progress import transfer_progress


@click.command("push")
@click.argument("name", metavar="REF")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the model as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, name: str, quiet: bool, as_json: bool) -> None:
    """Send a model to the registry in its name.

    `stoker tag` gives a model a name of another registry. Prints the digest that was pushed.
    """
    from stoker.cli.wire.models import ModelDocument

    stores = invocation.application().stores
    reference = stores.parse(name)
    store = stores.writable(reference)
    with transfer_progress(quiet=quiet) as progress:
        digest = store.push(reference, progress)
    if as_json:
        print_json(ModelDocument.from_domain(store.resolve(reference)))
    else:
        click.echo(digest)
