"""What is refused because it is too much."""

from __future__ import annotations

import pytest

from stoker.caller import LOCAL, Caller, Scope
from stoker.config.limits import LimitsConfig
from stoker.errors import InvalidRequestError, TooManyRequestsError
from stoker.limits import ConcurrentRequests, check_limits
from stoker.messages import Author, Message, TextPart
from stoker.request import (
    ChatPrompt,
    EmbedRequest,
    GenerateRequest,
    Request,
    RerankRequest,
    TextPrompt,
    TokenPrompt,
)

LIMITS = LimitsConfig(
    max_prompt_chars=10,
    max_messages=2,
    max_choices=3,
    max_stop_strings=1,
    max_stop_string_chars=4,
    max_inputs=2,
    max_concurrent_requests=2,
)
HELLO = Message(Author.USER, (TextPart("Hello"),))


@pytest.mark.parametrize(
    "request_",
    [
        GenerateRequest("m", TextPrompt("x" * 10), n=3, stop=("four",)),
        GenerateRequest("m", TokenPrompt((1,) * 10)),
        GenerateRequest("m", ChatPrompt((HELLO, HELLO))),
        EmbedRequest("m", (TextPrompt("x" * 5), TokenPrompt((1,) * 5))),
        RerankRequest("m", "12", ("1234", "1234")),
    ],
)
def test_as_much_as_is_allowed_is_fine(request_: Request) -> None:
    """A limit is the largest value that passes."""
    check_limits(request_, LIMITS)


@pytest.mark.parametrize(
    ("request_", "param", "key"),
    [
        (GenerateRequest("m", TextPrompt("x" * 11)), "prompt", "max_prompt_chars"),
        (GenerateRequest("m", TokenPrompt((1,) * 11)), "prompt", "max_prompt_chars"),
        (GenerateRequest("m", ChatPrompt((HELLO,) * 3)), "messages", "max_messages"),
        (
            GenerateRequest("m", ChatPrompt((Message(Author.USER, (TextPart("x" * 11),)),))),
            "messages",
            "max_prompt_chars",
        ),
        (GenerateRequest("m", TextPrompt("x"), n=4), "n", "max_choices"),
        (GenerateRequest("m", TextPrompt("x"), stop=("a", "b")), "stop", "max_stop_strings"),
        (GenerateRequest("m", TextPrompt("x"), stop=("abcde",)), "stop", "max_stop_string_chars"),
        (EmbedRequest("m", (TextPrompt("x"),) * 3), "input", "max_inputs"),
        (EmbedRequest("m", (TextPrompt("x" * 11),)), "input", "max_prompt_chars"),
        (RerankRequest("m", "q", ("a",) * 3), "documents", "max_inputs"),
        (RerankRequest("m", "q" * 10, ("a",)), "documents", "max_prompt_chars"),
    ],
)
def test_one_more_is_refused(request_: Request, param: str, key: str) -> None:
    """The error names the field, the number and the setting."""
    with pytest.raises(InvalidRequestError, match=rf"limits\.{key}") as caught:
        check_limits(request_, LIMITS)
    assert param == caught.value.param


def test_a_caller_has_so_many_requests_at_once() -> None:
    """Another caller is not its problem, and an answer makes room again."""
    requests = ConcurrentRequests(LIMITS)
    ann, bob = (Caller(name, frozenset(Scope)) for name in ("ann", "bob"))

    with requests.counted(ann):
        with requests.counted(ann):
            with (
                pytest.raises(TooManyRequestsError, match="ann has 2 requests"),
                requests.counted(ann),
            ):
                raise AssertionError("it was let in")
            with requests.counted(bob):
                pass
        with requests.counted(ann):
            pass


def test_the_owner_of_the_server_has_no_limit() -> None:
    """Who sits at the machine can always ask."""
    requests = ConcurrentRequests(LIMITS)

    with requests.counted(LOCAL), requests.counted(LOCAL), requests.counted(LOCAL):
        pass
