"""`stoker why`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.cli.layer_table import print_layers
from stoker.cli.memory_table import print_memory
from stoker.cli.output import print_facts, print_json, print_table
from stoker.errors import ModelNotFoundError, StokerError

if TYPE_CHECKING:
    from stoker.application import Application
    from stoker.artifact import Artifact
    from stoker.memory.plan import MemoryPlan
    from stoker.selection import Decision


@click.command("why")
@click.argument("name", metavar="REF")
@click.option("--backend", metavar="NAME", help="As if a request had pinned this backend.")
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, name: str, backend: str | None, as_json: bool) -> None:
    """Show which backend a model gets, and what it will take in memory, and why.

    Shows the model's layers, what they truly are, every backend that could run them, which one
    won and by which rule; then the length of its context and its memory against the budget. A
    model that is not here is looked up where `pull` would take it from, and has no memory plan.
    """
    from stoker.cli.wire.decision import WhyDocument

    application = invocation.application()
    alias = application.alias(name)
    if alias is not None:
        note(f"{alias.name} is an alias of {alias.model}")
    reference = application.stores.parse(name if alias is None else alias.model)
    store = application.stores.of(reference)
    local = True
    try:
        artifact = store.resolve(reference)
    except ModelNotFoundError:
        note(f"{reference.familiar} is not here; looking where `stoker pull` would take it from")
        artifact = store.resolve_remote(reference)
        local = False
    decision = application.decide(artifact, backend=backend)
    memory = _memory(application, artifact, backend) if local and decision.backend else None
    if as_json:
        print_json(WhyDocument.from_domain(artifact, decision, memory, local=local))
    else:
        _print(artifact, decision, memory, local=local)
    if decision.problem is not None:
        raise decision.problem
    if memory is not None:
        memory.require(reference.familiar)


def _memory(application: Application, artifact: Artifact, backend: str | None) -> MemoryPlan | None:
    """The plan, if one can be made; what keeps it from being made is said."""
    try:
        return application.plan(artifact, backend=backend).memory
    except StokerError as exc:
        note(f"its memory cannot be planned: {exc.message}")
        return None


def _print(
    artifact: Artifact, decision: Decision, memory: MemoryPlan | None, *, local: bool
) -> None:
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
    if memory is not None:
        click.echo()
        print_memory(memory)
