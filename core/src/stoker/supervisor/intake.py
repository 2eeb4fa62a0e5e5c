"""The host's intake: models that clients of transports push."""

from __future__ import annotations

import asyncio

import attrs

from stoker.application import Application
from stoker.digest import Digest
from stoker.intake import ContentSink
from stoker.media_types import MediaType


@attrs.frozen
class StoreIntake:
    """`stoker.host.Intake` over the store for plain names."""

    application: Application

    async def _sink(self) -> ContentSink:
        return await asyncio.to_thread(self.application.stores.general, ContentSink)

    async def start_upload(self, repository: str) -> str:
        """See the protocol."""
        return await asyncio.to_thread((await self._sink()).start_upload, repository)

    async def uploaded_bytes(self, repository: str, upload: str) -> int:
        """See the protocol."""
        return await asyncio.to_thread((await self._sink()).uploaded_bytes, repository, upload)

    async def write_upload(self, repository: str, upload: str, data: bytes, *, offset: int) -> int:
        """See the protocol."""
        write = (await self._sink()).write_upload
        return await asyncio.to_thread(write, repository, upload, data, offset=offset)

    async def finish_upload(self, repository: str, upload: str, digest: Digest) -> None:
        """See the protocol."""
        await asyncio.to_thread((await self._sink()).finish_upload, repository, upload, digest)

    async def cancel_upload(self, repository: str, upload: str) -> None:
        """See the protocol."""
        await asyncio.to_thread((await self._sink()).cancel_upload, repository, upload)

    async def mount(self, repository: str, digest: Digest, source: str) -> bool:
        """See the protocol."""
        return await asyncio.to_thread((await self._sink()).mount, repository, digest, source)

    async def put_manifest(
        self, repository: str, reference: str, media_type: MediaType, data: bytes
    ) -> Digest:
        """See the protocol."""
        put = (await self._sink()).put_manifest
        return await asyncio.to_thread(put, repository, reference, media_type, data)
