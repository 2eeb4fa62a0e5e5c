"""Requests that need the tokenizer and the template only."""

from __future__ import annotations

from typing import Any

import pytest
from counting_engine import BEGIN, END, CountingEngine

from stoker.engine import EngineInfo, TextEngine
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.events import Detokenized, Event, Finished, Rendered, Tokenized
from stoker.messages import Author, Message, TextPart, Tool
from stoker.request import (
    ChatPrompt,
    DetokenizeRequest,
    GenerateRequest,
    RenderRequest,
    Request,
    TextPrompt,
    TokenizeRequest,
    TokenPrompt,
)
from stoker.text.prompt import PromptEncoder
from stoker.text.text_session import TextSession
from stoker.text.token_session import TokenSession

HELLO = ChatPrompt((Message(Author.USER, (TextPart("hi"),)),))
TOOLS = "{% for tool in tools or [] %}[{{ tool.function.name }}]{% endfor %}"


def _session(engine: Any) -> TokenSession:
    return TokenSession(engine, PromptEncoder(engine, template_source=engine.info.chat_template))


def _answer(engine: Any, request: Request) -> list[Event]:
    session = _session(engine)
    try:
        session.submit(1, request)
        return [event for _, event in session.step()]
    finally:
        session.close()


def test_a_prompt_is_counted_as_it_would_be_read(scripted_engine: Any) -> None:
    """The tokens are those that a request with the same prompt gives the engine."""
    engine = scripted_engine(b"x", begin=True)
    session = _session(engine)
    session.submit(1, GenerateRequest("m", HELLO))
    session.submit(2, TokenizeRequest("m", HELLO))
    events = [event for number, event in session.step() if number == 2]
    session.close()

    (tokenized, finished) = events
    assert isinstance(tokenized, Tokenized)
    assert isinstance(finished, Finished)
    assert engine.jobs[0].prompt == tokenized.tokens
    assert (len(tokenized.tokens), 0) == (
        finished.usage.prompt_tokens,
        finished.usage.completion_tokens,
    )


def test_a_prompt_that_does_not_fit_is_counted(scripted_engine: Any) -> None:
    """Whoever counts wants to know by how much it is too long."""
    events = _answer(scripted_engine(context_length=5), TokenizeRequest("m", TextPrompt("a" * 100)))

    assert Tokenized(tuple(b"a" * 100)) == events[0]


def test_tools_are_counted(scripted_engine: Any) -> None:
    """A chat's tools are part of its prompt."""
    engine = scripted_engine(chat_template=TOOLS)
    prompt = ChatPrompt(HELLO.messages, tools=(Tool("f"),))

    assert Tokenized(tuple(b"[f]")) == _answer(engine, TokenizeRequest("m", prompt))[0]


@pytest.mark.parametrize(
    ("add_special", "parse_special", "expected"),
    [
        (True, True, (256, 259)),
        (False, True, (259,)),
        (True, False, (256, *b"<|im_end|>")),
        (False, False, tuple(b"<|im_end|>")),
    ],
)
def test_texts_are_read_with_or_without_special_tokens(
    scripted_engine: Any, add_special: bool, parse_special: bool, expected: tuple[int, ...]
) -> None:
    """Both switches of a tokenizer can be set."""
    request = TokenizeRequest(
        "m", TextPrompt("<|im_end|>"), add_special=add_special, parse_special=parse_special
    )

    assert Tokenized(expected) == _answer(scripted_engine(begin=True), request)[0]


def test_texts_for_an_embedding_are_read_as_that_reads_them() -> None:
    """With the tokens around them that the model's files prescribe, at both ends."""
    events = _answer(CountingEngine(), TokenizeRequest("m", TextPrompt("hi")))

    assert Tokenized((BEGIN, *b"hi", END)) == events[0]


def test_the_empty_text_has_tokens(scripted_engine: Any) -> None:
    """It is no prompt, but it can be tokenized."""
    request = TokenizeRequest("m", TextPrompt(""), add_special=False)

    assert Tokenized(()) == _answer(scripted_engine(), request)[0]


def test_pieces_are_the_bytes_of_tokens(scripted_engine: Any) -> None:
    """Control tokens have none."""
    request = TokenizeRequest("m", TextPrompt("\u00fc</s>"), with_pieces=True)

    assert (
        Tokenized((0xC3, 0xBC, 257), (b"\xc3", b"\xbc", b""))
        == _answer(scripted_engine(), request)[0]
    )


def test_tokens_become_text_again(scripted_engine: Any) -> None:
    """Bytes that are no characters become replacement characters."""
    request = DetokenizeRequest("m", (0xC3, 0xBC, 257, 0xC3))

    assert Detokenized("\u00fc\ufffd") == _answer(scripted_engine(), request)[0]


def test_tokens_that_do_not_exist_are_refused(scripted_engine: Any) -> None:
    """The error names the field."""
    with pytest.raises(InvalidRequestError, match="between 0 and") as caught:
        _answer(scripted_engine(), DetokenizeRequest("m", (9999,)))

    assert "tokens" == caught.value.param
    with pytest.raises(InvalidRequestError):
        _answer(scripted_engine(), TokenizeRequest("m", TokenPrompt((-1,))))


def test_a_template_is_applied(scripted_engine: Any, chatml: str) -> None:
    """The text is the template's own."""
    expected = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"

    assert (
        Rendered(expected)
        == _answer(scripted_engine(chat_template=chatml), RenderRequest("m", HELLO))[0]
    )


def test_a_cancelled_request_is_not_told(scripted_engine: Any) -> None:
    """Cancelling comes before the step that would tell."""
    session = _session(scripted_engine())
    session.submit(1, DetokenizeRequest("m", (97,)))
    session.submit(2, DetokenizeRequest("m", (98,)))
    session.cancel(1)
    events = session.step()
    session.close()

    assert [(2, Detokenized("b"))] == events[:1]
    assert 2 == len(events)


def test_an_engine_of_text_has_no_tokens() -> None:
    """It says so."""

    class Mute(TextEngine):
        info = EngineInfo(context_length=10, vocabulary_size=0)

        def generate(self, request: GenerateRequest, *, index: int) -> Any:
            raise NotImplementedError

        def close(self) -> None:
            pass

    with pytest.raises(UnsupportedFeatureError, match="no tokens"):
        TextSession(Mute()).submit(1, TokenizeRequest("m", HELLO))
