"""Answers: from events to lines of JSON, or to one object, for chat and generate alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import msgspec
from msgspec import UNSET

from stoker.dialect import CommandEncoder, ResponseContext, ResponseEncoder
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from stoker.management import CommandEvent, ModelLoaded, ModelsUnloaded
from stoker_litestar.dialects.ollama.duration import nanoseconds
from stoker_litestar.dialects.ollama.error import error_object
from stoker_litestar.dialects.ollama.moment import moment
from stoker_litestar.dialects.ollama.tool_calls import ToolCalls, Written
from stoker_litestar.dialects.ollama.wire.answer import (
    ChatPiece,
    Ending,
    GeneratePiece,
    token_objects,
)
from stoker_litestar.dialects.ollama.wire.encoder import encode
from stoker_litestar.dialects.ollama.wire.message import MessageObject, ToolCallObject

LINES = "application/x-ndjson"
JSON = "application/json; charset=utf-8"


@attrs.frozen
class Content:
    """What a line says."""

    text: str = ""
    thinking: str = ""
    calls: Sequence[ToolCallObject] = ()
    tokens: Sequence[TokenLogprob] = ()


Shape = Callable[[str, str, Content, dict[str, Any]], msgspec.Struct]
"""Makes a line of a model's name, a moment, what it says, and how it ended."""


def chat_shape(
    model: str, created_at: str, content: Content, ending: dict[str, Any]
) -> msgspec.Struct:
    """A line of a chat."""
    return ChatPiece(
        model=model,
        created_at=created_at,
        message=MessageObject(
            role="assistant",
            content=content.text,
            thinking=content.thinking or UNSET,
            tool_calls=list(content.calls) or UNSET,
        ),
        logprobs=token_objects(content.tokens),
        **ending,
    )


def generate_shape(
    model: str, created_at: str, content: Content, ending: dict[str, Any]
) -> msgspec.Struct:
    """A line of a continued text."""
    return GeneratePiece(
        model=model,
        created_at=created_at,
        response=content.text,
        thinking=content.thinking or UNSET,
        logprobs=token_objects(content.tokens),
        **ending,
    )


class AnswerEncoder(ResponseEncoder):
    """Makes a line of every event that has something to say; the last one has the counts."""

    def __init__(self, context: ResponseContext, *, model: str, shape: Shape, stream: bool) -> None:
        self.content_type = LINES if stream else JSON
        self._model = model
        self._created_at = moment(context.created_s)
        self._shape = shape
        self._stream = stream
        self._calls = ToolCalls()
        self._reason = FinishReason.STOP
        self._whole: list[Content] = []

    def feed(self, event: Event) -> bytes:
        """Encode the event's line, or keep what it says for the one object."""
        match event:
            case TextDelta(text=text, logprobs=tokens):
                return self._say(Content(text=text, tokens=tokens))
            case ReasoningDelta(text=text):
                return self._say(Content(thinking=text))
            case ToolCallDelta():
                return self._say(_content(self._calls.take(event)))
            case ChoiceFinished(reason=reason):
                self._reason = reason
                return self._say(_content(self._calls.end()))
            case Finished():
                return self._end(event)
            case Failed(error):
                return error_object(error) + (b"\n" if self._stream else b"")
            case _:
                return b""

    def _say(self, content: Content) -> bytes:
        if content == Content():
            return b""
        if self._stream:
            return self._line(content, {}) + b"\n"
        self._whole.append(content)
        return b""

    def _end(self, event: Finished) -> bytes:
        ending = msgspec.structs.asdict(Ending.from_domain(event, self._reason))
        if self._stream:
            return self._line(Content(), ending) + b"\n"
        return self._line(_joined(self._whole), ending)

    def _line(self, content: Content, ending: dict[str, Any]) -> bytes:
        return encode(self._shape(self._model, self._created_at, content, ending))


class LoadEncoder(CommandEncoder):
    """The answer to a request that only loads or unloads: one line that says so."""

    def __init__(self, context: ResponseContext, *, model: str, shape: Shape, stream: bool) -> None:
        self.content_type = LINES if stream else JSON
        self._line: Callable[[dict[str, Any]], msgspec.Struct] = lambda ending: shape(
            model, moment(context.created_s), Content(), ending
        )
        self._end = b"\n" if stream else b""

    def feed(self, event: CommandEvent) -> bytes:
        """The result makes the line."""
        match event:
            case ModelLoaded(load_s):
                load_ns = nanoseconds(load_s)
                ending = {"load_duration": load_ns, "total_duration": load_ns}
                return self._done("load", ending)
            case ModelsUnloaded():
                return self._done("unload", {})
            case Failed(error):
                return error_object(error) + self._end
            case _:
                return b""

    def _done(self, reason: str, ending: dict[str, Any]) -> bytes:
        return encode(self._line({"done": True, "done_reason": reason, **ending})) + self._end


def _content(written: Written) -> Content:
    return Content(text=written.text, calls=written.calls)


def _joined(contents: Sequence[Content]) -> Content:
    return Content(
        text="".join(item.text for item in contents),
        thinking="".join(item.thinking for item in contents),
        calls=[call for item in contents for call in item.calls],
        tokens=[token for item in contents for token in item.tokens],
    )
