"""`stoker import`."""

from __future__ import annotations

from pathlib import Path

import click

from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json
from stoker.cli.progress import transfer_progress


@click.command("import")
@click.argument("source", metavar="FILE|DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--as", "name", metavar="REF", help="The model's name, instead of its own.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
@click.pass_obj
def command(
    invocation: Invocation, *, source: Path, name: str | None, quiet: bool, as_json: bool
) -> None:
    """Take the models of such a file or folder.

    It is an OCI image layout, as `stoker export`, skopeo and oras write it, or an uncompressed
    tar of one. Every file is checked against its digest on the way. Prints the models' names.
    """
    from stoker.cli.wire.models import ModelDocument
    from stoker.exchange import LayoutExchange

    stores = invocation.application().stores
    reference = None if name is None else stores.parse(name)
    exchange = (
        stores.general(LayoutExchange)
        if reference is None
        else stores.offering(reference, LayoutExchange)
    )
    with transfer_progress(quiet=quiet) as progress:
        artifacts = exchange.import_layout(source, progress, name=reference)
    if as_json:
        print_json([ModelDocument.from_domain(artifact) for artifact in artifacts])
        return
    for artifact in artifacts:
        click.echo(artifact.reference.familiar)
