"""`stoker prune`."""

from __future__ import annotations

import click

from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json
from stoker.cli.quantities import size_text


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Delete nothing; only say what would go.")
@click.option(
    "--older-than",
    "min_age_h",
    metavar="HOURS",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Keep what is younger: a pull that broke off may go on with it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was deleted as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, dry_run: bool, min_age_h: float, as_json: bool) -> None:
    """Delete what no model needs.

    Files that no model names, what transfers and crashes have left, and folders of models that
    are gone. What a running pull, packaging or runner works with stays.
    """
    from stoker.cli.wire.upkeep import PruningDocument
    from stoker.upkeep import Pruning, Upkeep

    stores = invocation.application().stores
    done = [
        keeper.prune(min_age_s=min_age_h * 3600, dry_run=dry_run)
        for keeper in stores.having(Upkeep)
    ]
    pruning = Pruning(
        blobs=tuple(digest for item in done for digest in item.blobs),
        leftovers=sum(item.leftovers for item in done),
        bundles=sum(item.bundles for item in done),
        freed_bytes=sum(item.freed_bytes for item in done),
    )
    if as_json:
        print_json(PruningDocument.from_domain(pruning, dry_run=dry_run))
        return
    would = "would delete" if dry_run else "deleted"
    for digest in pruning.blobs:
        click.echo(f"{would} {digest}")
    if pruning.leftovers:
        click.echo(f"{would} {pruning.leftovers} leftovers of transfers")
    if pruning.bundles:
        click.echo(f"{would} {pruning.bundles} folders of models that are gone")
    click.echo(f"{'would free' if dry_run else 'freed'} {size_text(pruning.freed_bytes)}")
