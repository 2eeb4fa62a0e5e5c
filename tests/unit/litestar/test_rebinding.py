"""Protection against DNS rebinding."""

from __future__ import annotations

import httpx
import pytest

from stoker_litestar.options import HttpOptions


@pytest.fixture
def options() -> HttpOptions:
    """A server with a name of its own."""
    return HttpOptions(port=0, allowed_hosts=("models.example",), drain_timeout_s=1)


async def status(http: httpx.AsyncClient, path: str, host: str) -> int:
    return (await http.get(path, headers={"host": host})).status_code


@pytest.mark.parametrize(
    "called",
    [
        "127.0.0.1:12434",
        "[::1]:12434",
        "[::1]",
        "localhost",
        "LOCALHOST:1",
        "stoker.localhost",
        "host.docker.internal:12434",
        "models.example",
        "Models.Example:80",
    ],
)
async def test_names_that_no_web_page_can_own_are_fine(
    http: httpx.AsyncClient, called: str
) -> None:
    """Addresses, private names and the ones in the settings are let in."""
    assert 200 == await status(http, "/health", called)


@pytest.mark.parametrize(
    "called", ["evil.example", "localhost.evil.example:12434", "127.0.0.1.nip.io"]
)
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v2/"])
async def test_other_names_are_refused(http: httpx.AsyncClient, called: str, path: str) -> None:
    """A page that gave its own name this address gets nothing from any route."""
    assert 403 == await status(http, path, called)


async def test_the_refusal_names_the_setting(http: httpx.AsyncClient) -> None:
    """Whoever runs a proxy learns what to set."""
    response = await http.get("/v1/models", headers={"host": "evil.example"})

    assert "allowed_hosts" in response.json()["error"]["message"]
