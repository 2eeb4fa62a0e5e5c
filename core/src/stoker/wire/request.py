"""Requests on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker import messages, request
from stoker.messages import Author, ToolChoiceMode
from stoker.request import (
    ConstraintKind,
    DetokenizeRequest,
    EmbedRequest,
    GenerateRequest,
    RenderRequest,
    Request,
    RerankRequest,
    TokenizeRequest,
)
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
    effort: request.Effort | None = None
    budget_tokens: int | None = None

    @classmethod
    def from_domain(cls, prompt: request.ChatPrompt) -> ChatPromptWire:
        """Convert for sending."""
        return cls(
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
            effort=prompt.reasoning.effort,
            budget_tokens=prompt.reasoning.budget_tokens,
        )

    def to_domain(self) -> request.ChatPrompt:
        """Convert what came."""
        return request.ChatPrompt(
            messages=tuple(message.to_domain() for message in self.messages),
            tools=tuple(
                messages.Tool(tool.name, tool.description, tool.parameters, tool.strict)
                for tool in self.tools
            ),
            tool_choice=messages.ToolChoice(self.tool_choice_mode, self.tool_choice_name),
            parallel_tool_calls=self.parallel_tool_calls,
            add_generation_prompt=self.add_generation_prompt,
            template_arguments=self.template_arguments,
            reasoning=request.Reasoning(self.effort, self.budget_tokens),
        )


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
            return ChatPromptWire.from_domain(prompt)
        case request.TextPrompt() | request.TokenPrompt():
            return _input_to_wire(prompt)


def _prompt_to_domain(wire: PromptWire) -> request.Prompt:
    match wire:
        case ChatPromptWire():
            return wire.to_domain()
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
    more_prompts: tuple[InputWire, ...] = ()
    echo: bool = False
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
            more_prompts=tuple(map(_input_to_wire, item.more_prompts)),
            echo=item.echo,
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
            more_prompts=tuple(map(_input_to_domain, self.more_prompts)),
            echo=self.echo,
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


class TokenizeRequestWire(_Wire, frozen=True, tag="tokenize"):
    """See `stoker.request.TokenizeRequest`."""

    model: str
    prompt: PromptWire
    add_special: bool = True
    parse_special: bool = True
    with_pieces: bool = False
    backend: str | None = None
    priority: int = 0
    keep_alive_s: float | None = None

    @classmethod
    def from_domain(cls, item: TokenizeRequest) -> TokenizeRequestWire:
        """Convert for sending."""
        values = {name: getattr(item, name) for name in cls.__struct_fields__}
        return cls(**(values | {"prompt": _prompt_to_wire(item.prompt)}))

    def to_domain(self) -> TokenizeRequest:
        """Convert what came.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        values = msgspec.structs.asdict(self)
        return TokenizeRequest(**(values | {"prompt": _prompt_to_domain(self.prompt)}))


class DetokenizeRequestWire(_Wire, frozen=True, tag="detokenize"):
    """See `stoker.request.DetokenizeRequest`."""

    model: str
    tokens: tuple[int, ...]
    backend: str | None = None
    priority: int = 0
    keep_alive_s: float | None = None

    @classmethod
    def from_domain(cls, item: DetokenizeRequest) -> DetokenizeRequestWire:
        """Convert for sending."""
        return cls(**{name: getattr(item, name) for name in cls.__struct_fields__})

    def to_domain(self) -> DetokenizeRequest:
        """Convert what came.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        return DetokenizeRequest(**msgspec.structs.asdict(self))


class RenderRequestWire(_Wire, frozen=True, tag="render"):
    """See `stoker.request.RenderRequest`."""

    model: str
    prompt: ChatPromptWire
    backend: str | None = None
    priority: int = 0
    keep_alive_s: float | None = None

    @classmethod
    def from_domain(cls, item: RenderRequest) -> RenderRequestWire:
        """Convert for sending."""
        values = {name: getattr(item, name) for name in cls.__struct_fields__}
        return cls(**(values | {"prompt": ChatPromptWire.from_domain(item.prompt)}))

    def to_domain(self) -> RenderRequest:
        """Convert what came.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        values = msgspec.structs.asdict(self)
        return RenderRequest(**(values | {"prompt": self.prompt.to_domain()}))


RequestWire = (
    GenerateRequestWire
    | EmbedRequestWire
    | RerankRequestWire
    | TokenizeRequestWire
    | DetokenizeRequestWire
    | RenderRequestWire
)


def request_to_wire(item: Request) -> RequestWire:
    """Convert a request for sending."""
    match item:
        case GenerateRequest():
            return GenerateRequestWire.from_domain(item)
        case EmbedRequest():
            return EmbedRequestWire.from_domain(item)
        case RerankRequest():
            return RerankRequestWire.from_domain(item)
        case TokenizeRequest():
            return TokenizeRequestWire.from_domain(item)
        case DetokenizeRequest():
            return DetokenizeRequestWire.from_domain(item)
        case RenderRequest():
            return RenderRequestWire.from_domain(item)
