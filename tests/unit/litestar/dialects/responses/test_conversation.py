"""Conversations: what becomes of items."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from encoded import feed

from stoker.archive import Record
from stoker.dialect import Call, Continuation
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.events import ChoiceFinished, Event, Finished, FinishReason, TextDelta, ToolCallDelta
from stoker.messages import Author, ImagePart, Message, TextPart, ToolCall
from stoker.request import ChatPrompt, GenerateRequest
from stoker_litestar.dialects.openai.error import PreviousResponseNotFoundError
from stoker_litestar.dialects.responses.responses import decode_response

from .conftest import CONTEXT, USAGE

URL = "data:image/png;base64," + base64.b64encode(b"png").decode()
CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}


def decode(**fields: Any) -> Call | Continuation:
    return decode_response(json.dumps({"model": "m"} | fields).encode())


def messages_of(call: Call | Continuation) -> tuple[Message, ...]:
    assert isinstance(call, Call)
    assert isinstance(call.request, GenerateRequest)
    assert isinstance(call.request.prompt, ChatPrompt)
    return call.request.prompt.messages


def messages(*items: Any, **fields: Any) -> tuple[Message, ...]:
    """The messages of a request of these items."""
    return messages_of(decode(input=list(items), **fields))


def record(call: Call | Continuation, *events: Event) -> Record:
    """What is kept of an answer."""
    assert isinstance(call, Call)
    encoder = call.encoder(CONTEXT)
    feed(encoder, [*events, ChoiceFinished(FinishReason.STOP), Finished(USAGE)])
    assert encoder.record is not None
    return encoder.record


def test_a_text_is_a_message_of_the_user() -> None:
    """Instructions stand before it."""
    assert (
        Message(Author.SYSTEM, (TextPart("Be brief."),)),
        Message(Author.USER, (TextPart("Hi"),)),
    ) == messages_of(decode(input="Hi", instructions="Be brief."))


def test_messages_of_everybody() -> None:
    """The type may be left out, content may be a text or parts, and phases are taken."""
    assert (
        Message(Author.SYSTEM, (TextPart("S"),)),
        Message(Author.DEVELOPER, (TextPart("D"),)),
        Message(Author.USER, (TextPart("U"), ImagePart(b"png", "image/png"))),
        Message(Author.ASSISTANT, (TextPart("A"), TextPart("R"))),
        Message(Author.USER, (TextPart("V"),)),
    ) == messages(
        {"role": "system", "content": "S"},
        {"role": "developer", "content": "D", "type": "message"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "U"},
                {"type": "input_image", "image_url": URL, "detail": "low"},
            ],
        },
        {
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "type": "message",
            "phase": "final_answer",
            "content": [
                {"type": "output_text", "text": "A", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "R"},
            ],
        },
        {"role": "user", "content": "V"},
    )


def test_what_the_assistant_did_in_one_turn_is_one_message() -> None:
    """Reasoning, text and calls belong together, until another one speaks or thinks anew."""
    found = messages(
        {"role": "user", "content": "1 + 1?"},
        {"type": "reasoning", "id": "r", "summary": [], "content": [_thought("Hm.")]},
        {"role": "assistant", "content": "Let me see."},
        CALL,
        CALL | {"call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "2"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "3"}],
        },
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Aha."}]},
        {"role": "assistant", "content": "It is 2."},
    )

    assert (
        Message(Author.USER, (TextPart("1 + 1?"),)),
        Message(
            Author.ASSISTANT,
            (TextPart("Let me see."),),
            tool_calls=(ToolCall("c1", "add", "{}"), ToolCall("c2", "add", "{}")),
            reasoning="Hm.",
        ),
        Message(Author.TOOL, (TextPart("2"),), tool_call_id="c1", name="add"),
        Message(Author.TOOL, (TextPart("3"),), tool_call_id="c2", name="add"),
        Message(Author.ASSISTANT, (TextPart("It is 2."),), reasoning="Aha."),
    ) == found


def _thought(text: str) -> dict[str, str]:
    return {"type": "reasoning_text", "text": text}


def test_reasoning_after_an_answer_begins_a_new_turn() -> None:
    """Thoughts belong to what follows them."""
    first, second = messages(
        CALL,
        {"type": "reasoning", "content": [_thought("Hm.")], "encrypted_content": "?"},
        CALL | {"call_id": "c2"},
    )

    assert (None, "Hm.") == (first.reasoning, second.reasoning)


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ({"type": "nonsense"}, "input[0].type"),
        ({"role": "nobody", "content": "x"}, "input[0].role"),
        ({"role": "user"}, "input[0].content"),
        ({"role": "user", "content": "x", "cotnent": 1}, "input[0].cotnent"),
        ({"role": "user", "content": [{"type": "x"}]}, "input[0].content[0].type"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "input[0].content[0].text"),
        (
            {"role": "user", "content": [{"type": "input_image"}]},
            "input[0].content[0].image_url",
        ),
        ({"type": "function_call", "call_id": "c"}, "input[0].name"),
        (
            {"type": "function_call_output", "call_id": "nobody", "output": "x"},
            "input[0].call_id",
        ),
        ({"type": "item_reference", "id": "nobody"}, "input[0].id"),
        ({"id": "nobody"}, "input[0].id"),
    ],
)
def test_a_malformed_item_is_named(item: dict[str, Any], path: str) -> None:
    """The error says which one, and which field of it."""
    with pytest.raises(InvalidRequestError) as caught:
        messages(item)

    assert path == caught.value.param


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "x"},
        {"type": "compaction", "encrypted_content": "x"},
        {"role": "user", "content": [{"type": "input_file", "file_id": "x"}]},
        {"role": "user", "content": [{"type": "input_image", "file_id": "x"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": "http://example.com"}]},
    ],
)
def test_what_is_not_taken_is_refused_with_a_reason(item: dict[str, Any]) -> None:
    """Kinds that the API knows and nobody here reads are no malformed items."""
    with pytest.raises(UnsupportedFeatureError, match=r"^input\[0\]"):
        messages(item)


@pytest.mark.parametrize("fields", [{}, {"input": None}, {"input": []}])
def test_an_input_is_required(fields: dict[str, Any]) -> None:
    """There must be something to answer."""
    with pytest.raises(InvalidRequestError) as caught:
        decode(**fields)

    assert "input" == caught.value.param


def test_a_conversation_goes_on() -> None:
    """The past comes from the record, with the answer; of its own a request has what is new."""
    first = record(
        decode(input="One", instructions="Not kept."),
        TextDelta("Two"),
        ToolCallDelta(0, id="c1", name="add", arguments="{}"),
    )

    again = decode(
        input=[{"type": "function_call_output", "call_id": "c1", "output": "3"}],
        previous_response_id="resp_abc",
    )

    assert isinstance(again, Continuation)
    assert "resp_abc" == again.record_id
    assert (
        Message(Author.USER, (TextPart("One"),)),
        Message(Author.ASSISTANT, (TextPart("Two"),), tool_calls=(ToolCall("c1", "add", "{}"),)),
        Message(Author.TOOL, (TextPart("3"),), tool_call_id="c1", name="add"),
    ) == messages_of(again.resume(first))


def test_references_to_the_past_are_part_of_it() -> None:
    """A client may name items that the request goes on from; they are not read twice."""
    first = record(decode(input="One"), TextDelta("Two"))

    again = decode(
        input=[
            {"type": "item_reference", "id": "msg_abc_0"},
            {"id": "item_resp_abc_0"},
            {"role": "user", "content": "Three"},
        ],
        previous_response_id="resp_abc",
    )

    assert isinstance(again, Continuation)
    assert ["One", "Two", "Three"] == [message.text for message in messages_of(again.resume(first))]


def test_a_past_that_is_not_there_is_an_error() -> None:
    """It has a code of its own, and names the field."""
    again = decode(input="Two", previous_response_id="resp_x")

    assert isinstance(again, Continuation)
    with pytest.raises(PreviousResponseNotFoundError, match="resp_x") as caught:
        again.resume(None)
    assert "previous_response_id" == caught.value.param


def test_a_past_goes_on_by_itself() -> None:
    """A request may add nothing, so that the model says more."""
    first = record(decode(input="One"), TextDelta("Two"))

    again = decode(previous_response_id="resp_abc")

    assert isinstance(again, Continuation)
    assert ["One", "Two"] == [message.text for message in messages_of(again.resume(first))]
