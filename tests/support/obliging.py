"""A host that does what it is asked: answers, vectors, rankings, commands, all made up."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, Callable

import attrs
from helpful import HelpfulEngine
from pipeline_host import PipelineInference
from wishful import WishfulEngine

from stoker.archive import Record
from stoker.backend import always_available
from stoker.caller import Caller, RequestContext
from stoker.digest import Digest
from stoker.engine import Engine, TextEngine
from stoker.errors import NotFoundError
from stoker.events import Embedding, Event, Finished, Ranking, Relevance, Usage
from stoker.host import Host, ModelCard, RunnerState, RunnerStatus
from stoker.management import (
    BackendList,
    BackendState,
    Command,
    CommandEvent,
    CreateModel,
    DiskUsage,
    FindModel,
    ListBackends,
    ListLoaded,
    ListModels,
    LoadedList,
    LoadedModel,
    LoadModel,
    MeasureDisk,
    ModelDetails,
    ModelFound,
    ModelList,
    ModelLoaded,
    ModelPushed,
    ModelRemoved,
    ModelShown,
    ModelStored,
    ModelsUnloaded,
    PullModel,
    PushModel,
    RemoveModel,
    ShowModel,
    TagModel,
    TellVersion,
    UnloadModels,
    Version,
)
from stoker.reference import Reference
from stoker.request import EmbedRequest, GenerateRequest, Request, RerankRequest
from stoker.store import Progress, Removal
from stoker.testing import ScriptedHost

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
DIGEST = Digest.of(b"model")
CARD = ModelCard("ai/model", DIGEST, 7, 1e9, "oci")
STATUS = RunnerStatus("ai/model", DIGEST, "toy", RunnerState.READY, 7, 0, 100, ("CPU",), 1000, None)
RESULTS: dict[type, CommandEvent] = {
    PullModel: ModelStored(CARD),
    PushModel: ModelPushed(DIGEST),
    CreateModel: ModelStored(CARD),
    TagModel: ModelStored(CARD),
    RemoveModel: ModelRemoved((Removal((Reference.parse("ai/model"),), (DIGEST,), 7),)),
    LoadModel: ModelLoaded(0.1),
    UnloadModels: ModelsUnloaded(1),
    ShowModel: ModelShown(ModelDetails(CARD, metadata={"general.architecture": "llama"})),
    FindModel: ModelFound(CARD, ("ai/model",)),
    ListModels: ModelList((CARD,)),
    ListLoaded: LoadedList((LoadedModel(STATUS, CARD),)),
    ListBackends: BackendList((BackendState("toy", always_available(), "1"),)),
    MeasureDisk: DiskUsage(7),
    TellVersion: Version("1"),
}


class MemoryArchive:
    """`stoker.archive.Archive`, of everybody's records."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    async def put(self, owner: str, record: Record) -> None:
        """Keep it."""
        del owner
        self._records[record.id] = record

    async def get(self, owner: str, record_id: str) -> Record:
        """Find it."""
        del owner
        if record_id not in self._records:
            raise NotFoundError("There is no such record.")
        return self._records[record_id]

    async def remove(self, owner: str, record_id: str) -> None:
        """Forget it."""
        await self.get(owner, record_id)
        del self._records[record_id]


class ObligingHost(ScriptedHost):
    """Carries every command out, and answers every kind of request."""

    def __init__(self, load: Callable[[], Engine | TextEngine] = HelpfulEngine) -> None:
        super().__init__()
        self._generating = PipelineInference(load)
        self._tokenizing = PipelineInference(
            lambda: WishfulEngine(lambda _: "Yes.", chat_template=TEMPLATE)
        )

    @property
    def host(self) -> Host:
        """With an archive."""
        return attrs.evolve(super().host, archive=MemoryArchive())

    async def answer(
        self, request: Request, context: RequestContext
    ) -> AsyncGenerator[Event, None]:
        """Make something up that fits."""
        match request:
            case GenerateRequest():
                inner = self._generating.answer(request, context)
            case EmbedRequest(input=inputs):
                inner = _embedded(len(inputs))
            case RerankRequest(documents=documents, top_n=top_n):
                inner = _ranked(len(documents), top_n)
            case _:
                inner = self._tokenizing.answer(request, context)
        async for event in inner:
            yield event

    async def run(self, command: Command, caller: Caller) -> AsyncGenerator[CommandEvent, None]:
        """Say what came of it."""
        del caller
        self.commands.append(command)
        if isinstance(command, PullModel | PushModel | CreateModel):
            yield Progress("pulling", "layer", 3, 7, DIGEST)
        yield RESULTS[type(command)]


async def _embedded(count: int) -> AsyncGenerator[Event, None]:
    for index in range(count):
        yield Embedding(struct.pack("<2f", 0.6, 0.8), index)
    yield Finished(Usage(count, 0))


async def _ranked(count: int, top_n: int | None) -> AsyncGenerator[Event, None]:
    kept = range(count)[: top_n or count]
    yield Ranking(tuple(Relevance(index, 0.5) for index in kept))
    yield Finished(Usage(count, 0))
