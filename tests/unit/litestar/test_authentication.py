"""API keys over HTTP."""

from __future__ import annotations

import base64
import logging

import httpx
import pytest

from stoker.caller import Scope
from stoker.keys import ApiKey, KeyRing, hash_of
from stoker.testing import ScriptedHost

ANN = "sk-stoker-ann"
ROOT = "sk-stoker-root"
CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.fixture
def keys() -> KeyRing:
    """One key for asking, one for changing."""
    return KeyRing(
        [
            ApiKey("ann", hash_of(ANN), frozenset({Scope.INFER})),
            ApiKey("root", hash_of(ROOT), frozenset({Scope.ADMIN})),
        ]
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {ANN}"},
        {"authorization": f"bearer  {ANN}"},
        {"x-api-key": ANN},
        {"authorization": basic(ANN)},
    ],
)
async def test_a_key_is_taken_wherever_clients_put_it(
    http: httpx.AsyncClient, scripted: ScriptedHost, headers: dict[str, str]
) -> None:
    """The request is answered, and the host learns whose it is."""
    response = await http.post(CHAT, json=BODY, headers=headers)

    assert 200 == response.status_code
    (context,) = scripted.contexts
    assert ("ann", "127.0.0.1") == (context.caller.name, context.caller.address)
    assert context.id == response.headers["x-request-id"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer sk-stoker-bob"},
        {"authorization": "Bearer"},
        {"authorization": "Basic !"},
        {"authorization": f"Digest {ANN}"},
        {"x-api-key": hash_of(ANN)},
    ],
)
async def test_without_a_right_key_there_is_nothing(
    http: httpx.AsyncClient, scripted: ScriptedHost, headers: dict[str, str]
) -> None:
    """The answer is a 401 in the dialect's form, and nobody is asked."""
    response = await http.post(CHAT, json=BODY, headers=headers)

    assert 401 == response.status_code
    assert "invalid_api_key" == response.json()["error"]["code"]
    assert 'Bearer realm="stoker"' == response.headers["www-authenticate"]
    assert [] == scripted.requests


async def test_a_registry_asks_for_a_login_in_its_own_form(http: httpx.AsyncClient) -> None:
    """Clients of registries find the challenge and the error that their specification names."""
    response = await http.get("/v2/")

    assert 401 == response.status_code
    assert 'Basic realm="stoker"' == response.headers["www-authenticate"]
    assert "UNAUTHORIZED" == response.json()["errors"][0]["code"]
    assert 200 == (await http.get("/v2/", headers={"authorization": basic(ANN)})).status_code


async def test_scopes_are_kept_apart(http: httpx.AsyncClient) -> None:
    """A key for changes does not ask, and a key for asking does not change."""
    root, ann = ({"x-api-key": key} for key in (ROOT, ANN))

    asked = await http.post(CHAT, json=BODY, headers=root)
    written = await http.put("/v2/ai/x/manifests/latest", headers=ann)

    assert (403, 403) == (asked.status_code, written.status_code)
    assert "access_denied" == asked.json()["error"]["code"]
    assert "'root' has no scope 'infer'" in asked.json()["error"]["message"]
    assert "DENIED" == written.json()["errors"][0]["code"]


async def test_health_needs_no_key(http: httpx.AsyncClient) -> None:
    """What watches the server need not be trusted."""
    assert 200 == (await http.get("/health")).status_code


async def test_keys_stand_in_no_log_and_no_error(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong key may be a right one somewhere else."""
    with caplog.at_level(logging.DEBUG):
        response = await http.get("/v1/models", headers={"x-api-key": "sk-stoker-other"})

    assert 401 == response.status_code
    assert "sk-stoker" not in response.text
    assert "sk-stoker-other" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("stoker")
    )


@pytest.mark.parametrize(("text", "status"), [("2.5", 200), ("0", 400), ("-1", 400), ("inf", 400)])
async def test_a_request_may_bring_its_deadline(
    http: httpx.AsyncClient, scripted: ScriptedHost, text: str, status: int
) -> None:
    """Seconds above 0 reach the host; anything else is the client's mistake."""
    headers = {"x-api-key": ANN, "x-request-timeout": text}
    response = await http.post(CHAT, json=BODY, headers=headers)

    assert status == response.status_code
    assert ([2.5] if status == 200 else []) == [item.timeout_s for item in scripted.contexts]
