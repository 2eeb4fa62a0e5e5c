"""`stoker pull`."""

from __future__ import annotations

import click

from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json
from stoker.cli.progress import transfer_progress


@click.command("pull")
@click.argument("name", metavar="REF")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the model as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, name: str, quiet: bool, as_json: bool) -> None:
    """Fetch a model.

    What is here already is not fetched again, and a pull that broke off goes on where it stopped.
    Prints the model's digest.
    """
    from stoker.cli.wire.models import ModelDocument

    stores = invocation.application().stores
    reference = stores.parse(name)
    with transfer_progress(quiet=quiet) as progress:
        artifact = stores.of(reference).pull(reference, progress)
    if as_json:
        print_json(ModelDocument.from_domain(artifact))
    else:
        click.echo(artifact.digest)
