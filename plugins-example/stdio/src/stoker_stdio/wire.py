"""The JSON of the lines; see the readme for an example."""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker.errors import InvalidRequestError
from stoker.events import ChoiceFinished, Event, Failed, Finished, ReasoningDelta, TextDelta
from stoker.messages import Author, Message, TextPart
from stoker.request import ChatPrompt, GenerateRequest, TextPrompt

Id = int | str


class LineMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends. Unknown fields are refused, so none is dropped in silence."""

    id: Id
    model: str = ""
    prompt: str | None = None
    messages: tuple[LineMessage, ...] | None = None
    max_tokens: int | None = None
    cancel: bool = False


_DECODER = msgspec.json.Decoder(Line)


def decode(data: bytes) -> Line:
    """Read a line.

    Raises:
        InvalidRequestError: It is none.
    """
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError as exc:
        raise InvalidRequestError(f"The line cannot be read: {exc}.") from exc


def request_of(line: Line) -> GenerateRequest:
    """The request in a line.

    Raises:
        InvalidRequestError: There is none.
    """
    if line.prompt is not None and line.messages is None:
        return GenerateRequest(line.model, TextPrompt(line.prompt), max_tokens=line.max_tokens)
    if line.messages is None or line.prompt is not None:
        raise InvalidRequestError("Send either `prompt` or `messages`.", param="prompt")
    messages = tuple(
        Message(Author(turn.role), (TextPart(turn.content),)) for turn in line.messages
    )
    return GenerateRequest(line.model, ChatPrompt(messages), max_tokens=line.max_tokens)


class Answer:
    """Writes the events of one answer as lines."""

    def __init__(self, request_id: Id) -> None:
        self._id = request_id
        self._finish = ""

    def line(self, event: Event) -> bytes:
        """The line of an event; empty for events that have none."""
        match event:
            case TextDelta(text=text) if text:
                return self._line({"text": text})
            case ReasoningDelta(text=text):
                return self._line({"reasoning": text})
            case ChoiceFinished(reason=reason):
                self._finish = reason.value
            case Finished(usage=usage):
                counts = {
                    "prompt_tokens": usage.prompt_tokens,
                    "completion_tokens": usage.completion_tokens,
                }
                return self._line({"done": True, "finish": self._finish, **counts})
            case Failed(error=error):
                return self._line({"error": error.message})
        return b""

    def _line(self, fields: dict[str, object]) -> bytes:
        return msgspec.json.encode({"id": self._id, **fields}) + b"\n"


def refusal(message: str, request_id: Id | None = None) -> bytes:
    """The line that says why something cannot be answered."""
    return msgspec.json.encode({"id": request_id, "error": message}) + b"\n"
