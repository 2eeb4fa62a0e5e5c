"""A base for stores of models that are on this machine already and are used where they are.

A model is taken once: its files are hashed, and the store keeps its manifest and links to them. So
it has a digest like any other, and only what was taken can be loaded: a name that a stranger
makes up leads to no file. A file that was changed since is refused until it is taken again.
"""

from __future__ import annotations

import abc
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import attrs

from stoker.artifact import Artifact, ModelBundle
from stoker.digest import Digest
from stoker.errors import IntegrityError, InvalidArtifactError, InvalidInputError
from stoker.folder_store import FetchedModel, FolderStore
from stoker.layer_file import check_file_path
from stoker.manifest import Descriptor
from stoker.meter import Meter
from stoker.reference import Reference
from stoker.store import PackageSource, ReportProgress
from stoker_registry.blobs import CHUNK_BYTES
from stoker_registry.packaging import plan_package

_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
"""How llama.cpp calls the shards of a model."""
_MAX_SHARDS = 1000
_NS_PER_US = 1000


class LinkedStore(FolderStore):
    """Models that are elsewhere on this machine, under links."""

    @abc.abstractmethod
    def locate(self, reference: Reference) -> Path:
        """Where a model is: a GGUF file, or a folder. It exists.

        Args:
            reference: A canonical one.

        Raises:
            ModelNotFoundError: There is nothing.
            InvalidInputError: It leads to something else than it seems.
        """

    def fetch(
        self, reference: Reference, files: Path, scratch: Path, progress: ReportProgress
    ) -> FetchedModel:
        """Hash a model's files, and link to them.

        Raises:
            ModelNotFoundError: There is nothing.
            InvalidInputError: It is no model, or cannot be read.
            InvalidArtifactError: A file is not what it should be.
            IntegrityError: A file was changed meanwhile.
        """
        del scratch
        place = self.locate(reference)
        if place.is_dir():
            plan = plan_package(PackageSource(directory=place))
        else:
            plan = plan_package(PackageSource(_shards(place)))
        names = [file.name for file in plan.files]
        if not place.is_dir():
            names = _safe_names(names)
        layers = []
        for file, name in zip(plan.files, names, strict=True):
            check_file_path(name)
            digest, size_bytes, mtime_ns = _hash(file.path, name, progress)
            link = files / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.path.absolute())
            # A link's own time is that of its file when it was hashed: see `is_current`.
            os.utime(link, ns=(mtime_ns, mtime_ns), follow_symlinks=False)
            layers.append(plan.layer(attrs.evolve(file, name=name), digest, size_bytes))
        return FetchedModel(tuple(layers), plan.facts)

    def is_current(self, files: Path, layers: Sequence[Descriptor]) -> bool:
        """Whether no file was written since it was taken."""
        # Some file systems keep less than nanoseconds.
        return all(
            link.lstat().st_mtime_ns // _NS_PER_US == link.stat().st_mtime_ns // _NS_PER_US
            for link in (files / (layer.file_path or "") for layer in layers)
        )

    def open(self, artifact: Artifact) -> ModelBundle:
        """Give the model's files.

        Raises:
            ModelNotFoundError: It was never taken, or removed.
            InvalidArtifactError: A file is gone or was changed.
        """
        current = self.resolve(artifact.reference)
        if not self.is_complete(current.digest, current.manifest):
            raise InvalidArtifactError(
                f"The files of {artifact.reference} were changed or moved since stoker took them:"
                f" `stoker pull {artifact.reference}` takes them as they are now."
            )
        return super().open(artifact)


def _shards(path: Path) -> tuple[Path, ...]:
    """The file, and its shards where it is the first of some."""
    match = _SHARD.fullmatch(path.name)
    if match is None or not 1 < int(match["count"]) <= _MAX_SHARDS:
        return (path,)
    return tuple(
        path.with_name(f"{match['stem']}-{number:05}-of-{match['count']}.gguf")
        for number in range(1, int(match["count"]) + 1)
    )


def _safe_names(names: Sequence[str]) -> list[str]:
    """The names of weights, or plain ones where a file system might mind those."""
    try:
        for name in names:
            check_file_path(name)
    except InvalidArtifactError:
        if len(names) == 1:
            return ["model.gguf"]
        count = len(names)
        return [f"model-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)]
    return list(names)


def _hash(path: Path, item: str, report: ReportProgress) -> tuple[Digest, int, int]:
    """A file's digest, its size, and when it was written."""
    hasher = hashlib.sha256()
    done_bytes = 0
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            meter = Meter(report, "hashing", item, before.st_size)
            meter(0)
            while chunk := file.read(CHUNK_BYTES):
                hasher.update(chunk)
                done_bytes += len(chunk)
                meter(min(done_bytes, before.st_size))
            after = os.fstat(file.fileno())
    except OSError as exc:
        raise InvalidInputError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    if (before.st_mtime_ns, done_bytes) != (after.st_mtime_ns, after.st_size):
        raise IntegrityError(f"{path} was changed while it was read: try again.")
    return Digest("sha256", hasher.hexdigest()), done_bytes, after.st_mtime_ns
