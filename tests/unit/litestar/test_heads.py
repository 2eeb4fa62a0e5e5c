"""Heads of what can be read."""

from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize("path", ["/health", "/metrics", "/openapi.json", "/v1/models"])
async def test_the_head_of_what_can_be_read_is_there(http: httpx.AsyncClient, path: str) -> None:
    """With the length of what a GET would bring, and without that."""
    answer = await http.head(path)

    assert (200, b"") == (answer.status_code, answer.content)
    assert int(answer.headers["content-length"]) > 0
