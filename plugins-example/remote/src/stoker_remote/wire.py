"""The JSON of weights files and of answers, as far as it is read; what is unknown is let through.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec


class RemoteModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A weights file: where the model is."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+$")]
    """Of the API, with its version: `http://gpu.example:8000/v1`."""
    model: str
    """As that server calls it."""
    context_length: Annotated[int, msgspec.Meta(ge=1)] = 8192


class CalledFunction(msgspec.Struct, frozen=True):
    """A piece of a call: the name once, the arguments bit by bit."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(msgspec.Struct, frozen=True):
    """A piece of a tool call."""

    index: int = 0
    id: str | None = None
    function: CalledFunction = CalledFunction()


class Delta(msgspec.Struct, frozen=True):
    """What a chunk adds to a message."""

    content: str | None = None
    reasoning_content: str | None = None
    """An extension that most servers of reasoning models share; some call it `reasoning`."""
    reasoning: str | None = None
    tool_calls: list[CallDelta] | None = None


class Choice(msgspec.Struct, frozen=True):
    """The one choice that was asked for."""

    delta: Delta = Delta()
    text: str | None = None
    """In place of the delta where a text is continued."""
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct, frozen=True):
    """Of the prompt's tokens."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct, frozen=True):
    """Of the answer's tokens."""

    reasoning_tokens: int | None = None


class RemoteUsage(msgspec.Struct, frozen=True):
    """What the server has counted."""

    prompt_tokens: Annotated[int, msgspec.Meta(ge=0)]
    completion_tokens: Annotated[int, msgspec.Meta(ge=0)]
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Chunk(msgspec.Struct, frozen=True):
    """An event of the stream."""

    choices: list[Choice] = []
    usage: RemoteUsage | None = None
    error: Any = None


def error_text(error: Any) -> str:
    """The words of an error object, whatever form it has."""
    if isinstance(error, dict):
        error = error.get("error", error)
    if isinstance(error, dict):
        error = error.get("message", error)
    return str(error)[:500]
