"""Docker Model Runner's API over real HTTP: both engines, a real registry, OpenAI's client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from stoker_process import MODEL, Home, MakeHome, Registry, Server

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [
        {"role": "user", "content": "What is the capital of France? Answer in one sentence."}
    ],
    "temperature": 0,
    "max_tokens": 20,
}


ENGINES = [pytest.param("own_home", marks=pytest.mark.model), "own_mlx_home"]


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as made:
        yield made


@pytest.fixture(params=ENGINES)
def home(request: pytest.FixtureRequest) -> Home:
    """A home of one's own with a model, for each engine in turn."""
    made: Home = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def own(home: Home) -> Iterator[httpx.Client]:
    """A client of a server of its own, for tests that change what is there."""
    with home.serve() as running, httpx.Client(base_url=running.url, timeout=60) as made:
        yield made


def backend_of(home: Home) -> str:
    """The backend that the model of a home gets."""
    chosen: str = json.loads(home.ok("why", MODEL, "--json"))["backend"]
    return chosen


@pytest.mark.parametrize("pinned", [False, True])
def test_openai_clients_find_their_api_below_the_prefixes(served: Server, *, pinned: bool) -> None:
    """With a backend's name in the path as well."""
    prefix = f"/engines/{backend_of(served.home)}/v1" if pinned else "/engines/v1"
    with openai.OpenAI(base_url=f"{served.url}{prefix}", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(**CHAT)
        models = [model.id for model in client.models.list()]

    assert "Paris" in (answer.choices[0].message.content or "")
    assert [MODEL] == models


@pytest.mark.model
def test_a_backend_that_is_not_there_is_no_fall_back(http: httpx.Client) -> None:
    """The path pins, and the error says what there is."""
    response = http.post("/engines/vllm/v1/chat/completions", json=CHAT)

    assert 503 == response.status_code
    assert "'vllm', which is not installed" in response.json()["error"]["message"]


@pytest.mark.model
def test_models_are_listed_and_described(http: httpx.Client) -> None:
    """The id is the digest, and a name finds it again."""
    (listed,) = http.get("/models").json()
    found = http.get(f"/models/{MODEL}").json()
    missing = http.get("/models/ai/none")

    assert listed == found
    assert [MODEL] == found["tags"]
    assert found["id"].startswith("sha256:")
    assert ("gguf", "llama", "Q4_1") == tuple(
        found["config"][name] for name in ("format", "architecture", "quantization")
    )
    assert 404 == missing.status_code
    assert "stoker pull ai/none" in missing.text


def test_engines_tell_what_runs(home: Home, own: httpx.Client) -> None:
    """From the first request to the unloading."""
    backend = backend_of(home)
    before = own.get("/engines/ps").json()
    own.post("/engines/v1/chat/completions", json=CHAT).raise_for_status()
    running = own.get("/engines/ps").json()
    status = own.get("/engines/status").json()
    usage = own.get("/engines/df").json()
    unloaded = own.post("/engines/unload", json={"models": [MODEL]}).json()

    assert [] == before
    assert [
        {
            "backend_name": backend,
            "model_name": MODEL,
            "mode": "completion",
            "in_use": False,
            "loading": False,
        }
    ] == running
    assert status[backend].startswith("Running: ")
    (stored,) = json.loads(home.ok("list", "--json"))
    assert stored["size_bytes"] == usage["models_disk_usage"]
    assert {"unloaded_runners": 1} == unloaded
    assert [] == own.get("/engines/ps").json()


@pytest.mark.registry
def test_a_model_is_tagged_pushed_pulled_and_deleted(
    registry: Registry, own: httpx.Client, make_home: MakeHome
) -> None:
    """With a line of progress for every step, and the same digest at both ends."""
    repository = f"{registry.host}/docker/smollm2"
    tagged = own.post(f"/models/{MODEL}/tag", params={"repo": repository, "tag": "1"})
    pushed = own.post(f"/models/{repository}:1/push", headers={"accept": "application/json"})
    deleted = own.delete(f"/models/{repository}:1")
    remote = own.get(f"/models/{repository}:1", params={"remote": "true"}).json()
    with make_home().serve() as running, httpx.Client(base_url=running.url, timeout=60) as other:
        pulled = other.post("/models/create", json={"from": f"{repository}:1"})
        here = other.get(f"/models/{repository}:1").json()
        gone = other.delete(f"/models/{repository}:1", params={"force": "true"}).json()
        left = other.get("/models").json()

    assert 201 == tagged.status_code
    assert ["success", "push"] == [
        json.loads(pushed.text.splitlines()[-1])[name] for name in ("type", "mode")
    ]
    assert [{"Untagged": f"{repository}:1"}] == deleted.json()
    assert pulled.headers["content-type"].startswith("text/plain")
    assert "&#34;Model pulled successfully&#34;" in pulled.text.splitlines()[-1]
    assert remote["id"] == here["id"]
    assert {"Untagged": f"{repository}:1"} in gone
    assert any("Deleted" in item for item in gone)
    assert [] == left
