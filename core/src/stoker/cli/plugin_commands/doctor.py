"""`stoker plugins doctor`."""

from __future__ import annotations

import click

from stoker.cli.exit_codes import DAMAGED
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(context: click.Context, /, *, as_json: bool) -> None:
    """Say what is wrong with the plugins, and what to do.

    Looks for plugins that failed, need something that is not installed, cannot work here or are
    slow to import. Ends with exit code 1 when one does not work.
    """
    from stoker.cli.wire.plugins import FindingDocument
    from stoker.plugin_checkup import Severity, check_up

    invocation: Invocation = context.obj
    application = invocation.application()
    found = check_up(application.plugins, application.settings)
    if as_json:
        print_json([FindingDocument.from_domain(finding) for finding in found])
    else:
        for finding in found:
            click.echo(f"{finding.severity}: {finding.subject} {finding.summary}")
            click.echo(f"  -> {finding.remedy}")
        wrong = sum(finding.severity is not Severity.NOTE for finding in found)
        count = len(application.plugins.plugins)
        click.echo(f"{count} plugins, {wrong} problems" if wrong else f"{count} plugins, all well")
    if any(finding.severity is Severity.ERROR for finding in found):
        context.exit(DAMAGED)
