"""Bodies that are almost right: whatever is in them, the caller is told, and nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import InvalidRequestError
from stoker_litestar.dialects.anthropic.count_tokens import decode_count as count_message
from stoker_litestar.dialects.anthropic.messages import decode_message
from stoker_litestar.dialects.responses.count import decode_count as count_response
from stoker_litestar.dialects.responses.responses import decode_response

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
ROUTES = {
    decode_message: MESSAGE
    | {"max_tokens": 9, "stop_sequences": ["x"], "temperature": 0.5, "metadata": {"user_id": "u"}},
    count_message: MESSAGE,
    decode_response: RESPONSE
    | {
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 1,
        "metadata": {"a": "b"},
        "stop": ["x"],
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    },
    count_response: RESPONSE,
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


@pytest.mark.parametrize("decode", ROUTES, ids=lambda decode: str(decode.__module__))
@given(data=st.data())
def test_hostile_bodies_are_refused_or_read(
    decode: Callable[[bytes], object], data: st.DataObject
) -> None:
    """Anything in any place is either understood, or an error that is the caller's."""
    body: Any = ROUTES[decode]  # type: ignore[index] # the decoders are the keys
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


@pytest.mark.parametrize("decode", ROUTES, ids=lambda decode: str(decode.__module__))
def test_the_bodies_are_right(decode: Callable[[bytes], object]) -> None:
    """What is made hostile is understood as it is."""
    decode(json.dumps(ROUTES[decode]).encode())  # type: ignore[index] # as above
