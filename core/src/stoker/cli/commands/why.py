"""`stoker why`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.cli.layer_table import print_layers
from stoker.cli.output import print_facts, print_json, print_table
from stoker.errors import ModelNotFoundError

if TYPE_CHECKING:
    from stoker.artifact import Artifact
    from stoker.selection import Decision


@click.command("why")
@click.argument("name", metavar="REF")
@click.option("--backend", metavar="NAME", help="As if a request had pinned this backend.")
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, name: str, backend: str | None, as_json: bool) -> None:
    """Show which backend a model gets, and why.

    Shows the model's layers, what they truly are, every backend that could run them, which one
    won and by which rule. A model that is not here is looked up where `pull` would take it from.
    """
    from stoker.cli.wire.decision import WhyDocument

    application = invocation.application()
    reference = application.stores.parse(name)
    store = application.stores.of(reference)
    local = True
    try:
        artifact = store.resolve(reference)
    except ModelNotFoundError:
        note(f"{reference.familiar} is not here; looking where `stoker pull` would take it from")
        artifact = store.resolve_remote(reference)
        local = False
    decision = application.decide(artifact, backend=backend)
    if as_json:
        print_json(WhyDocument.from_domain(artifact, decision, local=local))
    else:
        _print(artifact, decision, local=local)
    if decision.problem is not None:
        raise decision.problem


def _print(artifact: Artifact, decision: Decision, *, local: bool) -> None:
    print_facts(
        {
            "Model": str(artifact.reference),
            "Digest": str(artifact.digest),
            "Found": f"here, in store {artifact.store}"
            if local
            else "not here; where `stoker pull` would take it from",
            "Weights": decision.media_type or "unknown",
        }
    )
    click.echo()
    print_layers(decision.layers)
    click.echo()
    if decision.bids:
        print_table(
            ("BACKEND", "PRIORITY", "AVAILABLE", "REASON"),
            [
                (
                    bid.backend,
                    str(bid.priority),
                    "yes" if bid.availability.available else "no",
                    bid.availability.reason,
                )
                for bid in decision.bids
            ],
        )
        click.echo()
    if decision.backend is not None:
        click.echo(f"Chosen: {decision.backend.name} ({decision.rule})")
    else:
        click.echo("Chosen: none")
