"""`stoker list`."""

from __future__ import annotations

import time

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json, print_table
from stoker.cli.quantities import age_text, size_text

_HEADER = (
    "NAME",
    "DIGEST",
    "SIZE",
    "FORMAT",
    "PARAMETERS",
    "QUANTIZATION",
    "ARCHITECTURE",
    "CONTEXT",
    "STORE",
    "CREATED",
)
_SPARE = (
    "ARCHITECTURE",
    "CONTEXT",
    "STORE",
    "FORMAT",
    "QUANTIZATION",
    "PARAMETERS",
    "DIGEST",
)


@click.command("list")
@click.option("-q", "--quiet", is_flag=True, help="Print names only.")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, quiet: bool, as_json: bool) -> None:
    """List the models that are here."""
    artifacts = invocation.application().stores.list()
    if as_json:
        from stoker.cli.wire.models import ModelDocument

        print_json([ModelDocument.from_domain(artifact) for artifact in artifacts])
        return
    if quiet:
        for artifact in artifacts:
            click.echo(artifact.reference.familiar)
        return
    now_s = time.time()
    print_table(
        _HEADER,
        [
            (
                artifact.reference.familiar,
                artifact.digest.short,
                size_text(artifact.manifest.size_bytes),
                artifact.facts.format or "",
                artifact.facts.parameters or "",
                artifact.facts.quantization or "",
                artifact.facts.architecture or "",
                str(artifact.facts.context_length or ""),
                artifact.store,
                age_text(artifact.created_s, now_s),
            )
            for artifact in artifacts
        ],
        spare=_SPARE,
    )
    if not artifacts:
        note("there are no models yet; `stoker pull ai/smollm2` fetches one")
