"""`stoker package`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli.failure import note
from stoker.cli.invocation import Invocation
from stoker.cli.output import print_json
from stoker.cli.progress import transfer_progress
from stoker.errors import InvalidInputError
from stoker.media_types import GGUF, MediaType, Role

if TYPE_CHECKING:
    from stoker.application import Application
    from stoker.store import PackageSource

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_CARRIED = (Role.WEIGHTS, Role.CHAT_TEMPLATE, Role.LICENSE, Role.PROJECTOR)
_OF_FOLDERS = {Role.CONFIG, Role.TOKENIZER}
_DISPENSABLE = (Role.DOC, Role.OTHER)
"""A model runs the same without these."""


@click.command("package")
@click.argument("name", metavar="REF")
@click.option(
    "--weights",
    metavar="FILE",
    type=_FILE,
    multiple=True,
    help="The weights; once per shard, in order.",
)
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with the model, instead of --weights: all its files are taken.",
)
@click.option(
    "--media-type",
    metavar="TYPE",
    help="Of the weights, for a plugin's own; without it they must be GGUF files.",
)
@click.option("--from", "origin", metavar="REF", help="Take the files of this model of any store.")
@click.option(
    "--format",
    "artifact_format",
    type=click.Choice(["docker", "modelpack"]),
    default="docker",
    show_default=True,
    help="The kind of artifact to write.",
)
@click.option("--chat-template", metavar="FILE", type=_FILE, help="A Jinja chat template.")
@click.option(
    "--license",
    "licenses",
    metavar="FILE",
    type=_FILE,
    multiple=True,
    help="A licence. May be given several times.",
)
@click.option("--projector", metavar="FILE", type=_FILE, help="A vision model's projector.")
@click.option("--push", is_flag=True, help="Then send it to the registry in its name.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the model as JSON.")
@click.pass_obj
def command(
    invocation: Invocation,
    *,
    name: str,
    weights: tuple[Path, ...],
    directory: Path | None,
    media_type: str | None,
    origin: str | None,
    artifact_format: str,
    chat_template: Path | None,
    licenses: tuple[Path, ...],
    projector: Path | None,
    push: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make a model from files.

    The files are given one by one, or taken from another model with --from; files that are given
    besides replace that model's. The same files always make the same digest, which is printed.
    """
    from stoker.cli.wire.models import ModelDocument
    from stoker.store import PackageSource

    if not weights and directory is None and origin is None:
        raise click.UsageError(
            "Say what to package: --weights FILE, --directory DIR or --from REF."
        )
    if directory is not None and origin is not None:
        raise click.UsageError("A model is either in a --directory or taken --from another one.")
    application = invocation.application()
    reference = application.stores.parse(name)
    store = application.stores.writable(reference)
    base = PackageSource(weights=()) if origin is None else _files_of(application, origin)
    source = PackageSource(
        weights=weights or base.weights,
        directory=directory or (None if weights else base.directory),
        media_type=MediaType(media_type) if media_type else base.media_type,
        chat_template=chat_template or base.chat_template,
        licenses=licenses or base.licenses,
        projector=projector or base.projector,
        format=artifact_format,
    )
    with transfer_progress(quiet=quiet) as progress:
        artifact = store.package(reference, source, progress)
        if push:
            store.push(reference, progress)
    if as_json:
        print_json(ModelDocument.from_domain(artifact))
    else:
        click.echo(artifact.digest)


def _files_of(application: Application, name: str) -> PackageSource:
    """The files of a model that is here.

    Raises:
        ModelNotFoundError: It is not here.
        InvalidInputError: It has files that a package cannot carry, and that it needs.
    """
    from stoker.store import PackageSource

    artifact = application.stores.resolve(name)
    bundle = application.stores.of(artifact.reference).open(artifact)
    if bundle.weights and {item.role for item in bundle.files} & _OF_FOLDERS:
        # Such a model is one only with all of its files, under the names that they have.
        return PackageSource(
            directory=Path(os.path.commonpath([f.path.parent for f in bundle.files]))
        )
    for item in bundle.files:
        if item.role in _DISPENSABLE:
            note(f"left out {item.path.name} ({item.role}), which a package does not carry")
        elif item.role not in _CARRIED:
            raise InvalidInputError(
                f"{artifact.reference.familiar} needs {item.path.name} ({item.role}), which a"
                " package cannot carry."
            )
    for role in (Role.CHAT_TEMPLATE, Role.PROJECTOR):
        if len(bundle.paths(role)) > 1:
            raise InvalidInputError(
                f"{artifact.reference.familiar} has several files with the role {role}, of which"
                " a package can carry one: give the one to take."
            )
    media_types = {item.media_type for item in bundle.files if item.role is Role.WEIGHTS}
    if len(media_types) > 1:
        raise InvalidInputError(
            f"{artifact.reference.familiar} mixes weights of several kinds, of which a package can"
            " carry one: give the --weights to take."
        )
    media_type = next(iter(media_types), None)
    return PackageSource(
        weights=bundle.weights,
        media_type=None if media_type == GGUF else media_type,
        chat_template=bundle.chat_template,
        licenses=bundle.paths(Role.LICENSE),
        projector=next(iter(bundle.paths(Role.PROJECTOR)), None),
    )
