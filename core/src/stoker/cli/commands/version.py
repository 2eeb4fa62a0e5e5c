"""`stoker version`."""

from __future__ import annotations

import click

from stoker.cli.output import print_facts, print_json
from stoker.version import __version__


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def command(*, as_json: bool) -> None:
    """Show versions, for reports of problems.

    No plugin is loaded for it, so it works whatever is wrong with them.
    """
    import platform
    from importlib import metadata

    from stoker.cli.wire.version import VersionDocument
    from stoker.hookspecs import ENTRY_POINT_GROUP

    found = {
        entry_point.dist.name: entry_point.dist.version
        for entry_point in metadata.entry_points(group=ENTRY_POINT_GROUP)
        if entry_point.dist is not None
    }
    document = VersionDocument(
        stoker=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        distributions=dict(sorted(found.items())),
    )
    if as_json:
        print_json(document)
        return
    print_facts(
        {
            "stoker": document.stoker,
            "Python": document.python,
            "Platform": document.platform,
            **document.distributions,
        }
    )
