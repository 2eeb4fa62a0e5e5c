"""`stoker stop`."""

from __future__ import annotations

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation


@click.command("stop")
@click.argument("names", metavar="REF...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Unload every model.")
@click.pass_obj
def command(invocation: Invocation, *, names: tuple[str, ...], everything: bool) -> None:
    """Unload models from the running server.

    Requests that a model is answering fail. The next request loads it again.
    """
    from stoker.cli.running_server import find_server, unload

    if bool(names) == everything:
        raise click.UsageError("Say which models, or --all.")
    application = invocation.application()
    home = application.settings.home
    if everything:
        server = find_server(home)
        # A model that two backends have loaded has two runners.
        names = tuple(dict.fromkeys(runner.model for runner in server.runners)) if server else ()
    else:
        for name in names:
            # A name that is not here at all is a mistake, not a model that is unloaded already.
            application.resolve(name)
    for name in names:
        if unload(home, name):
            click.echo(f"unloaded {name}")
        else:
            note(f"{name} is not loaded")
