"""Routes of commands and blobs, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from stoker.caller import Scope
from stoker.dialect import Dialect
from stoker.digest import Digest
from stoker.errors import ModelNotFoundError, TransferError
from stoker.events import Failed
from stoker.host import Host, ModelCard
from stoker.keys import ApiKey, KeyRing, hash_of
from stoker.management import (
    FindModel,
    ListModels,
    ModelList,
    ModelStored,
    PullModel,
    PushModel,
    RemoveModel,
    TagModel,
    UnloadModels,
)
from stoker.request import GenerateRequest
from stoker.store import Progress
from stoker.testing import ScriptedHost
from stoker_litestar.dialects.docker.dialect import PREFIXES, docker_dialect
from stoker_litestar.dialects.ollama.dialect import ollama_dialect
from stoker_litestar.dialects.openai.dialect import openai_dialect
from stoker_litestar.dialects.prefix import below
from stoker_litestar.options import HttpOptions

from .conftest import WAIT_S, Serving, serving

DIGEST = Digest.of(b"weights")
CARD = ModelCard("ai/x", DIGEST, 7, 0.0, "oci")
DIALECTS: tuple[Dialect, ...] = (
    openai_dialect(),
    ollama_dialect(),
    docker_dialect(),
    below(openai_dialect(), PREFIXES),
)


@pytest.fixture
async def server(host: Host, options: HttpOptions, keys: KeyRing) -> AsyncIterator[Serving]:
    """The server, with all dialects of this test."""
    async with serving(host, options, keys, dialects=DIALECTS) as running:
        yield running


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that another task does."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - it is watched from outside
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("method", "path", "command"),
    [
        ("GET", "/models", ListModels()),
        ("GET", "/models/ai/x", FindModel("ai/x")),
        ("GET", "/models/ai/x?remote=true", FindModel("ai/x", remote=True)),
        ("GET", "/models/localhost:5000/a/b:1", FindModel("localhost:5000/a/b:1")),
        ("GET", "/models/ai/push", FindModel("ai/push")),
        ("GET", "/models/a%2Fb", FindModel("a/b")),
        ("DELETE", "/models/ai/x", RemoveModel("ai/x")),
        ("POST", "/models/ai/x/push", PushModel("ai/x")),
        ("POST", "/models/ai/push/push", PushModel("ai/push")),
        ("POST", "/models/ai/x/tag?repo=a&tag=b", TagModel("ai/x", "a:b")),
    ],
)
async def test_names_stand_in_paths(
    http: httpx.AsyncClient,
    scripted: ScriptedHost,
    method: str,
    path: str,
    command: object,
) -> None:
    """A name may have slashes, and what follows it tells routes apart."""
    scripted.command_events = (Failed(ModelNotFoundError("No.", model="x")),)

    response = await http.request(method, path)

    assert [command] == scripted.commands
    assert 404 == response.status_code
    assert "No.\n" == response.text


async def test_something_new_is_a_201(http: httpx.AsyncClient, scripted: ScriptedHost) -> None:
    """What a command made stands under a name of its own."""
    scripted.command_events = (ModelStored(CARD),)

    response = await http.post("/models/ai/x/tag", params={"repo": "a", "tag": "b"})

    assert (201, "a:b") == (response.status_code, response.json()["target"])


async def test_a_wrong_method_names_the_right_ones(http: httpx.AsyncClient) -> None:
    """The path is there, but not for this."""
    response = await http.get("/models/ai/x/tag")
    refused = await http.post("/models/ai/x")

    # A name may end so: only its own routes can tell, and there is one that gets models.
    assert 200 != response.status_code
    assert (405, "DELETE, GET, HEAD") == (refused.status_code, refused.headers["allow"])


async def test_heads_have_no_body(http: httpx.AsyncClient, scripted: ScriptedHost) -> None:
    """What can be got can be asked for, as clients do to see whether the server runs."""
    got, head = await http.get("/"), await http.head("/")
    scripted.command_events = (ModelList(()),)
    tags = await http.head("/api/tags")

    assert ("Ollama is running", "text/plain; charset=utf-8") == (
        got.text,
        got.headers["content-type"],
    )
    assert (200, b"", got.headers["content-length"]) == (
        head.status_code,
        head.content,
        head.headers["content-length"],
    )
    assert (200, b"") == (tags.status_code, tags.content)


async def test_progress_comes_while_it_is_made(
    http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """A pull's lines arrive before its end, and a client that leaves gives it up."""
    scripted.command_events = (Progress("pulling", "x", 1, 7, DIGEST), ModelStored(CARD))
    scripted.hang = True

    async with http.stream("POST", "/api/pull", json={"model": "ai/x"}) as response:
        lines = response.aiter_lines()
        assert '{"status":"pulling manifest"}' == await anext(lines)
        assert 0 == scripted.closed
        assert "application/x-ndjson" == response.headers["content-type"]

    await until(lambda: scripted.closed == 1)
    assert [PullModel("ai/x")] == scripted.commands


async def test_a_failure_before_the_first_line_has_a_status(
    http: httpx.AsyncClient, scripted: ScriptedHost
) -> None:
    """After it the status is fixed, and the error comes in band."""
    scripted.command_events = (Failed(TransferError("It broke off.")),)
    before = await http.post("/api/pull", json={"model": "ai/x"})
    scripted.command_events = (Progress("pulling", "x", 1, 7, DIGEST), *scripted.command_events)
    after = await http.post("/api/pull", json={"model": "ai/x"})

    assert (502, '{"error":"It broke off."}') == (before.status_code, before.text)
    assert 200 == after.status_code
    assert '{"error":"It broke off."}' == after.text.splitlines()[-1]


async def test_a_request_can_be_a_command(http: httpx.AsyncClient, scripted: ScriptedHost) -> None:
    """A prompt of nothing with a keep-alive of nothing unloads."""
    scripted.command_events = (Failed(ModelNotFoundError("No.", model="x")),)

    response = await http.post("/api/generate", json={"model": "ai/x", "keep_alive": 0})

    assert [UnloadModels(("ai/x",))] == scripted.commands
    assert (404, {"error": "No."}) == (response.status_code, response.json())


async def test_a_path_pins_the_backend(http: httpx.AsyncClient, scripted: ScriptedHost) -> None:
    """With the prefix of an engine, that engine answers or nobody does."""
    chat = {"model": "ai/x", "messages": [{"role": "user", "content": "Hi"}]}

    pinned = await http.post("/engines/llama.cpp/v1/chat/completions", json=chat)
    free = await http.post("/engines/v1/chat/completions", json=chat)
    listed = await http.get("/engines/llama.cpp/v1/models")
    found = await http.get("/engines/llama.cpp/v1/models/ai/smollm2")

    assert [200] * 4 == [item.status_code for item in (pinned, free, listed, found)]
    requests = [item for item in scripted.requests if isinstance(item, GenerateRequest)]
    assert ["llama.cpp", None] == [request.backend for request in requests]
    assert "ai/smollm2" == found.json()["id"]


async def test_blobs_come_in_pieces_of_any_size(
    http: httpx.AsyncClient, scripted: ScriptedHost, options: HttpOptions
) -> None:
    """A blob may be larger than any other body, and is looked for by its digest."""
    data = bytes(options.max_body_bytes + 1)
    digest = Digest.of(data)

    missing = await http.head(f"/api/blobs/{digest}")
    sent = await http.post(f"/api/blobs/{digest}", content=data)
    there = await http.head(f"/api/blobs/{digest}")
    wrong = await http.post("/api/blobs/sha256:none", content=b"")

    assert [404, 201, 200, 400] == [item.status_code for item in (missing, sent, there, wrong)]
    assert len(data) == int(there.headers["content-length"])
    assert data == scripted.blobs[digest]


@pytest.mark.parametrize("options", [HttpOptions(port=0, drain_timeout_s=1, read_timeout_s=0.2)])
async def test_a_blob_that_stops_coming_is_given_up(
    server: Serving, scripted: ScriptedHost
) -> None:
    """The wait is for the next piece, so a large blob may take its time."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /api/blobs/{DIGEST} HTTP/1.1\r\nhost: {host}\r\n"
        "content-length: 7\r\n\r\nwei".encode()
    )

    answer = await asyncio.wait_for(reader.read(20), WAIT_S)

    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert b"408" in answer
    assert {} == scripted.blobs


KEYS = KeyRing(
    (
        ApiKey("reader", hash_of("sk-reader"), frozenset({Scope.INFER})),
        ApiKey("admin", hash_of("sk-admin"), frozenset({Scope.ADMIN})),
    )
)


@pytest.mark.parametrize("keys", [KEYS])
@pytest.mark.parametrize(
    ("key", "blob", "command"),
    [("sk-reader", 403, 200), ("sk-admin", 201, 200), (None, 401, 401)],
)
async def test_keys_are_asked_for(
    http: httpx.AsyncClient, key: str | None, blob: int, command: int
) -> None:
    """The transport asks who it is; the core knows what each command needs."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}

    sent = await http.post(f"/api/blobs/{DIGEST}", content=b"weights", headers=headers)
    version = await http.get("/api/version", headers=headers)

    assert (blob, command) == (sent.status_code, version.status_code)
