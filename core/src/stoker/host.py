"""The host: the face that the application shows to transports and dialects.

A transport turns bytes into requests and events into bytes; everything else it gets
from here. All of it is called on the application's event loop.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import attrs

from stoker.archive import Archive
from stoker.artifact import ModelFacts
from stoker.caller import Caller, RequestContext
from stoker.digest import Digest
from stoker.engine import Mode
from stoker.events import Event
from stoker.media_types import MediaType
from stoker.metrics import MetricFamily
from stoker.request import Request
from stoker.store import StoredManifest
from stoker.telemetry import Telemetry

if TYPE_CHECKING:
    # Commands and their results speak of the cards below.
    from stoker.management import Management


@attrs.frozen
class ModelCard:
    """A model that is here, as clients list it."""

    name: str
    """The familiar form of its reference; requests accept it back."""
    digest: Digest
    size_bytes: int
    created_s: float
    store: str
    facts: ModelFacts = ModelFacts()
    context_length: int | None = None
    """Tokens per sequence as it is loaded now; None while it is not."""


class RunnerState(enum.StrEnum):
    """Where a runner is in its life."""

    LOADING = "loading"
    READY = "ready"
    UNLOADING = "unloading"


@attrs.frozen
class RunnerStatus:
    """A loaded model."""

    model: str
    digest: Digest
    backend: str
    state: RunnerState
    pid: int | None
    active_requests: int
    context_length: int | None
    """Tokens per sequence; None where the backend tells only once it has loaded."""
    devices: tuple[str, ...]
    memory_bytes: int | None
    expires_in_s: float | None
    """Until it is unloaded for idleness; None while busy or when kept for ever."""
    planned_bytes: int = 0
    """What it was planned to take, of all devices, with a full context."""
    pinned: bool = False
    """Whether it stays loaded, idle or not."""
    running: int = 0
    """Sequences that the engine has."""
    waiting: tuple[str, ...] = ()
    """The callers whose requests wait for their turn, in the order of the turns."""
    tokens_per_s: float | None = None
    """How fast the last answer was written; None while there is none."""
    modes: frozenset[Mode] = frozenset()
    """What it can be asked for; none while it loads."""


@attrs.frozen
class LogLines:
    """Lines of a log."""

    lines: tuple[str, ...]
    next: int
    """The number of the line after them: what to ask for to get those that follow."""


class Catalog(Protocol):
    """The models that are here. Store code runs in worker threads behind it."""

    async def models(self) -> Sequence[ModelCard]:
        """All models, sorted by name."""

    async def model(self, name: str) -> ModelCard:
        """One model, by any name that means it; the card carries the name that was asked for.

        Raises:
            ModelNotFoundError: It is not here.
            InvalidReferenceError: The name follows no grammar.
        """

    async def manifest(self, repository: str, reference: str) -> StoredManifest:
        """A stored manifest, for others to pull.

        Args:
            repository: With or without the registry's host in front.
            reference: A tag or a digest.

        Raises:
            ModelNotFoundError: There is none.
        """

    async def blob(self, repository: str, digest: Digest) -> Path:
        """The file of a blob that a manifest of the repository names.

        Raises:
            NotFoundError: There is none.
        """

    async def tags(self, repository: str) -> Sequence[str]:
        """All tags of a repository, sorted.

        Raises:
            ModelNotFoundError: There is no such repository.
        """

    async def repositories(self) -> Sequence[str]:
        """All repositories that others may pull from, sorted."""


class Intake(Protocol):
    """Takes models that others push; only for who may change what is stored.

    See `stoker.intake.ContentSink`, whose code runs in worker threads behind it.
    """

    async def start_upload(self, repository: str) -> str:
        """Begin to take a blob; returns the upload's id.

        Raises:
            InvalidReferenceError: The repository's name follows no grammar.
            OverloadedError: There are too many uploads under way.
            UnavailableError: No store takes models.
        """

    async def uploaded_bytes(self, repository: str, upload: str) -> int:
        """How many bytes of an upload have come.

        Raises:
            NotFoundError: There is no such upload (any more).
        """

    async def write_upload(self, repository: str, upload: str, data: bytes, *, offset: int) -> int:
        """Take the next bytes of an upload; returns how many have come now.

        Raises:
            NotFoundError: There is no such upload.
            ConflictError: The bytes do not follow.
            UnavailableError: The disk is full.
        """

    async def finish_upload(self, repository: str, upload: str, digest: Digest) -> None:
        """End an upload: the blob is here afterwards, or nothing of it is.

        Raises:
            NotFoundError: There is no such upload.
            IntegrityError: The bytes that came are others.
        """

    async def cancel_upload(self, repository: str, upload: str) -> None:
        """Forget an upload.

        Raises:
            NotFoundError: There is no such upload.
        """

    async def mount(self, repository: str, digest: Digest, source: str) -> bool:
        """Use a blob of another repository; False when that has none such."""

    async def put_manifest(
        self, repository: str, reference: str, media_type: MediaType, data: bytes
    ) -> Digest:
        """Name a model whose blobs have come; returns the manifest's digest.

        Raises:
            InvalidReferenceError: The name follows no grammar.
            InvalidArtifactError: The manifest is malformed, or not what its digest says.
            NotFoundError: A blob is not here.
        """


class Inference(Protocol):
    """Runs requests."""

    def answer(self, request: Request, context: RequestContext) -> AsyncGenerator[Event, None]:
        """Answer a request, loading its model first where needed.

        The caller in the context needs the scope `infer`.

        The iterator never raises a `StokerError`: it ends with `Failed`. Whoever stops reading
        closes it (`aclose`), which cancels the request.
        """


class Status(Protocol):
    """What runs, and how to stop it."""

    async def runners(self) -> Sequence[RunnerStatus]:
        """The loaded models, sorted by name."""

    async def log(self, name: str, after: int) -> LogLines:
        """What the engine of a model printed; only for who may see everything.

        Args:
            name: The model's name.
            after: The number of the first line that is wanted.

        Raises:
            ModelNotFoundError: It is not here.
            InvalidReferenceError: The name follows no grammar.
        """

    async def unload(self, name: str, caller: Caller) -> bool:
        """Unload a model; requests inside fail. False when it was not loaded.

        Raises:
            AccessDeniedError: The caller lacks the scope `admin`.
            InvalidReferenceError: The name follows no grammar.
        """


class Metrics(Protocol):
    """What is measured, besides what a transport counts itself."""

    async def families(self) -> Sequence[MetricFamily]:
        """Ask all sources, each for a short while only; names are unique.

        Families whose names begin with `stoker.metrics.RESERVED_PREFIX` are the core's own.
        """


@attrs.frozen
class Host:
    """What a transport is given."""

    version: str
    catalog: Catalog
    inference: Inference
    status: Status
    management: Management
    telemetry: Telemetry = attrs.field(factory=Telemetry)
    """Tells of requests and models, each at its end."""
    metrics: Metrics | None = None
    """None where nobody measures."""
    intake: Intake | None = None
    """None where nobody may push anything."""
    archive: Archive | None = None
    """Keeps answers that callers may come back to; None where nothing is kept."""
