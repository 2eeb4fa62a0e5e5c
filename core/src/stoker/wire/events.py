"""Events on the wire: one small tagged array each, because there is one per step and choice."""

from __future__ import annotations

import msgspec

from stoker import events
from stoker.events import FinishReason
from stoker.wire.errors import ErrorWire


class _Wire(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """Base of all events."""


class QueuedWire(_Wire, frozen=True, tag=1):
    """See `stoker.events.Queued`."""

    position: int


class LoadingWire(_Wire, frozen=True, tag=2):
    """See `stoker.events.Loading`."""

    stage: str
    fraction: float | None = None


class PrefillWire(_Wire, frozen=True, tag=3):
    """See `stoker.events.Prefill`."""

    done: int
    total: int
    cached: int = 0


class LogprobWire(_Wire, frozen=True):
    """See `stoker.events.TokenLogprob`."""

    token_id: int
    piece: bytes
    logprob: float
    top: tuple[LogprobWire, ...] = ()

    @classmethod
    def from_domain(cls, item: events.TokenLogprob) -> LogprobWire:
        """Convert for sending."""
        return cls(
            item.token_id, item.bytes, item.logprob, tuple(cls.from_domain(top) for top in item.top)
        )

    def to_domain(self) -> events.TokenLogprob:
        """Convert what came."""
        return events.TokenLogprob(
            self.token_id, self.piece, self.logprob, tuple(top.to_domain() for top in self.top)
        )


class TextDeltaWire(_Wire, frozen=True, tag=4):
    """See `stoker.events.TextDelta`."""

    text: str
    index: int = 0
    logprobs: tuple[LogprobWire, ...] = ()


class ReasoningDeltaWire(_Wire, frozen=True, tag=5):
    """See `stoker.events.ReasoningDelta`."""

    text: str
    index: int = 0


class ToolCallDeltaWire(_Wire, frozen=True, tag=6):
    """See `stoker.events.ToolCallDelta`."""

    call_index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    index: int = 0


class ChoiceFinishedWire(_Wire, frozen=True, tag=7):
    """See `stoker.events.ChoiceFinished`."""

    reason: FinishReason
    index: int = 0
    stop: str | None = None


class FinishedWire(_Wire, frozen=True, tag=8):
    """See `stoker.events.Finished`: its usage and timings, flat."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    prefill_s: float
    decode_s: float
    draft_tokens: int
    accepted_draft_tokens: int
    preemptions: int


class FailedWire(_Wire, frozen=True, tag=9):
    """See `stoker.events.Failed`."""

    error: ErrorWire


class EmbeddingWire(_Wire, frozen=True, tag=10):
    """See `stoker.events.Embedding`."""

    vector: bytes
    index: int = 0


class RankingWire(_Wire, frozen=True, tag=11):
    """See `stoker.events.Ranking`: indices and scores."""

    results: tuple[tuple[int, float], ...]


class TokenizedWire(_Wire, frozen=True, tag=12):
    """See `stoker.events.Tokenized`."""

    tokens: tuple[int, ...]
    pieces: tuple[bytes, ...] = ()


class DetokenizedWire(_Wire, frozen=True, tag=13):
    """See `stoker.events.Detokenized`."""

    text: str


class RenderedWire(_Wire, frozen=True, tag=14):
    """See `stoker.events.Rendered`."""

    text: str


class EchoWire(_Wire, frozen=True, tag=15):
    """See `stoker.events.Echo`."""

    text: str
    logprobs: tuple[LogprobWire, ...] = ()
    index: int = 0


EventWire = (
    EchoWire
    | QueuedWire
    | LoadingWire
    | PrefillWire
    | TextDeltaWire
    | ReasoningDeltaWire
    | ToolCallDeltaWire
    | ChoiceFinishedWire
    | FinishedWire
    | FailedWire
    | EmbeddingWire
    | RankingWire
    | TokenizedWire
    | DetokenizedWire
    | RenderedWire
)


def event_to_wire(event: events.Event) -> EventWire:  # noqa: C901, PLR0912 - a case per event
    """Convert an event for sending."""
    match event:
        case events.TextDelta(text, index, logprobs):
            return TextDeltaWire(text, index, tuple(map(LogprobWire.from_domain, logprobs)))
        case events.Prefill(done, total, cached):
            return PrefillWire(done, total, cached)
        case events.ReasoningDelta(text, index):
            return ReasoningDeltaWire(text, index)
        case events.ToolCallDelta(call_index, id_, name, arguments, index):
            return ToolCallDeltaWire(call_index, id_, name, arguments, index)
        case events.ChoiceFinished(reason, index, stop):
            return ChoiceFinishedWire(reason, index, stop)
        case events.Finished(usage, timings):
            return FinishedWire(
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cached_tokens,
                usage.reasoning_tokens,
                timings.prefill_s,
                timings.decode_s,
                timings.draft_tokens,
                timings.accepted_draft_tokens,
                timings.preemptions,
            )
        case events.Embedding(vector, index):
            return EmbeddingWire(vector, index)
        case events.Ranking(results):
            return RankingWire(tuple((item.index, item.score) for item in results))
        case events.Echo(text, logprobs, index):
            return EchoWire(text, tuple(map(LogprobWire.from_domain, logprobs)), index)
        case events.Tokenized(tokens, pieces):
            return TokenizedWire(tokens, pieces)
        case events.Detokenized(text):
            return DetokenizedWire(text)
        case events.Rendered(text):
            return RenderedWire(text)
        case events.Failed(error):
            return FailedWire(ErrorWire.from_domain(error))
        case events.Loading(stage, fraction):
            return LoadingWire(stage, fraction)
        case events.Queued(position):
            return QueuedWire(position)


def event_to_domain(wire: EventWire) -> events.Event:  # noqa: C901, PLR0912 - a case per event
    """Convert an event that came."""
    match wire:
        case TextDeltaWire():
            logprobs = tuple(item.to_domain() for item in wire.logprobs)
            return events.TextDelta(wire.text, wire.index, logprobs)
        case PrefillWire():
            return events.Prefill(wire.done, wire.total, wire.cached)
        case ReasoningDeltaWire():
            return events.ReasoningDelta(wire.text, wire.index)
        case ToolCallDeltaWire():
            return events.ToolCallDelta(
                wire.call_index, wire.id, wire.name, wire.arguments, wire.index
            )
        case ChoiceFinishedWire():
            return events.ChoiceFinished(wire.reason, wire.index, wire.stop)
        case FinishedWire():
            return events.Finished(
                events.Usage(
                    wire.prompt_tokens,
                    wire.completion_tokens,
                    wire.cached_tokens,
                    wire.reasoning_tokens,
                ),
                events.Timings(
                    wire.prefill_s,
                    wire.decode_s,
                    wire.draft_tokens,
                    wire.accepted_draft_tokens,
                    wire.preemptions,
                ),
            )
        case EmbeddingWire():
            return events.Embedding(wire.vector, wire.index)
        case RankingWire():
            return events.Ranking(
                tuple(events.Relevance(index, score) for index, score in wire.results)
            )
        case EchoWire():
            return events.Echo(
                wire.text, tuple(item.to_domain() for item in wire.logprobs), wire.index
            )
        case TokenizedWire():
            return events.Tokenized(wire.tokens, wire.pieces)
        case DetokenizedWire():
            return events.Detokenized(wire.text)
        case RenderedWire():
            return events.Rendered(wire.text)
        case FailedWire():
            return events.Failed(wire.error.to_domain())
        case LoadingWire():
            return events.Loading(wire.stage, wire.fraction)
        case QueuedWire():
            return events.Queued(wire.position)
