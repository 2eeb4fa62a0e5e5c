"""`stoker ps`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json, print_table
from stoker.cli.quantities import duration_text
from stoker.memory.size import memory_text

if TYPE_CHECKING:
    from stoker.host import RunnerStatus

_HEADER = (
    "MODEL",
    "BACKEND",
    "STATE",
    "CONTEXT",
    "MEMORY",
    "RUNNING",
    "WAITING",
    "TOKENS/S",
    "DEVICES",
    "PID",
    "UNTIL",
)
_SPARE = ("PID", "DEVICES", "CONTEXT", "TOKENS/S", "BACKEND")


@click.command("ps")
@click.option("--json", "as_json", is_flag=True, help="Print the server and its models as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, as_json: bool) -> None:
    """Show the loaded models of the running server."""
    from stoker.cli.running_server import find_server
    from stoker.cli.wire.server import ServerDocument

    server = find_server(invocation.application().settings.home)
    if server is None:
        note("no server is running for this home; `stoker serve` starts one")
    if as_json:
        print_json(ServerDocument.from_domain(server))
    elif server is not None:
        print_table(
            _HEADER,
            [
                (
                    runner.model,
                    runner.backend,
                    runner.state,
                    str(runner.context_length or ""),
                    memory_text(runner.planned_bytes),
                    str(runner.running),
                    str(len(runner.waiting)),
                    "" if runner.tokens_per_s is None else f"{runner.tokens_per_s:.1f}",
                    ", ".join(runner.devices),
                    str(runner.pid or ""),
                    _until(runner),
                )
                for runner in server.runners
            ],
            spare=_SPARE,
        )


def _until(runner: RunnerStatus) -> str:
    if runner.expires_in_s is not None:
        return f"in {duration_text(runner.expires_in_s)}"
    return "pinned" if runner.pinned else ""
