"""The manager: what carries out commands (`stoker.host.Management`)."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import PurePosixPath

import attrs

from stoker.application import Application
from stoker.artifact import Artifact
from stoker.backend import availability_of
from stoker.blob_keeper import BlobKeeper, BlobWriter
from stoker.caller import LOCAL, Caller, Scope
from stoker.digest import Digest
from stoker.errors import (
    AccessDeniedError,
    InUseError,
    InvalidInputError,
    ModelNotFoundError,
    NotFoundError,
    StokerError,
)
from stoker.events import Failed
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
    scope_of,
)
from stoker.model_details import read_details
from stoker.reference import Reference
from stoker.store import Progress, Removal, ReportProgress
from stoker.supervisor.residency import Residency
from stoker.supervisor.services import StoreCatalog
from stoker.supervisor.transfers import Transfers
from stoker.version import __version__

_WRITE_BYTES = 1024 * 1024
"""Blobs that come are written in pieces of about this size."""
_FREE_ATTEMPTS = 100
_FREE_INTERVAL_S = 0.05
"""How long the store may take to learn that a runner has ended."""


@attrs.frozen
class Manager:
    """`stoker.host.Management` over the stores and the residency."""

    application: Application
    residency: Residency
    catalog: StoreCatalog
    transfers: Transfers

    async def run(self, command: Command, caller: Caller) -> AsyncGenerator[CommandEvent, None]:
        """See the protocol."""
        try:
            caller.require(scope_of(command))
            self._refuse_files(command, caller)
            async with contextlib.aclosing(self._run(command)) as events:
                async for event in events:
                    yield event
        except StokerError as exc:
            yield Failed(exc)

    def _refuse_files(self, command: Command, caller: Caller) -> None:
        """Let nobody from elsewhere take files of this machine, or learn whether they are there.

        Raises:
            AccessDeniedError: That is what the command would do.
        """
        match command:
            case PullModel(name) | FindModel(name, remote=True) if caller is not LOCAL:
                pass
            case _:
                return
        stores = self.application.stores
        if stores.names_files(stores.parse(name)):
            raise AccessDeniedError(
                f"Files of the server's machine are taken on that machine: `stoker pull {name}`."
            )

    async def blob_size(self, digest: Digest, caller: Caller) -> int:
        """See the protocol."""
        caller.require(Scope.INFER)

        def look() -> int:
            return self._keeper().blob_size(digest)

        return await asyncio.to_thread(look)

    async def keep_blob(self, digest: Digest, chunks: AsyncIterator[bytes], caller: Caller) -> None:
        """See the protocol."""
        caller.require(Scope.ADMIN)
        keeper = await asyncio.to_thread(self._keeper)
        with contextlib.suppress(NotFoundError):
            await asyncio.to_thread(keeper.blob_size, digest)
            # The client may be half-way through its body: it is read to its end all the same.
            async for _ in chunks:
                pass
            return
        async with _in_threads(keeper.keep_blob(digest)) as writer:
            waiting = bytearray()
            async for chunk in chunks:
                waiting += chunk
                if len(waiting) >= _WRITE_BYTES:
                    await asyncio.to_thread(writer.write, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(writer.write, bytes(waiting))

    async def _run(self, command: Command) -> AsyncGenerator[CommandEvent, None]:
        match command:
            case PullModel() | PushModel() | CreateModel():
                events = self._transfer(command)
            case LoadModel():
                events = self._load(command)
            case TagModel() | RemoveModel() | UnloadModels():
                yield await self._change(command)
                return
            case _:
                yield await self._look(command)
                return
        async with contextlib.aclosing(events) as all_events:
            async for event in all_events:
                yield event

    async def _transfer(
        self, command: PullModel | PushModel | CreateModel
    ) -> AsyncGenerator[CommandEvent, None]:
        stores = self.application.stores
        reference = stores.parse(command.name)

        def pull(progress: ReportProgress) -> Artifact:
            return stores.of(reference).pull(reference, progress)

        def push(progress: ReportProgress) -> Digest:
            return stores.writable(reference).push(reference, progress)

        def create(progress: ReportProgress) -> Artifact:
            if not isinstance(command, CreateModel):
                raise TypeError(command)
            return self._create(command, reference, progress)

        work = {PullModel: pull, PushModel: push, CreateModel: create}[type(command)]
        key = (type(command), reference, command if isinstance(command, CreateModel) else None)
        async with contextlib.aclosing(self.transfers.run(key, work)) as events:
            async for event in events:
                match event:
                    case Progress():
                        yield event
                    case Artifact():
                        yield ModelStored(self.catalog.card(event, command.name))
                    case Digest():
                        yield ModelPushed(event)

    def _create(
        self, command: CreateModel, reference: Reference, progress: ReportProgress
    ) -> Artifact:
        if command.origin is not None:
            if command.files or command.licenses:
                raise InvalidInputError(
                    "A model is made of another one or of files, not of both: a licence comes with"
                    " the files."
                )
            return self.application.stores.tag(command.origin, command.name)
        if not command.files:
            raise InvalidInputError("Say what to make the model of: another model, or files.")
        files = {PurePosixPath(path): digest for path, digest in command.files.items()}
        return self.application.stores.offering(reference, BlobKeeper).make_model(
            reference, files, command.licenses, progress
        )

    async def _load(self, command: LoadModel) -> AsyncGenerator[CommandEvent, None]:
        started_s = asyncio.get_running_loop().time()
        artifact = await asyncio.to_thread(self.application.resolve, command.name)
        plan = self.residency.plan_of(artifact, command.backend)
        if plan is None:
            plan = await asyncio.to_thread(self.application.plan, artifact, backend=command.backend)
        loading = self.residency.preload(
            plan, backend=command.backend, keep_alive_s=command.keep_alive_s
        )
        async with contextlib.aclosing(loading) as stages:
            async for stage in stages:
                yield stage
        yield ModelLoaded(asyncio.get_running_loop().time() - started_s)

    async def _change(self, command: TagModel | RemoveModel | UnloadModels) -> CommandEvent:
        """Carry out a command that changes something and has no progress to tell."""
        match command:
            case TagModel(source, target):
                artifact = await asyncio.to_thread(self.application.stores.tag, source, target)
                return ModelStored(self.catalog.card(artifact, target))
            case RemoveModel():
                return ModelRemoved(await self._remove(command))
            case UnloadModels():
                return ModelsUnloaded(await self._unload(command))

    async def _look(self, command: Command) -> CommandEvent:
        """Carry out a command that changes nothing."""
        stores = self.application.stores
        match command:
            case ShowModel(name):
                artifact = await asyncio.to_thread(self.application.resolve, name)
                card = self.catalog.card(artifact, name)
                store = stores.of(artifact.reference)
                return ModelShown(
                    await asyncio.to_thread(lambda: read_details(card, store.open(artifact)))
                )
            case FindModel():
                return await self._find(command)
            case ListModels():
                return ModelList(tuple(await self.catalog.models()))
            case ListLoaded():
                cards = {card.digest: card for card in reversed(await self.catalog.models())}
                return LoadedList(
                    tuple(
                        LoadedModel(status, cards.get(status.digest))
                        for status in self.residency.statuses()
                    )
                )
            case ListBackends():
                return BackendList(tuple(await asyncio.to_thread(self._backends)))
            case MeasureDisk():
                artifacts = await asyncio.to_thread(stores.list)
                return DiskUsage(_disk_bytes(artifacts))
            case TellVersion():
                return Version(__version__)
            case _:
                raise TypeError(command)

    async def _find(self, command: FindModel) -> ModelFound:
        stores = self.application.stores

        def look() -> tuple[Artifact, tuple[str, ...]]:
            reference = stores.parse(command.name)
            store = stores.of(reference)
            look_up = store.resolve_remote if command.remote else store.resolve
            artifact = look_up(reference)
            return artifact, tuple(
                item.reference.familiar for item in stores.list() if item.digest == artifact.digest
            )

        artifact, names = await asyncio.to_thread(look)
        return ModelFound(self.catalog.card(artifact, command.name), names)

    async def _remove(self, command: RemoveModel) -> tuple[Removal, ...]:
        stores = self.application.stores
        artifact = await asyncio.to_thread(stores.resolve, command.name)
        store = stores.of(artifact.reference)
        if not command.force:
            return (await asyncio.to_thread(store.remove, artifact.reference),)
        await self.residency.unload(artifact.digest)

        def names() -> list[Reference]:
            return [item.reference for item in store.list() if item.digest == artifact.digest]

        removals = []
        for reference in await asyncio.to_thread(names):
            for attempt in range(_FREE_ATTEMPTS):
                try:
                    removals.append(await asyncio.to_thread(store.remove, reference))
                    break
                except InUseError:
                    if attempt == _FREE_ATTEMPTS - 1:
                        raise
                    await asyncio.sleep(_FREE_INTERVAL_S)
        return tuple(removals)

    async def _unload(self, command: UnloadModels) -> int:
        digests = {status.digest for status in self.residency.statuses()}
        if command.names is not None:
            wanted = set()
            for name in command.names:
                with contextlib.suppress(ModelNotFoundError):
                    artifact = await asyncio.to_thread(self.application.resolve, name)
                    wanted.add(artifact.digest)
            digests = wanted
        ended = [
            await self.residency.unload(digest, backend=command.backend, only_idle=True)
            for digest in sorted(digests, key=str)
        ]
        return sum(ended)

    def _backends(self) -> list[BackendState]:
        plugins = self.application.plugins
        return [
            BackendState(
                name, availability_of(spec), _version_of(plugins.provider(spec).distribution)
            )
            for name, spec in sorted(plugins.backends.items())
        ]

    def _keeper(self) -> BlobKeeper:
        return self.application.stores.general(BlobKeeper)


@contextlib.asynccontextmanager
async def _in_threads(
    block: contextlib.AbstractContextManager[BlobWriter],
) -> AsyncGenerator[BlobWriter, None]:
    """Begin and end a blocking block in worker threads."""
    async with contextlib.AsyncExitStack() as stack:
        writer = await asyncio.to_thread(block.__enter__)
        stack.push_async_exit(lambda *exc_info: asyncio.to_thread(block.__exit__, *exc_info))
        yield writer


def _disk_bytes(artifacts: Iterable[Artifact]) -> int:
    sizes = {
        (artifact.store, descriptor.digest): descriptor.size_bytes
        for artifact in artifacts
        for descriptor in (artifact.manifest.config, *artifact.manifest.layers)
    }
    return sum(sizes.values())


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ""
