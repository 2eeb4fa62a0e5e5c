"""`stoker verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.cli.exit_codes import DAMAGED
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json
from stoker.cli.progress import transfer_progress
from stoker.cli.quantities import size_text

if TYPE_CHECKING:
    from stoker.upkeep import Damage


@click.command("verify")
@click.argument("name", metavar="[REF]", required=False)
@click.option("--repair", is_flag=True, help="Fetch again what is damaged or missing.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(
    context: click.Context, /, *, name: str | None, repair: bool, quiet: bool, as_json: bool
) -> None:
    """Check that models are still what was fetched.

    Hashes every file again: those of one model, or all that are here. Ends with exit code 1 when
    something is damaged and was not repaired.
    """
    from stoker.cli.wire.upkeep import VerificationDocument
    from stoker.upkeep import Upkeep, Verification

    invocation: Invocation = context.obj
    stores = invocation.application().stores
    reference = None if name is None else stores.parse(name)
    if reference is None:
        keepers = list(stores.having(Upkeep))
    else:
        keepers = [stores.offering(reference, Upkeep)]
    with transfer_progress(quiet=quiet) as progress:
        found = [keeper.verify(reference, progress, repair=repair) for keeper in keepers]
    verification = Verification(
        sum(item.checked_blobs for item in found),
        sum(item.checked_bytes for item in found),
        tuple(damage for item in found for damage in item.damages),
    )
    if as_json:
        print_json(VerificationDocument.from_domain(verification))
    else:
        for damage in verification.damages:
            click.echo(_line(damage))
        count, size = verification.checked_blobs, size_text(verification.checked_bytes)
        damaged = sum(not damage.is_repaired for damage in verification.damages)
        repaired = len(verification.damages) - damaged
        click.echo(f"checked {count} files, {size}: {damaged} damaged, {repaired} repaired")
        if damaged and not repair:
            click.echo("`stoker verify --repair` fetches them again.")
    if not verification.is_clean:
        context.exit(DAMAGED)


def _line(damage: Damage) -> str:
    names = ", ".join(model.familiar for model in damage.models) or "no model"
    text = f"{damage.item} of {names} {damage.problem} ({damage.digest})"
    return f"{text}: {damage.remark}" if damage.remark else text
