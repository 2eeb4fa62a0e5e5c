"""Conversations: what becomes of content blocks."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.messages import Author, ImagePart, Message, TextPart, ToolCall
from stoker.request import ChatPrompt, GenerateRequest
from stoker_litestar.dialects.anthropic.messages import decode_message

IMAGE = base64.b64encode(b"png").decode()
BASE64 = {"type": "base64", "media_type": "image/png", "data": IMAGE}
USE = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1, "ä": [2]}}


def messages(*turns: tuple[str, Any], system: Any = None) -> tuple[Message, ...]:
    """The messages of a request of these turns."""
    body = {
        "model": "m",
        "max_tokens": 9,
        "system": system,
        "messages": [{"role": role, "content": content} for role, content in turns],
    }
    request = decode_message(json.dumps(body).encode()).request
    assert isinstance(request, GenerateRequest)
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt.messages


def test_texts_and_images_keep_their_order() -> None:
    """Texts beside each other stand on lines of their own; images stand between them."""
    (message,) = messages(
        (
            "user",
            [
                {"type": "text", "text": "One", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "Two"},
                {"type": "image", "source": BASE64},
                {"type": "text", "text": "Three", "citations": None},
            ],
        )
    )

    assert (
        TextPart("One\nTwo"),
        ImagePart(b"png", "image/png"),
        TextPart("Three"),
    ) == message.parts


def test_a_system_prompt_is_a_text_or_blocks() -> None:
    """Both mean the same; system turns in the middle are taken, too."""
    blocks = [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]

    assert Message(Author.SYSTEM, (TextPart("A\nB"),)) == messages(("user", "x"), system=blocks)[0]
    assert (Author.SYSTEM, Author.USER, Author.SYSTEM, Author.USER) == tuple(
        message.author
        for message in messages(("user", "x"), ("system", "y"), ("user", "z"), system="A")
    )
    assert 1 == len(messages(("user", "x"), system=""))


def test_turns_of_one_author_become_one() -> None:
    """As the API says of turns that follow each other."""
    found = messages(
        ("user", "One"),
        ("user", "Two"),
        ("assistant", [{"type": "thinking", "thinking": "Hm.", "signature": "x"}]),
        ("assistant", "Three"),
        ("user", "Four"),
    )

    assert ["One\nTwo", "Three", "Four"] == [message.text for message in found]
    assert "Hm." == found[1].reasoning


def test_calls_and_their_results() -> None:
    """A result is a message of its own, with the name of the tool that gave it."""
    found = messages(
        ("user", "1 + 1?"),
        (
            "assistant",
            [
                {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
                {"type": "redacted_thinking", "data": "???"},
                {"type": "text", "text": "Let me see."},
                USE,
            ],
        ),
        ("user", [{"type": "tool_result", "tool_use_id": "t1", "content": "2"}]),
    )

    assert (
        Message(Author.USER, (TextPart("1 + 1?"),)),
        Message(
            Author.ASSISTANT,
            (TextPart("Let me see."),),
            tool_calls=(ToolCall("t1", "add", '{"a": 1, "ä": [2]}'),),
            reasoning="Hm.",
        ),
        Message(Author.TOOL, (TextPart("2"),), tool_call_id="t1", name="add"),
    ) == found


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        ({}, ()),
        ({"content": ""}, ()),
        ({"content": [{"type": "text", "text": "2"}]}, (TextPart("2"),)),
        (
            {"content": [{"type": "image", "source": BASE64}]},
            (ImagePart(b"png", "image/png"),),
        ),
        ({"content": "no such file", "is_error": True}, (TextPart("Error:\nno such file"),)),
        ({"is_error": True}, (TextPart("Error:"),)),
    ],
)
def test_results(result: dict[str, Any], parts: tuple[Any, ...]) -> None:
    """A result may be nothing, a text, blocks or an error."""
    *_, message = messages(
        ("user", "x"),
        ("assistant", [USE]),
        ("user", [{"type": "tool_result", "tool_use_id": "t1"} | result]),
    )

    assert parts == message.parts


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"text": "x"}, "messages[0].content[1].type"),
        ({"type": "nonsense"}, "messages[0].content[1].type"),
        ({"type": "tool_use", "id": "a", "name": "b", "input": {}}, "messages[0].content[1].type"),
        ({"type": "text"}, "messages[0].content[1].text"),
        ({"type": "text", "text": "x", "tetx": 1}, "messages[0].content[1].tetx"),
        ({"type": "image", "source": {"type": "base64"}}, "messages[0].content[1].source.data"),
        (
            {"type": "image", "source": BASE64 | {"data": "?"}},
            "messages[0].content[1].source.data",
        ),
        (
            {"type": "image", "source": BASE64 | {"media_type": "image/svg"}},
            "messages[0].content[1].source.media_type",
        ),
        (
            {"type": "tool_result", "tool_use_id": "nobody"},
            "messages[0].content[1].tool_use_id",
        ),
    ],
)
def test_a_malformed_block_is_named(block: dict[str, Any], path: str) -> None:
    """The error says which one, and which field of it."""
    with pytest.raises(InvalidRequestError) as caught:
        messages(("user", [{"type": "text", "text": "x"}, block]))

    assert path == caught.value.param
    assert caught.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "text", "data": "x"}},
        {"type": "search_result"},
        {"type": "server_tool_use"},
        {"type": "web_search_tool_result"},
        {"type": "container_upload"},
        {"type": "image", "source": {"type": "url", "url": "http://example.com/a.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "image", "source": BASE64, "transformations": {}},
    ],
)
def test_what_is_not_taken_is_refused_with_a_reason(block: dict[str, Any]) -> None:
    """Kinds that the API knows and nobody here reads are no malformed blocks."""
    with pytest.raises(UnsupportedFeatureError, match=r"^messages\[0\]\.content\[0\]"):
        messages(("user", [block]))


def _begun(answer: Any, **fields: Any) -> ChatPrompt:
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": answer}]
    body = {"model": "m", "max_tokens": 9, "messages": turns, **fields}
    request = decode_message(json.dumps(body).encode()).request
    assert isinstance(request, GenerateRequest)
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt


def test_an_answer_that_is_begun_is_continued() -> None:
    """Only a last turn of the assistant's is one."""
    assert _begun("The answer is (").continue_final_message
    assert not _begun("x", messages=[{"role": "user", "content": "x"}]).continue_final_message


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ("The answer is ", {}),
        ([USE], {}),
        ("", {}),
        ("The answer", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
)
def test_what_cannot_be_continued_is_named(answer: Any, fields: dict[str, Any]) -> None:
    """A call, nothing, what ends with white space, and what is to be thought about."""
    with pytest.raises(InvalidRequestError, match=r"^messages\[1\]: "):
        _begun(answer, **fields)
