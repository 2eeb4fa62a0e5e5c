"""`stoker plugins new`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option("--kind", metavar="KIND", required=True, help="backend, store or transport.")
@click.option(
    "--directory",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to make the project's folder; the current one unless said.",
)
def command(*, name: str, kind: str, directory: Path) -> None:
    """Write the project of a new plugin, which works at once.

    The folder stoker-NAME gets a package with a small plugin, its contract tests and what pip needs
    to install it. Replace its inside by yours, and run the tests.
    """
    from stoker.plugin_template import write_project

    project = write_project(name, kind, directory)
    for file in project.files:
        click.echo(project.folder / file)
    click.echo("\nNext:", err=True)
    for line in (f"cd {project.folder}", "pip install -e '.[test]'", "pytest", *project.steps):
        click.echo(f"  {line}", err=True)
