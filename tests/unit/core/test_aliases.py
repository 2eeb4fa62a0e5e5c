"""Aliases: parameters of their own, for one set of weights."""

from __future__ import annotations

import msgspec
import pytest

from stoker.aliases import Alias, AliasTable
from stoker.config.aliases import AliasConfig
from stoker.messages import Author, Message, TextPart
from stoker.request import (
    ChatPrompt,
    EmbedRequest,
    GenerateRequest,
    RenderRequest,
    TextPrompt,
    TokenizeRequest,
)
from stoker.sampling import SamplingParams

BRIEF = msgspec.convert(
    {
        "model": "ai/smollm2",
        "system": "Be brief.",
        "defaults": {"temperature": 0.2, "max_tokens": 50, "stop": ["END"]},
        "enforced": {"seed": 7, "top_k": 1},
    },
    AliasConfig,
)


def message(author: Author, text: str) -> Message:
    return Message(author, (TextPart(text),))


def test_defaults_fill_gaps_and_enforced_ones_win() -> None:
    """What the request says beats the defaults, and is beaten by what is enforced."""
    bare = GenerateRequest("brief", TextPrompt("Hi"))
    full = GenerateRequest(
        "brief",
        TextPrompt("Hi"),
        sampling=SamplingParams(temperature=0.9, seed=1, top_p=0.5),
        max_tokens=3,
        stop=("\n",),
    )

    assert [
        (SamplingParams(temperature=0.2, seed=7, top_k=1), 50, ("END",)),
        (SamplingParams(temperature=0.9, seed=7, top_k=1, top_p=0.5), 3, ("\n",)),
    ] == [
        (made.sampling, made.max_tokens, made.stop)
        for made in (Alias("brief", BRIEF).apply(request) for request in (bare, full))
        if isinstance(made, GenerateRequest)
    ]


def test_the_request_is_for_the_model() -> None:
    """Whoever is asked next hears the model's own name, of requests of every kind."""
    alias = Alias("brief", BRIEF)

    assert "ai/smollm2" == alias.apply(GenerateRequest("brief", TextPrompt("Hi"))).model
    assert "ai/smollm2" == alias.apply(EmbedRequest("brief", (TextPrompt("Hi"),))).model


def test_the_system_message_stands_in_front() -> None:
    """It is put before a conversation that has none; plain prompts are left alone."""
    user = message(Author.USER, "Hi")
    own = message(Author.SYSTEM, "Be wordy.")
    alias = Alias("brief", BRIEF)

    def messages(*given: Message) -> tuple[Message, ...]:
        made = alias.apply(GenerateRequest("brief", ChatPrompt(given)))
        assert isinstance(made, GenerateRequest)
        assert isinstance(made.prompt, ChatPrompt)
        return made.prompt.messages

    assert (message(Author.SYSTEM, "Be brief."), user) == messages(user)
    assert (own, user) == messages(own, user)
    made = alias.apply(GenerateRequest("brief", TextPrompt("Hi")))
    assert isinstance(made, GenerateRequest)
    assert TextPrompt("Hi") == made.prompt


def test_what_is_counted_is_what_is_asked() -> None:
    """Tokens and rendered templates are those of the conversation with the system message."""
    prompt = ChatPrompt((message(Author.USER, "Hi"),))
    alias = Alias("brief", BRIEF)

    for request in (TokenizeRequest("brief", prompt), RenderRequest("brief", prompt)):
        made = alias.apply(request)
        assert isinstance(made, TokenizeRequest | RenderRequest)
        assert isinstance(made.prompt, ChatPrompt)
        assert ("ai/smollm2", 2) == (made.model, len(made.prompt.messages))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("brief", True),
        ("brief:latest", True),
        ("docker.io/ai/brief", True),
        ("ai/smollm2", False),
        ("NOT A NAME", False),
    ],
)
def test_an_alias_is_found_by_any_spelling(name: str, found: bool) -> None:
    """Clients that add a tag mean the same alias."""
    alias = AliasTable({"brief": BRIEF}, ()).find(name)

    assert found == (alias is not None)
