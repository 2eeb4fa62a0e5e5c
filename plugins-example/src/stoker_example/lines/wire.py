"""The JSON of the lines: wire Structs here, domain objects everywhere else.

A client sends `{"model": "ai/smollm2", "prompt": "Hi"}` or, for a conversation,
`{"model": ..., "messages": [{"role": "user", "content": "Hi"}]}`, and reads lines until one has
`done` or `error`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker.errors import InvalidRequestError
from stoker.events import ChoiceFinished, Event, Failed, Finished, ReasoningDelta, TextDelta
from stoker.messages import Author, Message, TextPart
from stoker.request import ChatPrompt, GenerateRequest, Prompt, TextPrompt


class LineMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class LineRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line from a client. Unknown fields are refused, so none is dropped in silence."""

    model: str
    prompt: str | None = None
    messages: tuple[LineMessage, ...] | None = None
    max_tokens: int | None = None


_DECODER = msgspec.json.Decoder(LineRequest)


def decode(line: bytes) -> GenerateRequest:
    """Read a request.

    Raises:
        InvalidRequestError: The line is no request; the message says why.
    """
    try:
        wire = _DECODER.decode(line)
    except msgspec.DecodeError as exc:
        raise InvalidRequestError(f"The line is not a request: {exc}.") from exc
    prompt: Prompt
    if wire.prompt is not None and wire.messages is None:
        prompt = TextPrompt(wire.prompt)
    elif wire.messages is not None and wire.prompt is None:
        prompt = ChatPrompt(
            tuple(Message(Author(turn.role), (TextPart(turn.content),)) for turn in wire.messages)
        )
    else:
        raise InvalidRequestError("Send either `prompt` or `messages`.", param="prompt")
    return GenerateRequest(model=wire.model, prompt=prompt, max_tokens=wire.max_tokens)


def encode(event: Event) -> bytes:
    """Write an event as a line; events that these clients do not see give no bytes."""
    match event:
        case TextDelta(text=text) if text:
            return _line({"text": text})
        case ReasoningDelta(text=text):
            return _line({"reasoning": text})
        case ChoiceFinished(reason=reason):
            return _line({"finish": reason.value})
        case Finished(usage=usage):
            counts = {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
            }
            return _line({"done": True, "usage": counts})
        case Failed(error=error):
            return encode_error(error.message)
        case _:
            # Queueing, loading and reading the prompt; tool calls, which no request here allows.
            return b""


def encode_error(message: str) -> bytes:
    """Write the line that ends an answer which could not be given."""
    return _line({"error": message})


def _line(value: dict[str, object]) -> bytes:
    # JSON escapes line breaks inside strings, so the one at the end is the only one.
    return msgspec.json.encode(value) + b"\n"
