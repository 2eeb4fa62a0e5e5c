"""A store for tests: a model is a text file in the format of the backend `faulty`.

The "registry" is a folder too, named by the option `remote`.
"""

from __future__ import annotations

import shutil
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

import stoker
from stoker.artifact import Artifact, BundleFile, ModelBundle, ModelFacts
from stoker.digest import Digest
from stoker.errors import AccessDeniedError, ModelNotFoundError, TransferError
from stoker.logins import Login, LoginKeeper
from stoker.manifest import ANNOTATION_FILE_PATH, Descriptor, Manifest
from stoker.media_types import MediaType
from stoker.reference import Reference
from stoker.store import (
    PackageSource,
    Progress,
    Removal,
    ReportProgress,
    StoreContext,
    StoreSpec,
    WritableStore,
)
from stoker.wire.manifest import encode_manifest

MEDIA_TYPE = MediaType("application/vnd.stoker.test.faulty")


class ShelfOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where models are pulled from and pushed to."""

    remote: str = ""
    media_type: str = str(MEDIA_TYPE)
    """What the weights are said to be."""


class ShelfStore(WritableStore, LoginKeeper):
    """Text files, named by their references."""

    def __init__(self, context: StoreContext) -> None:
        options: Any = context.options
        self._here = context.directory
        self._remote = Path(options.remote) if options.remote else None
        self._media_type = MediaType(options.media_type)
        self._formats = context.formats

    def resolve(self, reference: Reference) -> Artifact:
        return self._artifact(self._here, reference)

    def resolve_remote(self, reference: Reference) -> Artifact:
        return self._artifact(self._far(), reference)

    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        self._artifact(self._far(), reference)
        return self._copy(_file(self._far(), reference), reference, "pulling", progress)

    def list(self) -> Sequence[Artifact]:
        names = [urllib.parse.unquote(path.stem) for path in self._here.glob("*.txt")]
        return [self.resolve(Reference.parse(name)) for name in sorted(names)]

    def open(self, artifact: Artifact) -> ModelBundle:
        files = tuple(
            BundleFile(_file(self._here, artifact.reference), layer.role, layer.media_type)
            for layer in self._formats.layers(artifact)
        )
        return ModelBundle(artifact.reference, artifact.digest, files)

    def remove(self, reference: Reference) -> Removal:
        artifact = self.resolve(reference)
        _file(self._here, reference).unlink()
        if artifact.digest in {other.digest for other in self.list()}:
            return Removal((reference,), (), 0)
        return Removal((reference,), (artifact.digest,), artifact.manifest.size_bytes)

    def package(
        self, reference: Reference, source: PackageSource, progress: ReportProgress
    ) -> Artifact:
        return self._copy(source.weights[0], reference, "packaging", progress)

    def tag(self, source: Reference, target: Reference) -> Artifact:
        self.resolve(source)
        shutil.copyfile(_file(self._here, source), _file(self._here, target))
        return self.resolve(target)

    def push(self, reference: Reference, progress: ReportProgress) -> Digest:
        artifact = self.resolve(reference)
        shutil.copyfile(_file(self._here, reference), _file(self._far(), reference))
        progress(Progress("pushing", reference.repository, 1, 1))
        return artifact.digest

    def log_in(self, registry: str, *, username: str, password: str) -> Login:
        if password == "wrong":
            raise AccessDeniedError(f"{registry} does not take this password.")
        self._here.mkdir(parents=True, exist_ok=True)
        place = self._here / f"{registry}.login"
        place.write_text(f"{username}:{password}")
        return Login(registry, "the shelf", is_verified=registry != "open.example")

    def log_out(self, registry: str) -> bool:
        place = self._here / f"{registry}.login"
        was_kept = place.exists()
        place.unlink(missing_ok=True)
        return was_kept

    def _far(self) -> Path:
        if self._remote is None:
            raise TransferError("The registry cannot be reached: set stores.shelf.remote.")
        return self._remote

    def _copy(
        self, path: Path, reference: Reference, stage: str, progress: ReportProgress
    ) -> Artifact:
        data = path.read_bytes()
        for done in range(0, len(data) + 1, max(1, len(data) // 100)):
            progress(Progress(stage, path.name, done, len(data)))
        progress(Progress(stage, path.name, len(data), len(data)))
        self._here.mkdir(parents=True, exist_ok=True)
        _file(self._here, reference).write_bytes(data)
        return self.resolve(reference)

    def _artifact(self, folder: Path, reference: Reference) -> Artifact:
        path = _file(folder, reference)
        if not path.is_file():
            raise ModelNotFoundError(
                f"{reference.familiar} is not here: `stoker pull {reference.familiar}` fetches it.",
                model=reference.familiar,
            )
        data = path.read_bytes()
        layer = Descriptor(
            self._media_type, Digest.of(data), len(data), {ANNOTATION_FILE_PATH: "words.txt"}
        )
        config = Descriptor(MediaType("application/json"), Digest.of(b"{}"), 2)
        manifest = Manifest(config, (layer,), annotations={"test.note": "[a] note"})
        return Artifact(
            reference,
            Digest.of(encode_manifest(manifest)),
            manifest,
            ModelFacts(format="words", parameters=str(len(data.split()))),
            store="shelf",
            created_s=path.stat().st_mtime,
        )


def _file(folder: Path, reference: Reference) -> Path:
    return folder / f"{urllib.parse.quote(str(reference), safe='')}.txt"


@stoker.hookimpl
def stoker_register_stores() -> list[StoreSpec]:
    return [StoreSpec("shelf", ShelfStore, options_type=ShelfOptions)]
