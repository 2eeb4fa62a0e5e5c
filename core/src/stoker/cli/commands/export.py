"""`stoker export`."""

from __future__ import annotations

from pathlib import Path

import click

from stoker.cli.invocation import Invocation
from stoker.cli.progress import transfer_progress


@click.command("export")
@click.argument("names", metavar="REF...", nargs=-1, required=True)
@click.argument("target", metavar="FILE.tar|DIR", type=click.Path(path_type=Path))
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_obj
def command(invocation: Invocation, *, names: tuple[str, ...], target: Path, quiet: bool) -> None:
    """Write models into a file or folder for another machine.

    The result is an OCI image layout, which `stoker import`, skopeo and oras read: a tar when its
    name ends in .tar, else a folder. Every file is checked on the way.
    """
    from stoker.exchange import LayoutExchange

    stores = invocation.application().stores
    references = [stores.parse(name) for name in names]
    exchanges = {stores.offering(reference, LayoutExchange) for reference in references}
    if len(exchanges) > 1:
        raise click.UsageError("These models are in several stores: export them one by one.")
    with transfer_progress(quiet=quiet) as progress:
        exchanges.pop().export_layout(references, target, progress)
    click.echo(target)
