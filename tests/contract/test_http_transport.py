"""The HTTP transport keeps the contract of transports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stoker.testing import Answer, TransportContract
from stoker_litestar.dialects.openai.dialect import openai_dialect
from stoker_litestar.options import HttpOptions
from stoker_litestar.server import HttpTransport


def body(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


class TestHttp(TransportContract):
    @pytest.fixture
    def make_transport(self) -> Callable[[int], HttpTransport]:
        """The transport on a given port, with one dialect."""
        return lambda port: HttpTransport(HttpOptions(port=port), [openai_dialect()])

    async def ask(self, address: str, model: str, text: str) -> Answer:
        """Ask for a chat completion."""
        async with httpx.AsyncClient(base_url=address) as client:
            response = await client.post("/v1/chat/completions", json=body(model, text))
        if response.is_error:
            return Answer("", response.json()["error"]["message"])
        return Answer(response.json()["choices"][0]["message"]["content"])

    async def ask_and_leave(self, address: str, model: str, text: str) -> None:
        """Ask for a stream, read its first line, and close the connection."""
        async with (
            httpx.AsyncClient(base_url=address) as client,
            client.stream(
                "POST", "/v1/chat/completions", json=body(model, text) | {"stream": True}
            ) as response,
        ):
            await anext(response.aiter_lines())
