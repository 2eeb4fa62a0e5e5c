"""Counts of tokens."""

from __future__ import annotations

import json

from encoded import feed

from stoker.errors import RunnerCrashedError
from stoker.events import Failed, Finished, Tokenized, Usage
from stoker_litestar.dialects.anthropic.count_tokens import CountEncoder, decode_count
from stoker_litestar.dialects.anthropic.messages import decode_message

from .conftest import CONTEXT

BODY = {
    "model": "m",
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [{"name": "add", "input_schema": {"type": "object"}}],
}


def test_the_prompt_that_is_counted_is_the_one_that_is_answered() -> None:
    """The same body means the same prompt on both routes."""
    count = decode_count(json.dumps(BODY).encode())
    message = decode_message(json.dumps(BODY | {"max_tokens": 9}).encode())

    assert getattr(count.request, "prompt", None) == getattr(message.request, "prompt", ())


def test_the_count() -> None:
    """It is the number of the prompt's tokens."""
    events = [Tokenized((1, 2, 3)), Finished(Usage(3, 0))]

    assert {"input_tokens": 3} == json.loads(feed(CountEncoder(CONTEXT), events))


def test_a_failure() -> None:
    """It is an error object."""
    body = json.loads(CountEncoder(CONTEXT).feed(Failed(RunnerCrashedError("It died."))))

    assert "api_error" == body["error"]["type"]
