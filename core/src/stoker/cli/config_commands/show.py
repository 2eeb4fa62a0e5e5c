"""`stoker config show`."""

from __future__ import annotations

import click

from stoker.cli.invocation import Invocation
from stoker.cli.setting_table import print_settings


@click.command("show")
@click.argument("prefix", metavar="[KEY]", required=False)
@click.option("--changed", is_flag=True, help="Leave out what has its default.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def command(invocation: Invocation, *, prefix: str | None, changed: bool, as_json: bool) -> None:
    """Show every setting, its effective value and where that comes from.

    Settings of installed plugins are shown, too. KEY narrows it to a table, like `backends`.
    """
    from stoker.config.effective import DEFAULT
    from stoker.config_check import all_settings

    found = [
        item
        for item in all_settings(invocation.application())
        if (prefix is None or item.key == prefix or item.key.startswith(f"{prefix}."))
        and not (changed and item.origin == DEFAULT)
    ]
    print_settings(found, as_json=as_json)
