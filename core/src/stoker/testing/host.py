"""A host without models, for tests of transports: it plays events that the test wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

from stoker.caller import Caller, RequestContext
from stoker.digest import Digest
from stoker.errors import ModelNotFoundError, NotFoundError
from stoker.events import ChoiceFinished, Event, Finished, FinishReason, Prefill, TextDelta, Usage
from stoker.host import Host, LogLines, ModelCard, RunnerStatus
from stoker.management import Command, CommandEvent, Version
from stoker.metrics import MetricFamily
from stoker.request import Request
from stoker.store import StoredManifest
from stoker.telemetry import Telemetry

MODEL = "test/parrot"
"""The one model that the host lists."""


def answer_events(*pieces: str) -> tuple[Event, ...]:
    """The events of an answer in these pieces."""
    return (
        Prefill(done=3, total=3),
        *(TextDelta(piece) for piece in pieces),
        ChoiceFinished(FinishReason.STOP),
        Finished(Usage(prompt_tokens=3, completion_tokens=len(pieces))),
    )


class ScriptedHost:
    """Catalog, inference, status and management in one object, driven from one event loop.

    Attributes:
        events: What answers every request.
        command_events: What answers every command.
        hang: Whether answers stop before their last two events, and wait for ever.
        requests: The requests that came, in order.
        commands: The commands that came, in order.
        blobs: The blobs that came, by their digests.
        contexts: What came with them.
        measured: What the host's sources have measured.
        telemetry: What transports listen to; a test tells it what it wants them to hear.
        closed: How many answers were closed before their last event.
    """

    def __init__(self, events: Sequence[Event] = answer_events("Hello", " there")) -> None:
        self.events = tuple(events)
        self.command_events: tuple[CommandEvent, ...] = (Version("0"),)
        self.hang = False
        self.requests: list[Request] = []
        self.commands: list[Command] = []
        self.blobs: dict[Digest, bytes] = {}
        self.contexts: list[RequestContext] = []
        self.closed = 0
        self.measured: tuple[MetricFamily, ...] = ()
        self.telemetry = Telemetry()

    @property
    def host(self) -> Host:
        """The host to give to `Transport.serve`."""
        return Host("0", self, self, self, self, telemetry=self.telemetry, metrics=self)

    async def answer(
        self, request: Request, context: RequestContext
    ) -> AsyncGenerator[Event, None]:
        """Play the events."""
        self.requests.append(request)
        self.contexts.append(context)
        ended = False
        try:
            for event in self.events[:-2] if self.hang else self.events:
                # A transport need not ask for more after the last event.
                ended = event is self.events[-1]
                yield event
            if self.hang:
                await asyncio.Event().wait()
        finally:
            self.closed += not ended

    async def run(self, command: Command, caller: Caller) -> AsyncGenerator[CommandEvent, None]:
        """Play the events of commands."""
        self.commands.append(command)
        del caller
        ended = False
        try:
            for event in self.command_events[:-1] if self.hang else self.command_events:
                ended = event is self.command_events[-1]
                yield event
            if self.hang:
                await asyncio.Event().wait()
        finally:
            self.closed += not ended

    async def blob_size(self, digest: Digest, caller: Caller) -> int:
        """Look among the blobs that came.

        Raises:
            NotFoundError: It did not.
        """
        del caller
        if digest not in self.blobs:
            raise NotFoundError(f"There is no blob {digest} here.")
        return len(self.blobs[digest])

    async def keep_blob(self, digest: Digest, chunks: AsyncIterator[bytes], caller: Caller) -> None:
        """Keep a blob, unchecked."""
        del caller
        self.blobs[digest] = b"".join([chunk async for chunk in chunks])

    async def models(self) -> Sequence[ModelCard]:
        """The one model."""
        return [await self.model(MODEL)]

    async def model(self, name: str) -> ModelCard:
        """The one model.

        Raises:
            ModelNotFoundError: Another one was asked for.
        """
        if name != MODEL:
            raise _not_here(name)
        return ModelCard(
            name=name, digest=Digest.of(b"parrot"), size_bytes=6, created_s=0.0, store="scripted"
        )

    async def manifest(self, repository: str, reference: str) -> StoredManifest:
        """There is none.

        Raises:
            ModelNotFoundError: Always.
        """
        raise _not_here(f"{repository}:{reference}")

    async def blob(self, repository: str, digest: Digest) -> Path:
        """There is none.

        Raises:
            ModelNotFoundError: Always.
        """
        raise _not_here(f"{repository}@{digest}")

    async def tags(self, repository: str) -> Sequence[str]:
        """There are none.

        Raises:
            ModelNotFoundError: Always.
        """
        raise _not_here(repository)

    async def repositories(self) -> Sequence[str]:
        """There are none."""
        return ()

    async def runners(self) -> Sequence[RunnerStatus]:
        """Nothing is loaded."""
        return ()

    async def families(self) -> Sequence[MetricFamily]:
        """What the test says."""
        return self.measured

    async def log(self, name: str, after: int) -> LogLines:
        """Nothing was printed."""
        del name, after
        return LogLines((), 0)

    async def unload(self, name: str, caller: Caller) -> bool:
        """Nothing was loaded."""
        del name, caller
        return False


def _not_here(name: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"{name!r} is not here.", model=name)
