"""Bodies that are almost right: whatever is in them, the caller is told, and nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.dialect import CommandQuery
from stoker.errors import InvalidRequestError
from stoker_litestar.dialects.anthropic.count_tokens import decode_count as count_message
from stoker_litestar.dialects.anthropic.messages import decode_message
from stoker_litestar.dialects.docker import transfer as docker_transfer
from stoker_litestar.dialects.docker.engines import decode_unload
from stoker_litestar.dialects.ollama import generation as ollama
from stoker_litestar.dialects.ollama import transfer as ollama_transfer
from stoker_litestar.dialects.ollama.embedding import decode_embed
from stoker_litestar.dialects.ollama.embedding import decode_embeddings as decode_embeddings_of_old
from stoker_litestar.dialects.ollama.models import decode_show
from stoker_litestar.dialects.openai.chat import decode_chat
from stoker_litestar.dialects.openai.completions import decode_completion
from stoker_litestar.dialects.openai.embeddings import decode_embeddings
from stoker_litestar.dialects.openai.tokenizing import (
    decode_detokenize,
    decode_input_tokens,
    decode_template,
    decode_tokenize,
)
from stoker_litestar.dialects.rerank.rerank import decode_rerank
from stoker_litestar.dialects.rerank.score import decode_score
from stoker_litestar.dialects.responses.count import decode_count as count_response
from stoker_litestar.dialects.responses.responses import decode_response


def _of_query(decode: Callable[[CommandQuery], object]) -> Callable[[bytes], object]:
    return lambda body: decode(CommandQuery(name="m", body=body))


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
MESSAGE: dict[str, Any] = {
    "model": "m",
    "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "b"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "y"}],
                    "is_error": False,
                }
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA, "input_examples": [{"a": "b"}]}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
}
RESPONSE: dict[str, Any] = {
    "model": "m",
    "instructions": "S",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": "data:image/png;base64,cG5n"},
            ],
        },
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "y"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "z"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}],
    },
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}},
}
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "S"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
                {"type": "input_audio", "input_audio": {"data": "cG5n", "format": "wav"}},
            ],
        },
        {
            "role": "assistant",
            "reasoning_content": "Hm.",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "y"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
}
ROUTES: dict[str, tuple[Callable[[bytes], object], Any]] = {
    "message": (
        decode_message,
        MESSAGE
        | {
            "max_tokens": 9,
            "stop_sequences": ["x"],
            "temperature": 0.5,
            "metadata": {"user_id": "u"},
        },
    ),
    "message count": (count_message, MESSAGE),
    "response": (
        decode_response,
        RESPONSE
        | {
            "include": ["message.output_text.logprobs"],
            "top_logprobs": 1,
            "metadata": {"a": "b"},
            "stop": ["x"],
            "stream": True,
            "stream_options": {"include_obfuscation": False},
        },
    ),
    "response count": (count_response, RESPONSE),
    "chat": (
        decode_chat,
        CHAT
        | {
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": SCHEMA},
            },
            "logit_bias": {"5": -100},
            "logprobs": True,
            "top_logprobs": 1,
            "reasoning": {"effort": "low", "max_tokens": 9},
            "chat_template_kwargs": {"a": 1},
            "stop": ["x"],
            "n": 2,
            "seed": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ),
    "chat tokens": (decode_input_tokens, CHAT),
    "template": (decode_template, CHAT | {"continue_final_message": False}),
    "tokenize": (decode_tokenize, CHAT | {"add_special_tokens": True, "return_token_strs": True}),
    "tokenize text": (
        decode_tokenize,
        {"model": "m", "content": "x", "parse_special": False, "with_pieces": True},
    ),
    "detokenize": (decode_detokenize, {"model": "m", "tokens": [1, 2]}),
    "completion": (
        decode_completion,
        {
            "model": "m",
            "prompt": ["x", "y"],
            "suffix": "z",
            "logprobs": 1,
            "logit_bias": {"5": -100},
            "structured_outputs": {"choice": ["a", "b"]},
            "temperature": 0.5,
            "stop": "x",
        },
    ),
    "completion of tokens": (
        decode_completion,
        {"model": "m", "prompt": [[1, 2], [3]], "echo": True, "grammar": "root ::= 'a'"},
    ),
    "embedding": (
        decode_embeddings,
        {"model": "m", "input": ["x", "y"], "encoding_format": "base64", "dimensions": 5},
    ),
    "rerank": (
        decode_rerank,
        {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1},
    ),
    "score": (decode_score, {"model": "m", "text_1": ["a", "b"], "text_2": ["c", "d"]}),
    "ollama chat": (
        ollama.decode_chat,
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": "x", "images": ["iVBORw0KGgo="]},
                {
                    "role": "assistant",
                    "thinking": "Hm.",
                    "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
                },
                {"role": "tool", "tool_name": "f", "content": "y"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
            "options": {"temperature": 0.5, "num_predict": 5, "stop": ["x"], "seed": 1},
            "format": SCHEMA,
            "keep_alive": "5m",
            "think": "low",
            "logprobs": True,
            "top_logprobs": 1,
        },
    ),
    "ollama generate": (
        ollama.decode_generate,
        {"model": "m", "prompt": "x", "suffix": "y", "raw": True, "keep_alive": 5},
    ),
    "ollama embed": (decode_embed, {"model": "m", "input": ["x"], "dimensions": 5}),
    "ollama embeddings": (decode_embeddings_of_old, {"model": "m", "prompt": "x"}),
    "ollama pull": (_of_query(ollama_transfer.decode_pull), {"model": "m", "stream": False}),
    "ollama push": (_of_query(ollama_transfer.decode_push), {"name": "m", "insecure": False}),
    "ollama create": (
        _of_query(ollama_transfer.decode_create),
        {
            "model": "m",
            "files": {"x.gguf": f"sha256:{'0' * 64}"},
            "license": ["MIT"],
            "parameters": {},
            "messages": [],
        },
    ),
    "ollama copy": (_of_query(ollama_transfer.decode_copy), {"source": "m", "destination": "n"}),
    "ollama delete": (_of_query(ollama_transfer.decode_delete), {"model": "m"}),
    "ollama show": (_of_query(decode_show), {"model": "m", "verbose": True, "options": {}}),
    "docker create": (_of_query(docker_transfer.decode_create), {"from": "m", "bearer-token": ""}),
    "docker push": (_of_query(docker_transfer.decode_push), {"bearer-token": ""}),
    "docker unload": (
        _of_query(decode_unload),
        {"all": False, "backend": "x", "models": ["m", "n"]},
    ),
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["text", "image", "tool_use", "function", "message", "auto", "t1", "c1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "id", "content", "text", "name", "role", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)
Path = tuple[str | int, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where all parts of a value are."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, (*path, name))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from paths(inner, (*path, i))


def replaced(body: Any, path: Path, value: Any) -> Any:
    """A copy of a body with another value in one place."""
    copy = json.loads(json.dumps(body))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


@pytest.mark.parametrize("route", ROUTES)
@given(data=st.data())
def test_hostile_bodies_are_refused_or_read(route: str, data: st.DataObject) -> None:
    """Anything in any place is either understood, or an error that is the caller's."""
    decode, body = ROUTES[route]
    where = list(paths(body))
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(where))
        try:
            body = replaced(body, path, data.draw(values))
        except (KeyError, IndexError, TypeError):
            # The first change took this place away.
            continue

    try:
        decode(json.dumps(body).encode())
    except InvalidRequestError as exc:
        assert exc.message  # noqa: PT017 - an error is one of two right ends


@pytest.mark.parametrize("route", ROUTES)
def test_the_bodies_are_right(route: str) -> None:
    """What is made hostile is understood as it is."""
    decode, body = ROUTES[route]
    decode(json.dumps(body).encode())


@pytest.mark.parametrize("route", ROUTES)
@given(body=st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_what_is_no_body_is_refused(route: str, body: bytes) -> None:
    """Any bytes are either understood, or an error that is the caller's."""
    decode, _ = ROUTES[route]
    try:
        decode(body)
    except InvalidRequestError as exc:
        assert exc.message  # noqa: PT017 - as above
