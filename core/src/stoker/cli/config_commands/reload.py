"""`stoker config reload`."""

from __future__ import annotations

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation


@click.command("reload")
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Have the running server read its configuration again.

    What is wrong in it is said, and the old one stays in force. Running answers are not touched.
    A SIGHUP to the server does the same.
    """
    from stoker.cli.running_server import reload
    from stoker.config.sources import home_directory

    del invocation
    changed, needs_restart = reload(home_directory())
    for key in changed:
        click.echo(f"changed {key}")
    if not changed:
        note("nothing has changed")
    if needs_restart:
        note(f"only after a restart: {', '.join(needs_restart)}")
