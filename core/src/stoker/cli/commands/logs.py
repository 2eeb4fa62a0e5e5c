"""`stoker logs`."""

from __future__ import annotations

import sys

import click

from stoker.cli.invocation import Invocation

_INTERVAL_S = 0.5


@click.command("logs")
@click.argument("name", metavar="REF")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "-n", "--tail", metavar="N", type=click.IntRange(min=0), help="The last N lines only."
)
@click.pass_obj
def command(invocation: Invocation, *, name: str, follow: bool, tail: int | None) -> None:
    """Show what the engine of a model printed in the running server.

    The server keeps the last lines of each model, also when it was unloaded or has crashed.
    """
    import time

    from stoker.cli.running_server import engine_log

    application = invocation.application()
    # A name that is not here at all is a mistake, not a model that has said nothing.
    application.resolve(name)
    home = application.settings.home
    found = engine_log(home, name, 0)
    lines = found.lines if tail is None else found.lines[max(len(found.lines) - tail, 0) :]
    _show(lines)
    while follow:
        time.sleep(_INTERVAL_S)
        found = engine_log(home, name, found.next)
        _show(found.lines)


def _show(lines: tuple[str, ...]) -> None:
    for line in lines:
        click.echo(line)
    sys.stdout.flush()
