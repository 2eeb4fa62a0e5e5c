"""A store that copies models out of a folder, and keeps every promise: for tests of the kit."""

from __future__ import annotations

from pathlib import Path

from stoker.artifact import Artifact
from stoker.digest import Digest
from stoker.errors import IntegrityError, ModelNotFoundError
from stoker.folder_store import FetchedModel, FolderStore
from stoker.formats import FormatRule, FormatTable
from stoker.layer_file import write_layer
from stoker.media_types import GGUF, MediaType, Role
from stoker.reference import Reference
from stoker.store import ReportProgress

LICENSE = MediaType("application/vnd.example.license")
RULES = (FormatRule(Role.WEIGHTS, media_type=GGUF), FormatRule(Role.LICENSE, media_type=LICENSE))


def make_source(folder: Path) -> None:
    """A folder with the model `tiny`, and with `damaged`, whose digest is not that of its bytes."""
    for name, data in (("tiny", b"weights" * 5000), ("damaged", b"other weights" * 5000)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "weights").write_bytes(data)
        (folder / name / "digest").write_text(str(Digest.of(b"weights" * 5000)))
        (folder / name / "license").write_bytes(b"Free.")


class CopyStore(FolderStore):
    """Models by references like `copy:tiny`."""

    checks = True

    def __init__(self, directory: Path, source: Path) -> None:
        super().__init__(directory, FormatTable.of(RULES), name="copy", scheme="copy")
        self._source = source
        self._removed: list[Artifact] = []

    def canonical(self, reference: Reference) -> Reference:
        return reference

    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        folder = self._source / reference.repository
        if not folder.is_dir():
            raise ModelNotFoundError(f"{reference} is nowhere.", model=str(reference))
        layers = []
        for name, media_type in (("weights", GGUF), ("license", LICENSE)):
            with (folder / name).open("rb") as data:
                layers.append(
                    write_layer(
                        data,
                        files,
                        name,
                        media_type,
                        size_bytes=(folder / name).stat().st_size,
                        stage="copying",
                        progress=progress,
                    )
                )
        if self.checks and str(layers[0].digest) != (folder / "digest").read_text():
            raise IntegrityError(f"{reference} is damaged.")
        return FetchedModel(tuple(layers))
