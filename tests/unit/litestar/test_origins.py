"""Web pages that use the server from a browser."""

from __future__ import annotations

import httpx
import pytest

from stoker.testing import ScriptedHost
from stoker_litestar.options import HttpOptions

CHAT = "/v1/chat/completions"
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}'
PAGE = "https://chat.example"


@pytest.fixture
def options() -> HttpOptions:
    """A server that one page may use."""
    return HttpOptions(port=0, drain_timeout_s=1, allowed_origins=(PAGE,))


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://chat.example", "http://[", "http://127.0.0.1:1"],
)
async def test_a_page_of_somebody_else_is_refused(
    http: httpx.AsyncClient, scripted: ScriptedHost, origin: str
) -> None:
    """Also with the content type that browsers send to anybody without asking first."""
    headers = {"origin": origin, "content-type": "text/plain"}
    response = await http.post(CHAT, content=BODY, headers=headers)

    assert 403 == response.status_code
    assert "allowed_origins" in response.json()["error"]["message"]
    assert "access-control-allow-origin" not in response.headers
    assert [] == scripted.requests


async def test_an_allowed_page_may_read_the_answer(http: httpx.AsyncClient) -> None:
    """The browser is told so, before the request and with it."""
    asked = await http.options(
        CHAT,
        headers={
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        },
    )
    answered = await http.post(CHAT, content=BODY, headers={"origin": PAGE})

    assert (204, PAGE) == (asked.status_code, asked.headers["access-control-allow-origin"])
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert (200, PAGE) == (answered.status_code, answered.headers["access-control-allow-origin"])


async def test_pages_of_the_server_itself_are_fine(http: httpx.AsyncClient) -> None:
    """A page that came from here is nobody else's."""
    origin = str(http.base_url).rstrip("/")

    assert 200 == (await http.post(CHAT, content=BODY, headers={"origin": origin})).status_code


class TestAnyPage:
    @pytest.fixture
    def options(self) -> HttpOptions:
        """A server that every page may use."""
        return HttpOptions(port=0, drain_timeout_s=1, allowed_origins=("*",))

    async def test_a_star_lets_every_page_in(self, http: httpx.AsyncClient) -> None:
        """Whoever wants that can have it."""
        response = await http.post(CHAT, content=BODY, headers={"origin": "null"})

        assert (200, "*") == (
            response.status_code,
            response.headers["access-control-allow-origin"],
        )
