"""Chat and generate: golden streams, and what requests become."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.dialect import Call, CommandCall
from stoker.errors import InvalidRequestError, RunnerCrashedError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    FinishReason,
    Loading,
    Prefill,
    Queued,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from stoker.management import LoadModel, ModelLoaded, ModelsUnloaded, UnloadModels
from stoker.messages import Author, ImagePart, Message, TextPart, Tool, ToolCall
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    Effort,
    GenerateRequest,
    Reasoning,
    TextPrompt,
)
from stoker_litestar.dialects.ollama.generation import decode_chat, decode_generate

from .conftest import ENDING, FINISHED, MOMENT, body, lines, played

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
HEAD = {"model": "m", "created_at": MOMENT}
STOP = ChoiceFinished(FinishReason.STOP)


def request_of(fields: dict[str, Any]) -> GenerateRequest:
    """The request of a chat."""
    call = decode_chat(body(CHAT | fields))
    assert isinstance(call, Call)
    assert isinstance(call.request, GenerateRequest)
    return call.request


def prompt_of(fields: dict[str, Any]) -> ChatPrompt:
    """The prompt of a chat."""
    prompt = request_of(fields).prompt
    assert isinstance(prompt, ChatPrompt)
    return prompt


def test_an_answer_that_is_begun_is_continued() -> None:
    """A last message of the assistant's is no turn that has ended, unless it calls."""
    begun: dict[str, Any] = {"role": "assistant", "content": "One"}
    calls = [{"function": {"name": "f", "arguments": {}}}]

    assert prompt_of({"messages": [begun]}).continue_final_message
    assert not prompt_of({"messages": [begun | {"tool_calls": calls}]}).continue_final_message
    assert not prompt_of({}).continue_final_message


def test_a_gap_is_filled_in() -> None:
    """The suffix stands behind it; there need not be anything before."""
    for prompt in ("a", ""):
        call = decode_generate(body({"model": "m", "prompt": prompt, "suffix": "c"}))
        assert isinstance(call, Call)
        assert isinstance(call.request, GenerateRequest)
        assert TextPrompt(prompt, "c") == call.request.prompt


def test_a_chat_in_pieces() -> None:
    """The bytes, letter by letter: a line for each piece, and the counts in the last one."""
    events = [
        Queued(1),
        Loading("x"),
        Prefill(5, 5),
        TextDelta("Hel"),
        TextDelta('lo"'),
        STOP,
        FINISHED,
    ]

    data = played(decode_chat(body(CHAT)), events)

    assert (
        b'{"model":"m","created_at":"1970-01-01T00:20:34Z","done":false,'
        b'"message":{"role":"assistant","content":"Hel"}}\n'
        b'{"model":"m","created_at":"1970-01-01T00:20:34Z","done":false,'
        b'"message":{"role":"assistant","content":"lo\\""}}\n'
        b'{"model":"m","created_at":"1970-01-01T00:20:34Z","done":true,"done_reason":"stop",'
        b'"total_duration":4000000000,"load_duration":2000000000,"prompt_eval_count":5,'
        b'"prompt_eval_duration":250000000,"eval_count":4,"eval_duration":1500000000,'
        b'"message":{"role":"assistant","content":""}}\n'
    ) == data


def test_a_whole_chat() -> None:
    """Without a stream there is one object, with everything."""
    call = decode_chat(body(CHAT | {"stream": False}))
    events = [
        Prefill(5, 5),
        ReasoningDelta("Hm."),
        TextDelta("Hel"),
        TextDelta("lo"),
        STOP,
        FINISHED,
    ]

    message = {"role": "assistant", "content": "Hello", "thinking": "Hm."}
    assert HEAD | ENDING | {"message": message} == json.loads(played(call, events))
    assert not call.stream


def test_a_text_in_pieces_and_whole() -> None:
    """Generate says `response` where chat has a message."""
    events = [Prefill(5, 5), ReasoningDelta("Hm."), TextDelta("Hello"), STOP, FINISHED]
    fields = {"model": "m", "prompt": "Hi"}

    stream = lines(played(decode_generate(body(fields)), events))
    whole = json.loads(played(decode_generate(body(fields | {"stream": False})), events))

    assert [
        HEAD | {"done": False, "response": "", "thinking": "Hm."},
        HEAD | {"done": False, "response": "Hello"},
        HEAD | ENDING | {"response": ""},
    ] == stream
    assert HEAD | ENDING | {"response": "Hello", "thinking": "Hm."} == whole


def test_tool_calls_come_whole_with_arguments_as_objects() -> None:
    """A call's pieces are joined; the next call, or the end, completes it."""
    events: list[Event] = [
        Prefill(5, 5),
        ToolCallDelta(0, id="a", name="add"),
        ToolCallDelta(0, arguments='{"x":'),
        ToolCallDelta(0, arguments="1}"),
        ToolCallDelta(1, id="b", name="stop"),
        ChoiceFinished(FinishReason.TOOL_CALLS),
        FINISHED,
    ]

    *calls, last = lines(played(decode_chat(body(CHAT)), events))

    assert [
        [{"id": "a", "function": {"name": "add", "arguments": {"x": 1}, "index": 0}}],
        [{"id": "b", "function": {"name": "stop", "arguments": {}, "index": 1}}],
    ] == [line["message"]["tool_calls"] for line in calls]
    assert "stop" == last["done_reason"]


def test_broken_arguments_are_text() -> None:
    """What the model wrote is not lost where the form has no place for it."""
    events: list[Event] = [
        Prefill(5, 5),
        ToolCallDelta(0, id="a", name="add", arguments='{"x":'),
        STOP,
        FINISHED,
    ]

    first, _ = lines(played(decode_chat(body(CHAT)), events))

    assert {"role": "assistant", "content": 'add{"x":'} == first["message"]


def test_the_limit_is_a_reason() -> None:
    """An answer that was cut says so."""
    events = [Prefill(5, 5), TextDelta("H"), ChoiceFinished(FinishReason.LENGTH), FINISHED]

    assert "length" == lines(played(decode_chat(body(CHAT)), events))[-1]["done_reason"]


def test_log_probabilities() -> None:
    """Each token with its rivals; what is impossible is a number that JSON has."""
    token = TokenLogprob(1, b"H\xff", -0.5, (TokenLogprob(2, b"J", -math.inf),))
    call = decode_chat(body(CHAT | {"logprobs": True, "top_logprobs": 1}))

    first, _ = lines(
        played(call, [Prefill(5, 5), TextDelta("H", logprobs=(token,)), STOP, FINISHED])
    )

    rival = {"token": "J", "logprob": -9999.0, "bytes": [74]}
    assert [
        {"token": "H\ufffd", "logprob": -0.5, "bytes": [72, 255], "top_logprobs": [rival]}
    ] == first["logprobs"]
    assert isinstance(call, Call)
    assert isinstance(call.request, GenerateRequest)
    assert 1 == call.request.sampling.logprobs


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_is_an_error_in_band(*, stream: bool) -> None:
    """After the first byte an error is one more object."""
    call = decode_chat(body(CHAT | {"stream": stream}))

    data = played(call, [Prefill(5, 5), Failed(RunnerCrashedError("It died."))])

    assert b'{"error":"It died."}' + (b"\n" if stream else b"") == data


@given(st.lists(st.sampled_from([TextDelta("a"), TextDelta("ß\n"), ReasoningDelta("b")])))
def test_pieces_join_to_the_whole(deltas: list[Event]) -> None:
    """Streaming and not streaming give the same answer."""
    events = [Prefill(5, 5), *deltas, STOP, FINISHED]

    stream = lines(played(decode_chat(body(CHAT)), events))
    whole = json.loads(played(decode_chat(body(CHAT | {"stream": False})), events))

    for field in ("content", "thinking"):
        joined = "".join(line["message"].get(field, "") for line in stream)
        assert joined == whole["message"].get(field, "")
    assert stream[-1].keys() == whole.keys()


@pytest.mark.parametrize(
    ("decode", "fields"),
    [(decode_chat, {"messages": []}), (decode_generate, {"prompt": ""}), (decode_generate, {})],
)
def test_asking_nothing_loads_and_unloads(decode: Any, fields: dict[str, Any]) -> None:
    """Without a prompt the model is loaded; kept for no time, it is unloaded."""
    base = {"model": "m"} | fields
    load = decode(body(base | {"keep_alive": "10m", "stream": False}))
    unload = decode(body(base | {"keep_alive": 0}))

    assert LoadModel("m", keep_alive_s=600) == load.command
    assert UnloadModels(("m",)) == unload.command
    loaded = json.loads(played(load, [Loading("x"), ModelLoaded(0.5)]))
    (unloaded,) = lines(played(unload, [ModelsUnloaded(0)]))
    said = (
        {"response": ""}
        if decode is decode_generate
        else {"message": {"role": "assistant", "content": ""}}
    )
    times = {"total_duration": 500_000_000, "load_duration": 500_000_000}
    assert HEAD | said | times | {"done": True, "done_reason": "load"} == loaded
    assert HEAD | said | {"done": True, "done_reason": "unload"} == unloaded


def test_a_conversation_with_tools_is_understood() -> None:
    """Calls and results get ids where clients send none, in the order of the calls."""
    call = {"function": {"name": "add", "arguments": {"x": 1}}}
    other = {"function": {"name": "mul", "arguments": {}}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [call, call, other]},
        {"role": "tool", "content": "6", "tool_name": "mul"},
        {"role": "tool", "content": "2", "tool_name": "add"},
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "4", "tool_call_id": "mine"},
    ]

    system, user, assistant, *results = prompt_of({"messages": messages}).messages

    assert Message(Author.SYSTEM, (TextPart("Be brief."),)) == system
    assert Message(Author.USER, (TextPart("1+1?"),)) == user
    calls = (
        ToolCall("call_2_0", "add", '{"x":1}'),
        ToolCall("call_2_1", "add", '{"x":1}'),
        ToolCall("call_2_2", "mul", "{}"),
    )
    assert Message(Author.ASSISTANT, (), tool_calls=calls, reasoning="Hm.") == assistant
    assert ["call_2_2", "call_2_0", "call_2_1", "mine"] == [item.tool_call_id for item in results]


def test_tools_images_and_thinking_reach_the_request() -> None:
    """All of it is typed, whatever the engine makes of it."""
    schema = {"type": "object"}
    tool = {"type": "function", "function": {"name": "add", "parameters": schema}}
    prompt = prompt_of(
        {
            "tools": [tool],
            "think": True,
            "messages": [{"role": "user", "content": "See", "images": ["iVBORw0KGgo="]}],
        }
    )

    assert (Tool("add", parameters=schema),) == prompt.tools
    assert Reasoning(effort=Effort.MEDIUM) == prompt.reasoning
    image = ImagePart(b"\x89PNG\r\n\x1a\n", "image/png")
    assert (TextPart("See"), image) == prompt.messages[0].parts


@pytest.mark.parametrize(
    ("think", "effort"), [(False, Effort.NONE), ("low", Effort.LOW), ("max", Effort.MAX)]
)
def test_levels_of_thinking_are_efforts(think: object, effort: Effort) -> None:
    """No thinking is one of them."""
    prompt = prompt_of({"think": think})

    assert Reasoning(effort=effort) == prompt.reasoning


def test_formats_are_constraints() -> None:
    """`json` is any object, a schema is followed, nothing is free."""
    assert Constraint(ConstraintKind.JSON_OBJECT) == request_of({"format": "json"}).constraint
    schema = Constraint(ConstraintKind.JSON_SCHEMA, '{"type":"object"}')
    assert schema == request_of({"format": {"type": "object"}}).constraint
    assert request_of({"format": ""}).constraint is None


def test_generate_makes_messages_unless_it_is_raw() -> None:
    """A system text and a prompt are two messages; a raw prompt is text."""
    fields = {"model": "m", "prompt": "Hi", "system": "Be brief."}
    chat, raw = (
        decode_generate(body(fields)),
        decode_generate(body({"model": "m", "prompt": "Hi", "raw": True})),
    )

    assert isinstance(chat, Call)
    assert isinstance(raw, Call)
    assert (
        ChatPrompt(
            (
                Message(Author.SYSTEM, (TextPart("Be brief."),)),
                Message(Author.USER, (TextPart("Hi"),)),
            )
        )
        == chat.request.prompt
    )  # type: ignore[union-attr]
    assert TextPrompt("Hi") == raw.request.prompt  # type: ignore[union-attr]
    with pytest.raises(InvalidRequestError) as caught:
        decode_generate(body(fields | {"raw": True}))
    assert "system" == caught.value.param


@pytest.mark.parametrize(
    ("options", "limit"),
    [({"num_predict": -1}, None), ({"num_predict": -2}, None), ({"num_predict": 3}, 3)],
)
def test_limits(options: dict[str, int], limit: int | None) -> None:
    """Negative limits are none."""
    assert limit == request_of({"options": options}).max_tokens


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"options": {"num_predict": 0}}, "options.num_predict"),
        ({"options": {"num_predict": -3}}, "options.num_predict"),
        ({"options": {"temperature": -1}}, "options.temperature"),
        ({"options": {"repeat_penalty": -1}}, "options.repeat_penalty"),
        ({"options": {"repeat_last_n": -2}}, "options.repeat_last_n"),
        ({"options": {"unknown": 1}}, "options.unknown"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"messages": [{"role": "user", "images": ["@"]}]}, "messages[0].images[0]"),
        ({"messages": [{"role": "user", "images": ["aGk="]}]}, "messages[0].images[0]"),
        ({"messages": [{"role": "nobody"}]}, "messages[0].role"),
        ({"think": "hard"}, "think"),
        ({"format": "xml"}, "format"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], param: str) -> None:
    """The error says which field is wrong."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_chat(body(CHAT | fields))

    assert param == caught.value.param


def test_a_repeated_window_of_everything() -> None:
    """-1 looks at the whole context, and negative seeds are any."""
    sampling = request_of({"options": {"repeat_last_n": -1, "seed": -1, "top_k": -1}}).sampling

    assert (2**31 - 1, None, 0) == (sampling.penalty_window, sampling.seed, sampling.top_k)


def test_commands_are_told_apart_from_requests() -> None:
    """A transport sees by the type what it has to do."""
    assert isinstance(decode_chat(body(CHAT)), Call)
    assert isinstance(decode_chat(body({"model": "m"})), CommandCall)
