"""The store seam: where models come from and where they are kept.

A store is blocking code. The application calls it from worker threads, several at once, so a
store guards its own state; stores of several processes may share one directory.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import attrs
import msgspec

from stoker.artifact import Artifact, ModelBundle
from stoker.backend import Availability, NoOptions, always_available
from stoker.digest import Digest
from stoker.formats import FormatTable
from stoker.media_types import MediaType
from stoker.reference import Reference


@attrs.frozen
class Progress:
    """How far a transfer has come."""

    stage: str
    """A short phrase for people: "pulling", "verifying", "packaging"."""
    item: str = ""
    """The blob or file that this is about; empty for the whole."""
    done_bytes: int = 0
    total_bytes: int | None = None
    digest: Digest | None = None
    """The blob's, where it is known from the start."""


class ReportProgress(Protocol):
    """Called by a store while it works, at most some ten times a second and item."""

    def __call__(self, progress: Progress, /) -> None:
        """Report progress.

        Raises:
            OperationCancelledError: Give up, leave nothing half-written, and let it through.
        """


@attrs.frozen
class PackageSource:
    """What to package into an artifact."""

    weights: tuple[Path, ...] = ()
    """The shards, in order."""
    directory: Path | None = None
    """Instead of the weights: a folder that holds the model, all of whose files are taken."""
    media_type: MediaType | None = None
    """Of the weights, which are then taken as they are; None for a type that the files show."""
    chat_template: Path | None = None
    licenses: tuple[Path, ...] = ()
    projector: Path | None = None
    format: str = "docker"
    """`docker` or `modelpack`."""


@attrs.frozen
class Removal:
    """What `remove` did."""

    untagged: tuple[Reference, ...]
    deleted: tuple[Digest, ...]
    freed_bytes: int


class Store(abc.ABC):
    """Models by reference. All methods may block and raise any `StokerError`."""

    @abc.abstractmethod
    def resolve(self, reference: Reference) -> Artifact:
        """Look a model up among what is here. Nothing is fetched.

        Raises:
            ModelNotFoundError: It is not here.
        """

    def resolve_remote(self, reference: Reference) -> Artifact:
        """Look a model up where `pull` would take it from, without its layers.

        Raises:
            ModelNotFoundError: It is not there either, or the store cannot look.
            TransferError: The registry cannot be reached.
            AccessDeniedError: The registry refused.
        """
        return self.resolve(reference)

    @abc.abstractmethod
    def pull(self, reference: Reference, progress: ReportProgress) -> Artifact:
        """Fetch a model, or what is missing of it; a complete one is a no-op.

        Nothing becomes visible under its name or digest before it was checked.

        Raises:
            ModelNotFoundError: The registry has no such model.
            IntegrityError: What came is not what was asked for; nothing of it is kept.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """

    @abc.abstractmethod
    def list(self) -> Sequence[Artifact]:
        """All models that are here, one entry per reference, sorted by it."""

    @abc.abstractmethod
    def open(self, artifact: Artifact) -> ModelBundle:
        """Give a model's files real names.

        Returns:
            The files by role, as the format rules say; no bytes are copied where links work.

        Raises:
            ModelNotFoundError: It is not here (any more).
            InvalidArtifactError: It cannot be laid out (clashing or escaping paths).
        """

    @abc.abstractmethod
    def remove(self, reference: Reference) -> Removal:
        """Remove a name, and what no other name needs.

        Raises:
            ModelNotFoundError: It is not here.
            InUseError: Somebody uses its files, and it has no other name.
        """

    def use(self, artifact: Artifact, user: str) -> contextlib.AbstractContextManager[None]:
        """Keep a model's files as long as the block runs, whoever would remove them.

        It may begin in one thread and end in another. A store that cannot tell other processes
        does nothing.

        Args:
            artifact: A model that is here.
            user: Who uses it, for the error that others get from `remove`.

        Raises:
            ModelNotFoundError: It is not here any more.
        """
        del artifact, user
        return contextlib.nullcontext()


class WritableStore(Store):
    """A store that also makes, names and sends models."""

    @abc.abstractmethod
    def package(
        self, reference: Reference, source: PackageSource, progress: ReportProgress
    ) -> Artifact:
        """Make a model from files, under a name. The same files give the same digest.

        Raises:
            InvalidInputError: A file is missing or not what it should be.
        """

    @abc.abstractmethod
    def tag(self, source: Reference, target: Reference) -> Artifact:
        """Give a model another name; a name that exists moves.

        Raises:
            ModelNotFoundError: The source is not here.
        """

    @abc.abstractmethod
    def push(self, reference: Reference, progress: ReportProgress) -> Digest:
        """Send a model to the registry in its name.

        Raises:
            ModelNotFoundError: It is not here.
            TransferError: The transfer failed.
            AccessDeniedError: The registry refused.
        """


@attrs.frozen
class StoredManifest:
    """A manifest's bytes, exactly as they were stored."""

    media_type: MediaType
    digest: Digest
    data: bytes = attrs.field(repr=False)


class ContentSource(abc.ABC):
    """What a store offers besides when others may pull from it (see the distribution API)."""

    @abc.abstractmethod
    def manifest(self, repository: str, reference: str) -> StoredManifest:
        """The manifest of a tag or digest in a repository.

        Raises:
            ModelNotFoundError: There is none.
        """

    @abc.abstractmethod
    def blob(self, repository: str, digest: Digest) -> Path:
        """The file of a blob that a manifest of the repository names.

        Raises:
            NotFoundError: There is none.
        """

    @abc.abstractmethod
    def tags(self, repository: str) -> Sequence[str]:
        """All tags of a repository, sorted.

        Raises:
            ModelNotFoundError: There is no such repository.
        """

    @abc.abstractmethod
    def repositories(self) -> Sequence[str]:
        """All repositories, sorted, by names that the other methods know them by."""


@attrs.frozen
class StoreContext:
    """What a store is made with."""

    directory: Path
    """The store's own folder; it may not exist yet."""
    options: msgspec.Struct
    """An instance of the record's `options_type`."""
    formats: FormatTable
    """The rules that say what a layer is."""


@attrs.frozen
class StoreSpec:
    """A store plugin's record."""

    name: str
    """As users write it in the config and see it in `stoker plugins`."""
    factory: Callable[[StoreContext], Store]
    """Called when the store is needed first; heavy imports belong in here."""
    schemes: tuple[str, ...] = ()
    """Prefixes of references that it claims (`wheel` for `wheel:...`).

    One without schemes takes the references without a prefix; `[stores] default` in the config
    decides when several are installed.
    """
    probe: Callable[[], Availability] = always_available
    options_type: type[msgspec.Struct] = NoOptions
