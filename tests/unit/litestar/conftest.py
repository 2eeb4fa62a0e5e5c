"""A server on a free port, with a host whose answers are scripted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import attrs
import httpx
import openai
import pytest

from stoker.dialect import Dialect
from stoker.digest import Digest
from stoker.errors import ModelNotFoundError, NotFoundError
from stoker.host import Host, ModelCard
from stoker.keys import NO_KEYS, KeyRing
from stoker.media_types import OCI_MANIFEST
from stoker.sqlite_archive import SqliteArchive
from stoker.store import StoredManifest
from stoker.testing import ScriptedHost
from stoker_litestar.dialects.anthropic.dialect import anthropic_dialect
from stoker_litestar.dialects.openai.dialect import openai_dialect
from stoker_litestar.dialects.responses.dialect import responses_dialect
from stoker_litestar.options import HttpOptions
from stoker_litestar.server import HttpTransport

WAIT_S = 10
NAMES = ("ai/smollm2", "registry.example:5000/team/phi:1")


@attrs.define
class FakeCatalog:
    """Two models, and what a test adds for others to pull."""

    manifests: dict[tuple[str, str], bytes] = attrs.field(factory=dict)
    blobs: dict[tuple[str, Digest], Path] = attrs.field(factory=dict)
    tag_lists: dict[str, Sequence[str]] = attrs.field(factory=dict)

    async def models(self) -> Sequence[ModelCard]:
        """All cards."""
        return [await self.model(name) for name in NAMES]

    async def model(self, name: str) -> ModelCard:
        """One card."""
        if name not in NAMES:
            raise ModelNotFoundError(f"No model {name}.", model=name)
        return ModelCard(name=name, digest=Digest.of(b""), size_bytes=1, created_s=1e9, store="oci")

    async def manifest(self, repository: str, reference: str) -> StoredManifest:
        """One manifest."""
        if (repository, reference) not in self.manifests:
            raise ModelNotFoundError("No such manifest.", model=repository)
        data = self.manifests[repository, reference]
        return StoredManifest(OCI_MANIFEST, Digest.of(data), data)

    async def blob(self, repository: str, digest: Digest) -> Path:
        """One file."""
        if (repository, digest) not in self.blobs:
            raise NotFoundError("No such blob.")
        return self.blobs[repository, digest]

    async def tags(self, repository: str) -> Sequence[str]:
        """The tags."""
        if repository not in self.tag_lists:
            raise ModelNotFoundError("No such repository.", model=repository)
        return self.tag_lists[repository]

    async def repositories(self) -> Sequence[str]:
        """All that have tags."""
        return sorted(self.tag_lists)


@attrs.frozen
class Serving:
    """A server that runs."""

    url: str
    task: asyncio.Task[None]


@contextlib.asynccontextmanager
async def serving(
    host: Host,
    options: HttpOptions,
    keys: KeyRing = NO_KEYS,
    *,
    dialects: Sequence[Dialect] | None = None,
) -> AsyncIterator[Serving]:
    """Run the transport beside the block."""
    started: asyncio.Queue[str] = asyncio.Queue()
    shipped = [anthropic_dialect(), openai_dialect(), responses_dialect()]
    transport = HttpTransport(options, dialects or shipped, keys)
    task = asyncio.create_task(transport.serve(host, started.put_nowait))
    url = asyncio.create_task(started.get())
    await asyncio.wait({task, url}, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            await task
        yield Serving(url.result(), task)
    finally:
        url.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, WAIT_S)


@pytest.fixture
def scripted() -> ScriptedHost:
    """The host's inference: it answers "Hello there" unless the test says otherwise."""
    return ScriptedHost()


@pytest.fixture
def catalog() -> FakeCatalog:
    """The host's catalog."""
    return FakeCatalog()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[SqliteArchive]:
    """The host's archive."""
    made = SqliteArchive(tmp_path / "state" / "answers.sqlite", max_bytes=2**20, max_age_s=3600)
    yield made
    await made.close()


@pytest.fixture
def host(scripted: ScriptedHost, catalog: FakeCatalog, archive: SqliteArchive) -> Host:
    """The host."""
    return Host(
        "0.1.0",
        catalog,
        scripted,
        scripted,
        scripted,
        telemetry=scripted.telemetry,
        metrics=scripted,
        archive=archive,
    )


@pytest.fixture
def options() -> HttpOptions:
    """The server's options; tests override this fixture."""
    return HttpOptions(port=0, drain_timeout_s=1)


@pytest.fixture
def keys() -> KeyRing:
    """The server's keys; tests override this fixture."""
    return KeyRing()


@pytest.fixture
async def server(host: Host, options: HttpOptions, keys: KeyRing) -> AsyncIterator[Serving]:
    """The server."""
    async with serving(host, options, keys) as running:
        yield running


@pytest.fixture
async def http(server: Serving) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client."""
    async with httpx.AsyncClient(base_url=server.url, timeout=WAIT_S) as client:
        yield client


@pytest.fixture
async def sdk(server: Serving) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client, which does not try again."""
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=WAIT_S
    ) as client:
        yield client
