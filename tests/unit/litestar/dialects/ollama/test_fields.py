"""Every field of Ollama's API is honoured, refused or a documented no-op."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec
import ollama._types as sdk
import pydantic
import pytest
from treatments import check_treatment

from stoker.dialect import CommandQuery
from stoker_litestar.dialects.fields import FieldTable, Treatment
from stoker_litestar.dialects.ollama.embedding import decode_embed, decode_embeddings
from stoker_litestar.dialects.ollama.embedding_fields import EMBED_FIELDS, EMBEDDINGS_FIELDS
from stoker_litestar.dialects.ollama.generation import decode_chat, decode_generate
from stoker_litestar.dialects.ollama.generation_fields import CHAT_FIELDS, GENERATE_FIELDS
from stoker_litestar.dialects.ollama.management_fields import (
    COPY_FIELDS,
    CREATE_FIELDS,
    DELETE_FIELDS,
    SHOW_FIELDS,
    TRANSFER_FIELDS,
)
from stoker_litestar.dialects.ollama.models import decode_show
from stoker_litestar.dialects.ollama.option_fields import OPTION_FIELDS
from stoker_litestar.dialects.ollama.transfer import (
    decode_copy,
    decode_create,
    decode_delete,
    decode_pull,
    decode_push,
)
from stoker_litestar.dialects.ollama.wire.embedding import EmbedBody, EmbeddingsBody
from stoker_litestar.dialects.ollama.wire.generation import ChatBody, GenerateBody
from stoker_litestar.dialects.ollama.wire.management import (
    CopyBody,
    CreateBody,
    DeleteBody,
    ShowBody,
    TransferBody,
)
from stoker_litestar.dialects.ollama.wire.message import (
    CalledFunction,
    FunctionBody,
    MessageBody,
    ToolBody,
    ToolCallBody,
)
from stoker_litestar.dialects.ollama.wire.options import Options

from .conftest import DIGEST, body

PNG = "iVBORw0KGgo="
TABLES: dict[type[pydantic.BaseModel], tuple[FieldTable, type[msgspec.Struct]]] = {
    sdk.ChatRequest: (CHAT_FIELDS, ChatBody),
    sdk.GenerateRequest: (GENERATE_FIELDS, GenerateBody),
    sdk.EmbedRequest: (EMBED_FIELDS, EmbedBody),
    sdk.EmbeddingsRequest: (EMBEDDINGS_FIELDS, EmbeddingsBody),
    sdk.PullRequest: (TRANSFER_FIELDS, TransferBody),
    sdk.PushRequest: (TRANSFER_FIELDS, TransferBody),
    sdk.CreateRequest: (CREATE_FIELDS, CreateBody),
    sdk.CopyRequest: (COPY_FIELDS, CopyBody),
    sdk.DeleteRequest: (DELETE_FIELDS, DeleteBody),
    sdk.ShowRequest: (SHOW_FIELDS, ShowBody),
    sdk.Options: (OPTION_FIELDS, Options),
}
ELSEWHERE = {
    # Bases of those above.
    sdk.BaseRequest,
    sdk.BaseStreamableRequest,
    sdk.BaseGenerateRequest,
    # Of services on the publisher's own servers.
    sdk.WebSearchRequest,
    sdk.WebFetchRequest,
    sdk.SystemOneRequest,
}
JSON_NAMES = {"from_": "from"}


def _fields(model: type[pydantic.BaseModel]) -> set[str]:
    return {JSON_NAMES.get(name, name) for name in model.model_fields}


def test_all_requests_of_the_sdk_are_known() -> None:
    """A request type that the official client has and nothing here looks at fails."""
    found = {
        kind
        for name, kind in inspect.getmembers(sdk, inspect.isclass)
        if name.endswith("Request") and issubclass(kind, pydantic.BaseModel)
    }

    assert found - ELSEWHERE == set(TABLES) - {sdk.Options}


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_the_tables_are_complete(model: type[pydantic.BaseModel]) -> None:
    """Table and Struct have the same fields, among them all of the official client's."""
    table, struct = TABLES[model]

    assert set(struct.__struct_encode_fields__) == set(table)
    assert set() == _fields(model) - set(table)
    assert all(rule.reason or rule.treatment is Treatment.HONOURED for rule in table.values())


@pytest.mark.parametrize(
    ("struct", "official"),
    [
        (MessageBody, sdk.Message),
        (ToolCallBody, sdk.Message.ToolCall),
        (CalledFunction, sdk.Message.ToolCall.Function),
        (ToolBody, sdk.Tool),
        (FunctionBody, sdk.Tool.Function),
    ],
)
def test_nested_structs_are_complete(
    struct: type[msgspec.Struct], official: type[pydantic.BaseModel]
) -> None:
    """What is inside the fields has all of the official client's fields as well."""
    assert set() == set(official.model_fields) - set(struct.__struct_fields__)


def _command(decode: Callable[[CommandQuery], Any]) -> Callable[[bytes], Any]:
    return lambda data: decode(CommandQuery(body=data))


CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
GENERATE: dict[str, Any] = {"model": "m", "prompt": "Hi"}
TOOL = {"type": "function", "function": {"name": "add"}}
SHARED_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "stream": {"stream": False},
    "options": {"options": {"seed": 5}},
    "format": {"format": "json"},
    "keep_alive": {"keep_alive": "5m"},
    "think": {"think": False},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 2, "logprobs": True},
    "truncate": {"truncate": True},
    "shift": {"shift": True},
    "_debug_render_only": {"_debug_render_only": True},
}
CHAT_VALUES: dict[str, dict[str, Any]] = {
    **SHARED_VALUES,
    "messages": {"messages": [{"role": "user", "content": "Ho"}]},
    "tools": {"tools": [TOOL]},
}
GENERATE_VALUES: dict[str, dict[str, Any]] = {
    **SHARED_VALUES,
    "prompt": {"prompt": "Ho"},
    "suffix": {"suffix": "x"},
    "system": {"system": "Be brief."},
    "template": {"template": "{{ .Prompt }}"},
    "context": {"context": [1]},
    "raw": {"raw": True},
    "images": {"images": [PNG]},
    "width": {"width": 5},
    "height": {"height": 5},
    "steps": {"steps": 5},
}
EMBED_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "input": {"input": "Ho"},
    "truncate": {"truncate": True},
    "keep_alive": {"keep_alive": 0},
    "dimensions": {"dimensions": 5},
}
EMBEDDINGS_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "prompt": {"prompt": "Ho"},
    "keep_alive": {"keep_alive": 0},
}
TRANSFER_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "name": {"name": "other"},
    "insecure": {"insecure": True},
    "username": {"username": "me"},
    "password": {"password": "x"},
    "stream": {"stream": False},
}
CREATE_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "name": {"name": "other"},
    "from": {"from": "base"},
    "files": {"files": {"other.gguf": str(DIGEST)}},
    "adapters": {"adapters": {"a.gguf": str(DIGEST)}},
    "template": {"template": "{{ .Prompt }}"},
    "license": {"license": "MIT"},
    "system": {"system": "Be brief."},
    "parameters": {"parameters": {"seed": 1}},
    "messages": {"messages": [{"role": "user", "content": "Hi"}]},
    "quantize": {"quantize": "q4_K_M"},
    "quantization": {"quantization": "q4_K_M"},
    "modelfile": {"modelfile": "FROM x"},
    "path": {"path": "/x"},
    "renderer": {"renderer": "qwen3"},
    "parser": {"parser": "qwen3"},
    "requires": {"requires": "0.30.0"},
    "info": {"info": {"a": 1}},
    "remote_host": {"remote_host": "example.com"},
    "stream": {"stream": False},
}
SHOW_VALUES: dict[str, dict[str, Any]] = {
    "model": {"model": "other"},
    "name": {"name": "other"},
    "verbose": {"verbose": True},
    "system": {"system": "Be brief."},
    "template": {"template": "{{ .Prompt }}"},
    "options": {"options": {"seed": 1}},
}
OPTION_VALUES: dict[str, Any] = {
    "temperature": 0.5,
    "top_k": 5,
    "top_p": 0.5,
    "min_p": 0.5,
    "typical_p": 0.5,
    "tfs_z": 0.5,
    "repeat_last_n": 5,
    "repeat_penalty": 1.5,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "penalize_newline": False,
    "mirostat": 1,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.1,
    "seed": 5,
    "num_predict": 5,
    "stop": ["x"],
    "num_ctx": 512,
    "num_keep": 5,
    "num_batch": 5,
    "num_gpu": 5,
    "main_gpu": 1,
    "num_thread": 5,
    "draft_num_predict": 5,
    "use_mmap": True,
    "use_mlock": True,
    "numa": True,
    "low_vram": True,
    "f16_kv": True,
    "logits_all": True,
    "vocab_only": True,
    "embedding_only": True,
}
INSTEAD = {"name": "model", "from": "files"}
"""Fields that say what others say as well, which go then."""
NAMED: dict[str, Any] = {"model": "m"}
BLOB: dict[str, Any] = {"model": "m", "files": {"x.gguf": str(DIGEST)}}
Row = tuple[str, Callable[[bytes], Any], dict[str, Any], FieldTable, dict[str, dict[str, Any]]]
ROUTES: list[Row] = [
    ("chat", decode_chat, CHAT, CHAT_FIELDS, CHAT_VALUES),
    ("generate", decode_generate, GENERATE, GENERATE_FIELDS, GENERATE_VALUES),
    ("embed", decode_embed, {"model": "m", "input": "Hi"}, EMBED_FIELDS, EMBED_VALUES),
    ("embeddings", decode_embeddings, GENERATE, EMBEDDINGS_FIELDS, EMBEDDINGS_VALUES),
    ("pull", _command(decode_pull), NAMED, TRANSFER_FIELDS, TRANSFER_VALUES),
    ("push", _command(decode_push), NAMED, TRANSFER_FIELDS, TRANSFER_VALUES),
    ("create", _command(decode_create), BLOB, CREATE_FIELDS, CREATE_VALUES),
    ("show", _command(decode_show), NAMED, SHOW_FIELDS, SHOW_VALUES),
    (
        "copy",
        _command(decode_copy),
        {"source": "a", "destination": "b"},
        COPY_FIELDS,
        {"source": {"source": "c"}, "destination": {"destination": "c"}},
    ),
    (
        "delete",
        _command(decode_delete),
        NAMED,
        DELETE_FIELDS,
        {"model": {"model": "other"}, "name": {"name": "other"}},
    ),
]
FIELDS = [
    pytest.param(decode, base, table, name, values, id=f"{route}-{name}")
    for route, decode, base, table, all_values in ROUTES
    for name, values in all_values.items()
]


def _meaning(call: Any) -> Any:
    """What a call asks for; encoders show what they were made with."""
    asked = call.request if hasattr(call, "request") else call.command
    return asked, call.stream, getattr(call.encoder, "keywords", None)


@pytest.mark.parametrize(("decode", "base", "table", "name", "values"), FIELDS)
def test_fields_do_what_the_table_says(
    decode: Callable[[bytes], Any],
    base: dict[str, Any],
    table: FieldTable,
    name: str,
    values: dict[str, Any],
) -> None:
    """Honoured fields change the call, refused ones are named errors, no-ops change nothing."""

    def call(fields: dict[str, Any]) -> Any:
        replaced = {instead for field, instead in INSTEAD.items() if field in fields}
        kept = {key: value for key, value in base.items() if key not in replaced}
        return _meaning(decode(body(kept | fields)))

    check_treatment(call, table, name, values)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route[0])
def test_every_field_has_a_value_here(route: Row) -> None:
    """No field of a table goes untested; those of the options have a test of their own."""
    _, _, _, table, values = route

    assert set(table) - {"options"} == set(values) - {"options"}


@pytest.mark.parametrize("name", OPTION_FIELDS)
def test_options_do_what_the_table_says(name: str) -> None:
    """As with the fields of requests."""

    def call(options: dict[str, Any]) -> Any:
        return _meaning(decode_chat(body(CHAT | {"options": options})))

    check_treatment(call, OPTION_FIELDS, name, {name: OPTION_VALUES[name]}, path="options.")


def test_harmless_values_are_let_through() -> None:
    """A refused option that asks for what happens anyway is fine."""
    harmless = {name: value for name, rule in OPTION_FIELDS.items() for value in rule.harmless[:1]}

    decode_chat(body(CHAT | {"options": harmless, "truncate": False, "shift": False}))
    decode_generate(body(GENERATE | {"suffix": "", "context": [], "template": ""}))
