"""The host's services: what transports and the control socket get to see of the application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

from stoker.application import Application
from stoker.artifact import Artifact
from stoker.caller import Caller, RequestContext, Scope
from stoker.digest import Digest
from stoker.errors import (
    ModelNotFoundError,
    NotFoundError,
    StokerError,
    TooManyRequestsError,
)
from stoker.events import Event
from stoker.host import LogLines, ModelCard, RunnerStatus
from stoker.limits import ConcurrentRequests, check_limits
from stoker.request import Request
from stoker.store import ContentSource, StoredManifest
from stoker.stores import Stores
from stoker.supervisor.engine_log import EngineLogs
from stoker.supervisor.residency import Residency
from stoker.supervisor.trace import Trace
from stoker.telemetry import RequestStart, Telemetry

T = TypeVar("T")


class StoreCatalog:
    """`stoker.host.Catalog` over the installed stores."""

    def __init__(self, application: Application, residency: Residency) -> None:
        self._application = application
        self._residency = residency

    async def models(self) -> Sequence[ModelCard]:
        """See the protocol."""
        artifacts = await asyncio.to_thread(self._stores.list)
        cards = [self.card(artifact, artifact.reference.familiar) for artifact in artifacts]
        for name in self._application.settings.config.aliases:
            with contextlib.suppress(ModelNotFoundError):
                cards.append(await self.model(name))
        return sorted(cards, key=lambda card: card.name)

    async def model(self, name: str) -> ModelCard:
        """See the protocol."""
        return self.card(await asyncio.to_thread(self._application.resolve, name), name)

    async def manifest(self, repository: str, reference: str) -> StoredManifest:
        """See the protocol."""
        return await self._from_any(lambda source: source.manifest(repository, reference))

    async def blob(self, repository: str, digest: Digest) -> Path:
        """See the protocol."""
        return await self._from_any(lambda source: source.blob(repository, digest))

    async def tags(self, repository: str) -> Sequence[str]:
        """See the protocol."""
        return await self._from_any(lambda source: source.tags(repository))

    async def repositories(self) -> Sequence[str]:
        """See the protocol."""

        def all_names() -> Sequence[str]:
            sources = self._stores.having(ContentSource)
            return sorted({name for source in sources for name in source.repositories()})

        return await asyncio.to_thread(all_names)

    @property
    def _stores(self) -> Stores:
        return self._application.stores

    def card(self, artifact: Artifact, name: str) -> ModelCard:
        """What clients see of a model, under the name that they asked for."""
        return ModelCard(
            name=name,
            digest=artifact.digest,
            size_bytes=artifact.manifest.size_bytes,
            created_s=artifact.created_s or 0.0,
            store=artifact.store,
            facts=artifact.facts,
            context_length=self._residency.context_length(artifact.digest),
        )

    async def _from_any(self, ask: Callable[[ContentSource], T]) -> T:
        def first() -> T:
            error: NotFoundError = ModelNotFoundError("No store serves models here.", model="")
            for source in self._stores.having(ContentSource):
                try:
                    return ask(source)
                except NotFoundError as exc:
                    error = exc
            raise error

        return await asyncio.to_thread(first)


@attrs.frozen
class ResidentInference:
    """`stoker.host.Inference`: finds the model, has it loaded, runs the request in it."""

    application: Application
    residency: Residency
    telemetry: Telemetry
    _requests: ConcurrentRequests = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        limits = self.application.settings.config.limits
        object.__setattr__(self, "_requests", ConcurrentRequests(limits))

    async def answer(
        self, request: Request, context: RequestContext
    ) -> AsyncGenerator[Event, None]:
        """See the protocol."""
        trace = Trace(context)
        self.telemetry.tell(RequestStart(context, request.model))
        self._requests.limits = self.application.settings.config.limits
        try:
            with self._requests.counted(context.caller):
                answer = self._answer(request, trace)
                async with contextlib.aclosing(answer) as events:
                    async for event in events:
                        yield event
        except TooManyRequestsError as exc:
            yield trace.failed(exc)
        finally:
            self.telemetry.tell(trace.record())

    async def _answer(self, request: Request, trace: Trace) -> AsyncGenerator[Event, None]:
        try:
            trace.context.caller.require(Scope.INFER)
            check_limits(request, self.application.settings.config.limits)
            alias = self.application.alias(request.model)
            request = request if alias is None else alias.apply(request)
            artifact = await asyncio.to_thread(self.application.stores.resolve, request.model)
            trace.model = artifact.reference.familiar
            plan = self.residency.plan_of(artifact, request.backend)
            if plan is None:
                plan = await asyncio.to_thread(
                    self.application.plan, artifact, backend=request.backend
                )
        except StokerError as exc:
            yield trace.failed(exc)
            return
        async with contextlib.aclosing(self.residency.answer(plan, request, trace)) as events:
            async for event in events:
                yield event


@attrs.frozen
class ResidentStatus:
    """`stoker.host.Status` over the residency."""

    application: Application
    residency: Residency
    logs: EngineLogs

    async def runners(self) -> Sequence[RunnerStatus]:
        """See the protocol."""
        return self.residency.statuses()

    async def log(self, name: str, after: int) -> LogLines:
        """See the protocol."""
        artifact = await asyncio.to_thread(self.application.resolve, name)
        return self.logs.after(artifact.digest, after)

    async def unload(self, name: str, caller: Caller) -> bool:
        """See the protocol."""
        caller.require(Scope.ADMIN)
        try:
            artifact = await asyncio.to_thread(self.application.resolve, name)
        except ModelNotFoundError:
            return False
        return bool(await self.residency.unload(artifact.digest))
