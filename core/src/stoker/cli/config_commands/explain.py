"""`stoker config explain`."""

from __future__ import annotations

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.cli.setting_table import print_settings


@click.command("explain")
@click.argument("name", metavar="REF")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, name: str, as_json: bool) -> None:
    """Show the settings that hold for one model, and where each comes from.

    Among them are the options of the backend that the model gets. `stoker why` says why it gets
    that one.
    """
    from stoker.config_check import model_settings

    found, rules = model_settings(invocation.application(), name)
    if rules and not as_json:
        note(f"tables about it, the last one wins: {', '.join(rules)}")
    print_settings(found, as_json=as_json)
