"""What is asked of the remote server, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from openai_server import OpenAiServer, openai_server

from stoker.errors import (
    AccessDeniedError,
    InvalidRequestError,
    LoadError,
    OverloadedError,
    StokerError,
    UnavailableError,
    UnsupportedFeatureError,
)
from stoker.messages import Author, Message, TextPart
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt, TokenPrompt
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


def test_a_conversation_is_passed_on(engine: RemoteEngine, server: OpenAiServer) -> None:
    """Messages, the remote name and what is set of the parameters; nothing else."""
    sampling = SamplingParams(temperature=0.5, seed=3, top_k=2)
    request = attrs.evolve(CHAT, sampling=sampling, max_tokens=9)

    assert "Hi there " == "".join(engine.generate(request, index=1))
    assert [
        {
            "model": "far",
            "stream": True,
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

    assert ["Once ", "upon "] == list(engine.generate(request, index=0))
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
    """Each status is a domain error, raised before there is an answer."""
    server.status = status

    with pytest.raises(error, match=rf"answers {status}: No luck today."):
        engine.generate(CHAT, index=0)


def test_an_error_in_the_stream_ends_the_answer(engine: RemoteEngine, server: OpenAiServer) -> None:
    """What came before it is passed on."""
    server.breaks = True
    pieces = engine.generate(CHAT, index=0)

    assert "Hi " == next(pieces)
    with pytest.raises(InvalidRequestError, match=r"It broke."):
        next(pieces)


def test_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    """Nobody listens there: the address is in the sentence."""
    path = tmp_path / "x.remote.json"
    path.write_text('{"url": "http://127.0.0.1:9/v1", "model": "far"}')
    engine = open_engine([path], RemoteOptions())

    with pytest.raises(UnavailableError, match=r"http://127.0.0.1:9/v1 cannot be reached"):
        engine.generate(CHAT, index=0)
    engine.close()


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (GenerateRequest("x", TokenPrompt((1, 2))), "prompt"),
        (attrs.evolve(CHAT, adapters=("a",)), "adapters"),
        (attrs.evolve(CHAT, sampling=SamplingParams(logprobs=1)), "logprobs"),
        (attrs.evolve(CHAT, sampling=SamplingParams(logit_bias={1: 2.0})), "logit_bias"),
        (attrs.evolve(CHAT, sampling=SamplingParams(penalty_window=2)), "penalty_window"),
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
