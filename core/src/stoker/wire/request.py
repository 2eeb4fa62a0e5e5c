"""Requests on the wire."""

from __future__ import annotations

import msgspec

from stoker.request import (
    Constraint,
    ConstraintKind,
    DetokenizeRequest,
    EmbedRequest,
    GenerateRequest,
    RenderRequest,
    Request,
    RerankRequest,
    TokenizeRequest,
)
from stoker.wire.prompt import (
    ChatPromptWire,
    InputWire,
    PromptWire,
    input_to_domain,
    input_to_wire,
    prompt_to_domain,
    prompt_to_wire,
)
from stoker.wire.sampling import SamplingWire


class GenerateRequestWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="generate"):
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
            prompt=prompt_to_wire(item.prompt),
            sampling=SamplingWire.from_domain(item.sampling),
            max_tokens=item.max_tokens,
            stop=item.stop,
            n=item.n,
            constraint_kind=item.constraint.kind if item.constraint else None,
            constraint_source=item.constraint.source if item.constraint else "",
            constraint_param=item.constraint.param if item.constraint else "",
            adapters=item.adapters,
            ignore_end=item.ignore_end,
            more_prompts=tuple(map(input_to_wire, item.more_prompts)),
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
            constraint = Constraint(
                self.constraint_kind, self.constraint_source, self.constraint_param
            )
        return GenerateRequest(
            model=self.model,
            prompt=prompt_to_domain(self.prompt),
            sampling=self.sampling.sampling(),
            max_tokens=self.max_tokens,
            stop=self.stop,
            n=self.n,
            constraint=constraint,
            adapters=self.adapters,
            ignore_end=self.ignore_end,
            more_prompts=tuple(map(input_to_domain, self.more_prompts)),
            echo=self.echo,
            backend=self.backend,
            priority=self.priority,
            keep_alive_s=self.keep_alive_s,
        )


class EmbedRequestWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="embed"):
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
            input=tuple(map(input_to_wire, item.input)),
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
            input=tuple(map(input_to_domain, self.input)),
            dimensions=self.dimensions,
            normalize=self.normalize,
            backend=self.backend,
            priority=self.priority,
            keep_alive_s=self.keep_alive_s,
        )


class RerankRequestWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="rerank"):
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


class TokenizeRequestWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="tokenize"):
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
        return cls(**(values | {"prompt": prompt_to_wire(item.prompt)}))

    def to_domain(self) -> TokenizeRequest:
        """Convert what came.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        values = msgspec.structs.asdict(self)
        return TokenizeRequest(**(values | {"prompt": prompt_to_domain(self.prompt)}))


class DetokenizeRequestWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="detokenize"):
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


class RenderRequestWire(msgspec.Struct, frozen=True, omit_defaults=True, tag="render"):
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
