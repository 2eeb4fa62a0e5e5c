"""`stoker rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json
from stoker.cli.quantities import size_text
from stoker.errors import InUseError

if TYPE_CHECKING:
    from stoker.application import Application
    from stoker.artifact import Artifact


@click.command("rm")
@click.argument("names", metavar="REF...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print what was removed as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, names: tuple[str, ...], as_json: bool) -> None:
    """Remove models.

    Removes the names, and the files that no other name needs. A model that the running server
    has loaded stays: `stoker stop` unloads it.
    """
    from stoker.cli.wire.models import RemovalDocument

    application = invocation.application()
    stores = application.stores
    # All are looked up before any is removed, so that a wrong name removes nothing.
    artifacts = [stores.resolve(name) for name in names]
    _refuse_loaded(application, artifacts)
    removals = [stores.of(item.reference).remove(item.reference) for item in artifacts]
    document = RemovalDocument(
        untagged=tuple(item.familiar for removal in removals for item in removal.untagged),
        deleted=tuple(str(item) for removal in removals for item in removal.deleted),
        freed_bytes=sum(removal.freed_bytes for removal in removals),
    )
    if as_json:
        print_json(document)
        return
    for name in document.untagged:
        click.echo(f"untagged {name}")
    for digest in document.deleted:
        click.echo(f"deleted {digest}")
    click.echo(f"freed {size_text(document.freed_bytes)}")


def _refuse_loaded(application: Application, artifacts: list[Artifact]) -> None:
    """See that no file goes that a runner of the server reads.

    Raises:
        InUseError: The server has one of the models loaded, and no other name keeps its files.
    """
    from stoker.cli.running_server import find_server

    server = find_server(application.settings.home)
    loaded = {runner.digest for runner in server.runners} if server else set()
    going = {item.reference for item in artifacts}
    kept = {
        (item.store, item.digest)
        for item in (application.stores.list() if loaded else ())
        if item.reference not in going
    }
    for item in artifacts:
        if item.digest in loaded and (item.store, item.digest) not in kept:
            name = item.reference.familiar
            raise InUseError(f"{name} is loaded by the running server: first `stoker stop {name}`.")
