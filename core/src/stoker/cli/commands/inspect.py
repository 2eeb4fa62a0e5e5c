"""`stoker inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from stoker.cli.invocation import Invocation
from stoker.cli.layer_table import print_layers
from stoker.cli.output import print_facts, print_json
from stoker.cli.quantities import size_text
from stoker.media_types import Role

if TYPE_CHECKING:
    from stoker.artifact import Layer


@click.command("inspect")
@click.argument("name", metavar="REF")
@click.option("--remote", is_flag=True, help="Look where `pull` would take it from.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, name: str, remote: bool, as_json: bool) -> None:
    """Show a model's manifest, facts and layers."""
    from stoker.cli.wire.models import InspectDocument

    application = invocation.application()
    reference = application.stores.parse(name)
    store = application.stores.of(reference)
    artifact = store.resolve_remote(reference) if remote else store.resolve(reference)
    layers = application.plugins.formats.layers(artifact)
    if as_json:
        print_json(InspectDocument.from_domain(artifact, layers))
        return
    manifest, facts = artifact.manifest, artifact.facts
    print_facts(
        {
            "Name": str(artifact.reference),
            "Digest": str(artifact.digest),
            "Store": artifact.store,
            "Size": size_text(manifest.size_bytes),
            "Manifest": str(manifest.media_type),
            "Artifact type": manifest.artifact_type,
            "Config": f"{manifest.config.media_type} {manifest.config.digest}",
            "Format": facts.format,
            "Architecture": facts.architecture,
            "Parameters": facts.parameters,
            "Quantization": facts.quantization,
            "Context length": facts.context_length,
            "Chat template": _yes_or_no(facts.has_chat_template),
            "License": facts.license or _license_files(layers),
            **dict(sorted(manifest.annotations.items())),
        }
    )
    click.echo()
    print_layers(layers)


def _yes_or_no(answer: bool | None) -> str | None:
    return None if answer is None else "yes" if answer else "no"


def _license_files(layers: Sequence[Layer]) -> str:
    """Where the licence can be read, when nobody said its name."""
    return ", ".join(
        layer.descriptor.file_path or layer.descriptor.digest.short
        for layer in layers
        if layer.role is Role.LICENSE
    )
