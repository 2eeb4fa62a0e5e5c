"""The HTTP transport keeps the contract of transports, by way of the OpenAI dialect."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from stoker.testing import Answer, TransportContract
from stoker.transport import Transport, TransportContext
from stoker_litestar.options import HttpOptions
from stoker_litestar.plugin import stoker_register_dialects, stoker_register_transports


def stream(
    client: httpx.AsyncClient, model: str, text: str
) -> AbstractAsyncContextManager[httpx.Response]:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
    return client.stream("POST", "/v1/chat/completions", json=body)


class TestHttp(TransportContract):
    @pytest.fixture
    def make_transport(self) -> Callable[[int], Transport]:
        """The transport with the shipped dialects, on a given port."""
        (spec,) = stoker_register_transports()
        dialects = tuple(dialect.factory() for dialect in stoker_register_dialects())
        return lambda port: spec.factory(
            TransportContext(HttpOptions(port=port, drain_timeout_s=1), dialects)
        )

    async def ask(self, address: str, model: str, text: str) -> Answer:
        """Ask for a stream and join its deltas."""
        said = []
        async with (
            httpx.AsyncClient(base_url=address, trust_env=False) as client,
            stream(client, model, text) as response,
        ):
            if response.is_error:
                problem = json.loads(await response.aread())
                return Answer("", problem["error"]["message"])
            async for line in response.aiter_lines():
                data = line.removeprefix("data: ")
                if data and data != "[DONE]":
                    choices = json.loads(data)["choices"]
                    said += [choice["delta"].get("content") or "" for choice in choices]
        return Answer("".join(said))

    async def ask_and_leave(self, address: str, model: str, text: str) -> None:
        """Read one chunk of the stream and close the connection."""
        async with (
            httpx.AsyncClient(base_url=address, trust_env=False) as client,
            stream(client, model, text) as response,
        ):
            await anext(response.aiter_bytes())
