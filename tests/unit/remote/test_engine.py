"""What is asked of the remote server, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from openai_server import OpenAiServer, openai_server

from stoker.engine import AnswerEnd, Piece
from stoker.errors import (
    AccessDeniedError,
    InvalidRequestError,
    LoadError,
    OverloadedError,
    StokerError,
    UnavailableError,
    UnsupportedFeatureError,
)
from stoker.events import FinishReason, ReasoningDelta, ToolCallDelta
from stoker.messages import (
    Author,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolChoiceMode,
)
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    Effort,
    GenerateRequest,
    Reasoning,
    TextPrompt,
    TokenPrompt,
)
from stoker.sampling import SamplingParams
from stoker_remote.engine import RemoteEngine, open_engine
from stoker_remote.plugin import RemoteOptions

HI = Message(Author.USER, (TextPart("Hi there"),))
CHAT = GenerateRequest("here", ChatPrompt((HI,)))


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    """A server that repeats what it is told."""
    with openai_server() as running:
        yield running


@pytest.fixture
def engine(server: OpenAiServer, tmp_path: Path) -> Iterator[RemoteEngine]:
    """An engine that asks it."""
    path = tmp_path / "x.remote.json"
    path.write_text(json.dumps({"url": server.url, "model": "far"}))
    engine = open_engine([path], RemoteOptions(timeout_s=10))
    yield engine
    engine.close()


def text(pieces: Iterable[Piece]) -> str:
    """The text of an answer."""
    return "".join(piece for piece in pieces if isinstance(piece, str))


def test_a_conversation_is_passed_on(engine: RemoteEngine, server: OpenAiServer) -> None:
    """Messages, the remote name and what is set of the parameters; nothing else."""
    sampling = SamplingParams(temperature=0.5, seed=3, top_k=2)
    request = attrs.evolve(CHAT, sampling=sampling, max_tokens=9)

    assert "Hi there " == text(engine.generate(request, index=1))
    assert [
        {
            "model": "far",
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 9,
            "temperature": 0.5,
            "top_k": 2,
            "seed": 4,
            "messages": [{"role": "user", "content": "Hi there"}],
        }
    ] == server.bodies
    assert "Authorization" not in server.headers_seen[0]


def test_a_plain_text_is_continued(engine: RemoteEngine, server: OpenAiServer) -> None:
    """Without a conversation the other route is asked."""
    request = GenerateRequest("here", TextPrompt("Once upon"))

    assert ["Once ", "upon "] == list(engine.generate(request, index=0))[:-1]
    assert "Once upon" == server.bodies[0]["prompt"]


def test_the_key_comes_from_a_variable(
    server: OpenAiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent, stands in no file, and is missed before anything is asked."""
    path = tmp_path / "x.remote.json"
    path.write_text(json.dumps({"url": server.url, "model": "far"}))
    options = RemoteOptions(api_key_variable="FAR_KEY")
    with pytest.raises(LoadError, match=r"FAR_KEY"):
        open_engine([path], options)
    monkeypatch.setenv("FAR_KEY", "secret")
    engine = open_engine([path], options)
    list(engine.generate(CHAT, index=0))
    engine.close()

    assert "Bearer secret" == server.headers_seen[0]["Authorization"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidRequestError),
        (404, InvalidRequestError),
        (401, AccessDeniedError),
        (429, OverloadedError),
        (503, OverloadedError),
        (500, UnavailableError),
    ],
)
def test_a_refusal_keeps_its_words(
    engine: RemoteEngine, server: OpenAiServer, status: int, error: type[StokerError]
) -> None:
    """Each status is a domain error, raised in place of the first piece."""
    server.status = status

    with pytest.raises(error, match=rf"answers {status}: No luck today."):
        next(engine.generate(CHAT, index=0))


@pytest.mark.parametrize(
    ("last", "error", "words"),
    [
        ({"error": {"message": "It broke."}}, UnavailableError, r"failed: It broke\."),
        (b"data: no JSON\n\n", UnavailableError, r"cannot be read"),
        (b"", UnavailableError, r"hung up before the end"),
        (b"data: " + b"x" * 2_000_000, UnavailableError, r"more than 1048576 bytes"),
        (
            {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]},
            UnavailableError,
            r"without its name",
        ),
        (
            {"choices": [{"delta": {}, "finish_reason": "content_filter"}]},
            InvalidRequestError,
            r"A filter of http",
        ),
    ],
)
def test_an_error_in_the_stream_ends_the_answer(
    engine: RemoteEngine,
    server: OpenAiServer,
    last: dict[str, Any] | bytes,
    error: type[StokerError],
    words: str,
) -> None:
    """What came before it is passed on, and nothing comes after it."""
    server.script = [{"choices": [{"delta": {"content": "Hi "}}]}, last]
    pieces = engine.generate(CHAT, index=0)

    assert "Hi " == next(pieces)
    with pytest.raises(error, match=words):
        next(pieces)
    assert [] == list(pieces)


def test_the_end_has_the_servers_counts(engine: RemoteEngine, server: OpenAiServer) -> None:
    """Why the answer ended, and what was counted, is the server's word."""
    *pieces, end = engine.generate(attrs.evolve(CHAT, max_tokens=1), index=0)

    assert ["Hi "] == pieces
    assert (
        AnswerEnd(FinishReason.LENGTH, prompt_tokens=2, completion_tokens=1, cached_tokens=1) == end
    )


def test_reasoning_and_calls_are_passed_on(engine: RemoteEngine, server: OpenAiServer) -> None:
    """Thoughts, then calls: each has its id and its name once, and numbers without gaps."""

    def call(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
        function = {"name": name, "arguments": arguments}
        delta = {"tool_calls": [{"index": index, "id": f"id{index}", "function": function}]}
        return {"choices": [{"delta": delta}]}

    server.script = [
        {"choices": [{"delta": {"role": "assistant", "reasoning_content": "Hm."}}]},
        call(3, "", "look"),
        call(3, '{"a": 1}', "look"),
        call(7, "{}", "go"),
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
        b"data: [DONE]\n\n",
    ]

    assert [
        ReasoningDelta("Hm."),
        ToolCallDelta(0, id="id3", name="look"),
        ToolCallDelta(0, arguments='{"a": 1}'),
        ToolCallDelta(1, id="id7", name="go", arguments="{}"),
        AnswerEnd(FinishReason.TOOL_CALLS),
    ] == list(engine.generate(CHAT, index=0))


def test_tools_and_what_came_of_them_are_passed_on(
    engine: RemoteEngine, server: OpenAiServer
) -> None:
    """Declarations, the choice, earlier calls and their results, in the words of the API."""
    messages = (
        HI,
        Message(Author.ASSISTANT, tool_calls=(ToolCall("c1", "look", "{}"),)),
        Message(Author.TOOL, (TextPart("A door."),), tool_call_id="c1"),
    )
    prompt = ChatPrompt(
        messages,
        tools=(Tool("look", "Look.", {"type": "object"}),),
        tool_choice=ToolChoice(ToolChoiceMode.REQUIRED, "look"),
        parallel_tool_calls=False,
        reasoning=Reasoning(Effort.LOW),
    )
    list(engine.generate(GenerateRequest("here", prompt), index=0))
    (body,) = server.bodies

    assert [
        {"role": "user", "content": "Hi there"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "content": "A door.", "tool_call_id": "c1"},
    ] == body["messages"]
    function = {"name": "look", "parameters": {"type": "object"}, "description": "Look."}
    assert [{"type": "function", "function": function}] == body["tools"]
    assert {"type": "function", "function": {"name": "look"}} == body["tool_choice"]
    assert (False, "low") == (body["parallel_tool_calls"], body["reasoning_effort"])


def test_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    """Nobody listens there: the address is in the sentence."""
    path = tmp_path / "x.remote.json"
    path.write_text('{"url": "http://127.0.0.1:9/v1", "model": "far"}')
    engine = open_engine([path], RemoteOptions())

    with pytest.raises(UnavailableError, match=r"http://127.0.0.1:9/v1 cannot be reached"):
        next(engine.generate(CHAT, index=0))
    engine.close()


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (GenerateRequest("x", TokenPrompt((1, 2))), "prompt"),
        (attrs.evolve(CHAT, adapters=("a",)), "adapters"),
        (attrs.evolve(CHAT, sampling=SamplingParams(logprobs=1)), "logprobs"),
        (attrs.evolve(CHAT, sampling=SamplingParams(logit_bias={1: 2.0})), "logit_bias"),
        (attrs.evolve(CHAT, sampling=SamplingParams(penalty_window=2)), "penalty_window"),
        (attrs.evolve(CHAT, constraint=Constraint(ConstraintKind.JSON_OBJECT)), "constraint"),
        (
            GenerateRequest("x", ChatPrompt((HI,), reasoning=Reasoning(budget_tokens=9))),
            "reasoning",
        ),
        (
            GenerateRequest("x", ChatPrompt((HI,), add_generation_prompt=False)),
            "add_generation_prompt",
        ),
        (
            GenerateRequest(
                "x", ChatPrompt((Message(Author.USER, (ImagePart(b"", "image/png"),)),))
            ),
            "messages",
        ),
    ],
)
def test_what_is_not_passed_on_is_refused(
    engine: RemoteEngine, request_: GenerateRequest, param: str
) -> None:
    """Nothing is dropped in silence."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        engine.generate(request_, index=0)

    assert param == caught.value.param


@pytest.mark.parametrize(
    "text", ["", "not JSON", "{}", '{"url": "ftp://x", "model": "y"}', '{"url": "http://x"}']
)
def test_a_file_that_says_nothing_is_a_load_error(tmp_path: Path, text: str) -> None:
    """The weights file must have an address and a name."""
    path = tmp_path / "x.remote.json"
    path.write_text(text)

    with pytest.raises(LoadError, match=r"x.remote.json does not say where the model is"):
        open_engine([path], RemoteOptions())
