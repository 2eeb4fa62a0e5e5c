"""Requests on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker import messages, request
from stoker.messages import Author, ToolChoiceMode
from stoker.request import ConstraintKind, EmbedRequest, GenerateRequest, Request, RerankRequest
from stoker.sampling import SamplingParams


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of everything in a request."""


class TextPartWire(_Wire, frozen=True, tag="text"):
    """See `stoker.messages.TextPart`."""

    text: str


class ImagePartWire(_Wire, frozen=True, tag="image"):
    """See `stoker.messages.ImagePart`."""

    data: bytes
    mime_type: str


class AudioPartWire(_Wire, frozen=True, tag="audio"):
    """See `stoker.messages.AudioPart`."""

    data: bytes
    mime_type: str


PartWire = TextPartWire | ImagePartWire | AudioPartWire


def _part_to_wire(part: messages.Part) -> PartWire:
    match part:
        case messages.TextPart(text):
            return TextPartWire(text)
        case messages.ImagePart(data, mime_type):
            return ImagePartWire(data, mime_type)
        case messages.AudioPart(data, mime_type):
            return AudioPartWire(data, mime_type)


def _part_to_domain(wire: PartWire) -> messages.Part:
    match wire:
        case TextPartWire():
            return messages.TextPart(wire.text)
        case ImagePartWire():
            return messages.ImagePart(wire.data, wire.mime_type)
        case AudioPartWire():
            return messages.AudioPart(wire.data, wire.mime_type)


class ToolCallWire(_Wire, frozen=True):
    """See `stoker.messages.ToolCall`."""

    id: str
    name: str
    arguments: str


class MessageWire(_Wire, frozen=True):
    """See `stoker.messages.Message`."""

    author: Author
    parts: tuple[PartWire, ...] = ()
    tool_calls: tuple[ToolCallWire, ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None
    name: str | None = None

    @classmethod
    def from_domain(cls, message: messages.Message) -> MessageWire:
        """Convert for sending."""
        return cls(
            author=message.author,
            parts=tuple(map(_part_to_wire, message.parts)),
            tool_calls=tuple(
                ToolCallWire(call.id, call.name, call.arguments) for call in message.tool_calls
            ),
            tool_call_id=message.tool_call_id,
            reasoning=message.reasoning,
            name=message.name,
        )

    def to_domain(self) -> messages.Message:
        """Convert what came."""
        return messages.Message(
            author=self.author,
            parts=tuple(map(_part_to_domain, self.parts)),
            tool_calls=tuple(
                messages.ToolCall(call.id, call.name, call.arguments) for call in self.tool_calls
            ),
            tool_call_id=self.tool_call_id,
            reasoning=self.reasoning,
            name=self.name,
        )


class ToolWire(_Wire, frozen=True):
    """See `stoker.messages.Tool`."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    strict: bool = False


class ChatPromptWire(_Wire, frozen=True, tag="chat"):
    """See `stoker.request.ChatPrompt`."""

    messages: tuple[MessageWire, ...]
    tools: tuple[ToolWire, ...] = ()
    tool_choice_mode: ToolChoiceMode = ToolChoiceMode.AUTO
    tool_choice_name: str | None = None
    parallel_tool_calls: bool = True
    add_generation_prompt: bool = True
    template_arguments: dict[str, Any] = {}


class TextPromptWire(_Wire, frozen=True, tag="text"):
    """See `stoker.request.TextPrompt`."""

    text: str


class TokenPromptWire(_Wire, frozen=True, tag="tokens"):
    """See `stoker.request.TokenPrompt`."""

    tokens: tuple[int, ...]


InputWire = TextPromptWire | TokenPromptWire
PromptWire = ChatPromptWire | InputWire


def _input_to_wire(item: request.TextPrompt | request.TokenPrompt) -> InputWire:
    match item:
        case request.TextPrompt(text):
            return TextPromptWire(text)
        case request.TokenPrompt(tokens):
            return TokenPromptWire(tokens)


def _input_to_domain(wire: InputWire) -> request.TextPrompt | request.TokenPrompt:
    match wire:
        case TextPromptWire():
            return request.TextPrompt(wire.text)
        case TokenPromptWire():
            return request.TokenPrompt(wire.tokens)


def _prompt_to_wire(prompt: request.Prompt) -> PromptWire:
    match prompt:
        case request.ChatPrompt():
            return ChatPromptWire(
                messages=tuple(map(MessageWire.from_domain, prompt.messages)),
                tools=tuple(
                    ToolWire(tool.name, tool.description, dict(tool.parameters), tool.strict)
                    for tool in prompt.tools
                ),
                tool_choice_mode=prompt.tool_choice.mode,
                tool_choice_name=prompt.tool_choice.name,
                parallel_tool_calls=prompt.parallel_tool_calls,
                add_generation_prompt=prompt.add_generation_prompt,
                template_arguments=dict(prompt.template_arguments),
            )
        case request.TextPrompt() | request.TokenPrompt():
            return _input_to_wire(prompt)


def _prompt_to_domain(wire: PromptWire) -> request.Prompt:
    match wire:
        case ChatPromptWire():
            return request.ChatPrompt(
                messages=tuple(message.to_domain() for message in wire.messages),
                tools=tuple(
                    messages.Tool(tool.name, tool.description, tool.parameters, tool.strict)
                    for tool in wire.tools
                ),
                tool_choice=messages.ToolChoice(wire.tool_choice_mode, wire.tool_choice_name),
                parallel_tool_calls=wire.parallel_tool_calls,
                add_generation_prompt=wire.add_generation_prompt,
                template_arguments=wire.template_arguments,
            )
        case TextPromptWire() | TokenPromptWire():
            return _input_to_domain(wire)


class SamplingWire(_Wire, frozen=True):
    """See `stoker.sampling.SamplingParams`."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    penalty_window: int | None = None
    seed: int | None = None
    logit_bias: dict[int, float] | None = None
    logprobs: int | None = None


class GenerateRequestWire(_Wire, frozen=True, tag="generate"):
    """See `stoker.request.GenerateRequest`."""

    model: str
    prompt: PromptWire
    sampling: SamplingWire = SamplingWire()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    constraint_kind: ConstraintKind | None = None
    constraint_source: str = ""
    constraint_param: str = ""
    adapters: tuple[str, ...] = ()
    ignore_end: bool = False
    backend: str | None = None
    priority: int = 0
    keep_alive_s: float | None = None

    @classmethod
    def from_domain(cls, item: GenerateRequest) -> GenerateRequestWire:
        """Convert for sending."""
        return cls(
            model=item.model,
            prompt=_prompt_to_wire(item.prompt),
            sampling=SamplingWire(
                **{name: getattr(item.sampling, name) for name in SamplingWire.__struct_fields__}
            ),
            max_tokens=item.max_tokens,
            stop=item.stop,
            n=item.n,
            constraint_kind=item.constraint.kind if item.constraint else None,
            constraint_source=item.constraint.source if item.constraint else "",
            constraint_param=item.constraint.param if item.constraint else "",
            adapters=item.adapters,
            ignore_end=item.ignore_end,
            backend=item.backend,
            priority=item.priority,
            keep_alive_s=item.keep_alive_s,
        )

    def to_domain(self) -> GenerateRequest:
        """Convert what came.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        constraint = None
        if self.constraint_kind is not None:
            constraint = request.Constraint(
                self.constraint_kind, self.constraint_source, self.constraint_param
            )
        return GenerateRequest(
            model=self.model,
            prompt=_prompt_to_domain(self.prompt),
            sampling=SamplingParams(**msgspec.structs.asdict(self.sampling)),
            max_tokens=self.max_tokens,
            stop=self.stop,
            n=self.n,
            constraint=constraint,
            adapters=self.adapters,
            ignore_end=self.ignore_end,
            backend=self.backend,
            priority=self.priority,
            keep_alive_s=self.keep_alive_s,
        )


class EmbedRequestWire(_Wire, frozen=True, tag="embed"):
    """See `stoker.request.EmbedRequest`."""

    model: str
    input: tuple[InputWire, ...]
    dimensions: int | None = None
    normalize: bool = True
    backend: str | None = None
    priority: int = 0
    keep_alive_s: float | None = None

    @classmethod
    def from_domain(cls, item: EmbedRequest) -> EmbedRequestWire:
        """Convert for sending."""
        return cls(
            model=item.model,
            input=tuple(map(_input_to_wire, item.input)),
            dimensions=item.dimensions,
            normalize=item.normalize,
            backend=item.backend,
            priority=item.priority,
            keep_alive_s=item.keep_alive_s,
        )

    def to_domain(self) -> EmbedRequest:
        """Convert what came.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        return EmbedRequest(
            model=self.model,
            input=tuple(map(_input_to_domain, self.input)),
            dimensions=self.dimensions,
            normalize=self.normalize,
            backend=self.backend,
            priority=self.priority,
            keep_alive_s=self.keep_alive_s,
        )


class RerankRequestWire(_Wire, frozen=True, tag="rerank"):
    """See `stoker.request.RerankRequest`."""

    model: str
    query: str | tuple[str, ...]
    documents: tuple[str, ...]
    top_n: int | None = None
    params: tuple[str, str] = ("query", "documents")
    backend: str | None = None
    priority: int = 0
    keep_alive_s: float | None = None

    @classmethod
    def from_domain(cls, item: RerankRequest) -> RerankRequestWire:
        """Convert for sending."""
        return cls(**{name: getattr(item, name) for name in cls.__struct_fields__})

    def to_domain(self) -> RerankRequest:
        """Convert what came.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        return RerankRequest(**msgspec.structs.asdict(self))


RequestWire = GenerateRequestWire | EmbedRequestWire | RerankRequestWire


def request_to_wire(item: Request) -> RequestWire:
    """Convert a request for sending."""
    match item:
        case GenerateRequest():
            return GenerateRequestWire.from_domain(item)
        case EmbedRequest():
            return EmbedRequestWire.from_domain(item)
        case RerankRequest():
            return RerankRequestWire.from_domain(item)
