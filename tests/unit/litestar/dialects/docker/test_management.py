"""Docker Model Runner's models and engines."""

from __future__ import annotations

import json
from typing import Any

import attrs
import msgspec
import pytest

from stoker.artifact import ModelFacts
from stoker.backend import Availability
from stoker.dialect import CommandQuery, ErrorContext, ResponseContext
from stoker.digest import Digest
from stoker.engine import Mode
from stoker.errors import InvalidRequestError, ModelNotFoundError
from stoker.events import Failed
from stoker.host import ModelCard, RunnerState, RunnerStatus
from stoker.management import (
    BackendList,
    BackendState,
    CommandEvent,
    DiskUsage,
    FindModel,
    LoadedList,
    LoadedModel,
    ModelFound,
    ModelList,
    ModelRemoved,
    ModelStored,
    ModelsUnloaded,
    RemoveModel,
    TagModel,
    UnloadModels,
    Version,
)
from stoker.reference import Reference
from stoker.store import Removal
from stoker_litestar.dialects.docker.dialect import docker_dialect
from stoker_litestar.dialects.docker.engines import (
    decode_df,
    decode_ps,
    decode_status,
    decode_unload,
    decode_version,
)
from stoker_litestar.dialects.docker.management_fields import (
    CREATE_FIELDS,
    PUSH_FIELDS,
    UNLOAD_FIELDS,
)
from stoker_litestar.dialects.docker.models import (
    decode_delete,
    decode_inspect,
    decode_list,
    decode_tag,
)
from stoker_litestar.dialects.docker.wire.management import CreateBody, PushBody, UnloadBody
from stoker_litestar.dialects.fields import FieldTable

DIGEST = Digest.of(b"a")
CARD = ModelCard(
    "ai/x",
    DIGEST,
    2 * 1024**2,
    1234.5,
    "oci",
    facts=ModelFacts(format="gguf", architecture="llama", parameters="135M", context_length=8192),
)
CONFIG = {
    "format": "gguf",
    "parameters": "135M",
    "architecture": "llama",
    "size": "2.00 MiB",
    "context_size": 8192,
}
STATUS = RunnerStatus(
    model="ai/x",
    digest=DIGEST,
    backend="llama.cpp",
    state=RunnerState.READY,
    pid=1,
    active_requests=2,
    context_length=4096,
    devices=(),
    memory_bytes=None,
    expires_in_s=None,
    modes=frozenset({Mode.GENERATE}),
)
NOTHING = CommandQuery()


def answer(call: Any, event: CommandEvent) -> Any:
    """What comes of a result."""
    encoder = call.encoder(ResponseContext("abc", 1234))
    assert "application/json" == encoder.content_type
    return json.loads(encoder.feed(event))


def test_a_model_is_listed_once_with_all_its_names() -> None:
    """The id is the digest, and what is not known is left out."""
    other = attrs.evolve(CARD, name="team/y:1")
    third = ModelCard("ai/z", Digest.of(b"z"), 0, 0.0, "oci")

    first, last = answer(decode_list(NOTHING), ModelList((CARD, other, third)))

    tags = ["ai/x", "team/y:1"]
    assert {"id": str(DIGEST), "tags": tags, "created": 1234, "config": CONFIG} == first
    assert {"size": "0.00 MiB"} == last["config"]


@pytest.mark.parametrize(
    ("text", "remote"), [(None, False), ("true", True), ("1", True), ("false", False), ("", True)]
)
def test_a_model_is_found_here_or_far_away(text: str | None, *, remote: bool) -> None:
    """`remote` looks where a pull would take it from; there it has no names of ours."""
    query = CommandQuery(name="ai/x", query={} if text is None else {"remote": text})
    call = decode_inspect(query)

    assert FindModel("ai/x", remote=remote) == call.command
    assert ["ai/x"] == answer(call, ModelFound(CARD, ()))["tags"]
    assert ["a", "b"] == answer(call, ModelFound(CARD, ("a", "b")))["tags"]


def test_a_model_gets_another_name() -> None:
    """Repository and tag stand in the query, and both are needed."""
    call = decode_tag(CommandQuery(name="ai/x", query={"repo": "team/y", "tag": "1"}))

    assert TagModel("ai/x", "team/y:1") == call.command
    assert "team/y:1" == answer(call, ModelStored(CARD))["target"]
    for query, param in (({"repo": "team/y"}, "tag"), ({"tag": "1"}, "repo")):
        with pytest.raises(InvalidRequestError) as caught:
            decode_tag(CommandQuery(name="ai/x", query=query))
        assert param == caught.value.param


def test_a_model_is_deleted() -> None:
    """The answer lists the names and the blobs that are gone."""
    call = decode_delete(CommandQuery(name="ai/x", query={"force": "true"}))
    removal = Removal((Reference.parse("ai/x"),), (DIGEST,), 7)

    assert RemoveModel("ai/x", force=True) == call.command
    assert [{"Untagged": "ai/x"}, {"Deleted": str(DIGEST)}] == answer(
        call, ModelRemoved((removal,))
    )
    with pytest.raises(InvalidRequestError) as caught:
        decode_delete(CommandQuery(name="ai/x", query={"force": "perhaps"}))
    assert "force" == caught.value.param


def test_the_state_of_the_engines() -> None:
    """A backend that cannot run here says why."""
    backends = (
        BackendState("llama.cpp", Availability(available=True, reason=""), "1.0"),
        BackendState("mlx", Availability(available=False, reason="mlx is not installed"), ""),
    )

    assert {
        "llama.cpp": "Running: llama.cpp 1.0",
        "mlx": "Not Installed: mlx is not installed",
    } == answer(decode_status(NOTHING), BackendList(backends))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"mode": "completion", "in_use": True, "loading": False}),
        (
            {"modes": frozenset({Mode.EMBED}), "active_requests": 0},
            {"mode": "embedding", "in_use": False},
        ),
        ({"modes": frozenset({Mode.RERANK})}, {"mode": "reranking"}),
        ({"state": RunnerState.LOADING}, {"loading": True}),
    ],
)
def test_the_list_of_runners(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    """What each is for, and whether somebody uses it."""
    loaded = LoadedList((LoadedModel(attrs.evolve(STATUS, **changes), CARD),))

    (found,) = answer(decode_ps(NOTHING), loaded)

    assert expected == {name: found[name] for name in expected}
    assert ("llama.cpp", "ai/x") == (found["backend_name"], found["model_name"])


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        ({"all": True}, UnloadModels()),
        ({"all": True, "models": ["a"]}, UnloadModels()),
        ({"models": ["a", "b"]}, UnloadModels(("a", "b"))),
        ({"backend": "mlx"}, UnloadModels(None, backend="mlx")),
        ({"models": ["a"], "backend": "mlx"}, UnloadModels(("a",), backend="mlx")),
    ],
)
def test_models_are_unloaded(fields: dict[str, Any], command: UnloadModels) -> None:
    """By name, by backend, or all of them; the answer counts."""
    call = decode_unload(CommandQuery(body=json.dumps(fields).encode()))

    assert command == call.command
    assert {"unloaded_runners": 2} == answer(call, ModelsUnloaded(2))


def test_unloading_nothing_is_an_error() -> None:
    """Who says nothing does not mean everything."""
    with pytest.raises(InvalidRequestError):
        decode_unload(CommandQuery(body=b"{}"))


def test_sizes_and_versions() -> None:
    """One number, and one text."""
    assert {"models_disk_usage": 7} == answer(decode_df(NOTHING), DiskUsage(7))
    assert {"version": "1.2"} == answer(decode_version(NOTHING), Version("1.2"))


def test_errors_are_plain_sentences() -> None:
    """Docker's clients print the body as it is."""
    dialect = docker_dialect()
    error = ModelNotFoundError("It is not here.", model="x")

    assert b"It is not here.\n" == dialect.encode_error(error, ErrorContext(404, "abc"))
    assert "text/plain; charset=utf-8" == dialect.error_content_type
    encoder = decode_list(NOTHING).encoder(ResponseContext("abc", 1))
    assert b"It is not here.\n" == encoder.feed(Failed(error))


@pytest.mark.parametrize(
    ("table", "struct"),
    [(CREATE_FIELDS, CreateBody), (PUSH_FIELDS, PushBody), (UNLOAD_FIELDS, UnloadBody)],
)
def test_the_tables_are_complete(table: FieldTable, struct: type[msgspec.Struct]) -> None:
    """Table and Struct have the same fields."""
    assert set(struct.__struct_encode_fields__) == set(table)
