"""`stoker config check`."""

from __future__ import annotations

import click

from stoker.cli.exit_codes import INVALID_INPUT
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(context: click.Context, /, *, as_json: bool) -> None:
    """Check the whole configuration, options of plugins included.

    Ends with exit code 2 when something in it is wrong. Tables of plugins that are not installed
    are remarks.
    """
    from stoker.cli.wire.plugins import FindingDocument
    from stoker.config_check import check_config
    from stoker.plugin_checkup import Severity

    invocation: Invocation = context.obj
    found = check_config(invocation.application())
    if as_json:
        print_json([FindingDocument.from_domain(finding) for finding in found])
    else:
        for finding in found:
            click.echo(f"{finding.severity}: {finding.subject}: {finding.summary}")
            click.echo(f"  -> {finding.remedy}")
        if not found:
            click.echo("the configuration is right")
    if any(finding.severity is Severity.ERROR for finding in found):
        context.exit(INVALID_INPUT)
