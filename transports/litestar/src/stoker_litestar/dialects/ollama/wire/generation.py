"""What chat and generate requests share, and their bodies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from stoker.request import Constraint, ConstraintKind, Effort, Reasoning
from stoker.sampling import MAX_LOGPROBS
from stoker_litestar.dialects.json_body import field_error
from stoker_litestar.dialects.ollama.wire.message import MessageBody, ToolBody
from stoker_litestar.dialects.ollama.wire.options import NO_OPTIONS, Options

KeepAlive = float | str
Name = Annotated[str, msgspec.Meta(min_length=1)]


class GenerationFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both routes take, with the same meaning."""

    model: Name
    stream: bool | None = None
    options: Options | None = None
    format: Literal["", "json"] | dict[str, Any] | None = None
    keep_alive: KeepAlive | None = None
    think: bool | Literal["low", "medium", "high", "max"] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=MAX_LOGPROBS)] | None = None
    truncate: bool | None = None
    shift: bool | None = None
    debug_render_only: bool | None = msgspec.field(default=None, name="_debug_render_only")

    @property
    def streams(self) -> bool:
        """Whether the answer comes piece by piece, as it does when nothing is said."""
        return self.stream is not False

    @property
    def all_options(self) -> Options:
        """The options; none of them set when there is no table."""
        return NO_OPTIONS if self.options is None else self.options

    def constraint(self) -> Constraint | None:
        """The form that the answer must have."""
        if not self.format:
            return None
        if self.format == "json":
            return Constraint(ConstraintKind.JSON_OBJECT, param="format")
        source = msgspec.json.encode(self.format).decode()
        return Constraint(ConstraintKind.JSON_SCHEMA, source, param="format")

    def reasoning(self) -> Reasoning:
        """How much the model should think, where `think` says so; true is a medium effort."""
        match self.think:
            case None:
                return Reasoning()
            case bool():
                return Reasoning(effort=Effort.MEDIUM if self.think else Effort.NONE)
            case _:
                return Reasoning(effort=Effort(self.think))

    def logprob_count(self) -> int | None:
        """How many alternatives are wanted with each token; None for nothing at all.

        Raises:
            InvalidRequestError: There are alternatives without log probabilities.
        """
        if self.logprobs:
            return self.top_logprobs or 0
        if self.top_logprobs:
            raise field_error("top_logprobs", "it needs logprobs set to true")
        return None


class ChatBody(GenerationFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/chat`; what becomes of each field stands in `generation_fields`."""

    messages: list[MessageBody] | None = None
    tools: list[ToolBody] | None = None


class GenerateBody(GenerationFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/generate`; likewise."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[str] | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
