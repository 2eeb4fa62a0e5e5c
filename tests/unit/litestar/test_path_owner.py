"""Whose form an error has where no handler is."""

from __future__ import annotations

import httpx
import pytest

from stoker_litestar.dialects.anthropic.dialect import anthropic_dialect
from stoker_litestar.dialects.ollama.dialect import ollama_dialect
from stoker_litestar.dialects.openai.dialect import openai_dialect
from stoker_litestar.path_owner import PathOwners

DIALECTS = {
    "anthropic": anthropic_dialect(),
    "ollama": ollama_dialect(),
    "openai": openai_dialect(),
}


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/api/nothing", "ollama"),
        ("/api/chat/", "ollama"),
        ("/v1/messages/batches", "anthropic"),
        ("/v1/chat/nothing", "openai"),
        # Several are at home there, or nobody.
        ("/v1/nothing", None),
        ("/v1/models", None),
        ("/apinothing", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_path_belongs_to_who_alone_is_at_home_there(path: str, owner: str | None) -> None:
    """By whole segments, the longest beginning first."""
    found = PathOwners(DIALECTS.values()).owner(path)

    assert (None if owner is None else DIALECTS[owner]) is found


@pytest.mark.parametrize(
    ("method", "path", "keys"),
    [
        ("POST", "/v1/messages/batches", {"type", "error", "request_id"}),
        ("GET", "/v1/messages", {"type", "error", "request_id"}),
        ("GET", "/v1/chat/completions", {"error"}),
        ("GET", "/elsewhere", {"error"}),
    ],
)
async def test_a_client_understands_what_is_not_there(
    http: httpx.AsyncClient, method: str, path: str, keys: set[str]
) -> None:
    """The error has the form of its API."""
    answer = await http.request(method, path)

    assert answer.status_code in {404, 405}
    assert keys == set(answer.json())


@pytest.mark.parametrize("path", ["/health", "/metrics", "/openapi.json", "/v1/models"])
async def test_the_head_of_what_can_be_read_is_there(http: httpx.AsyncClient, path: str) -> None:
    """With the length of what a GET would bring, and without that."""
    answer = await http.head(path)

    assert (200, b"") == (answer.status_code, answer.content)
    assert int(answer.headers["content-length"]) > 0
