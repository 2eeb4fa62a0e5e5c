"""The stream of events that answers a request.

Order: any number of `Queued` and `Loading`, then one `Prefill` or more, then the choices' deltas,
interleaved, with one `ChoiceFinished` per choice, and an `Echo` before its first delta if that was
asked for. In their place a request for embeddings gets one `Embedding` per input, in any order, and
a request to rank gets one `Ranking`. A request that needs the tokenizer only gets one `Tokenized`,
`Detokenized` or `Rendered`, and no `Prefill`. The last event is exactly one of `Finished` and
`Failed`. An error that the caller can mend comes before the first `Prefill`.
"""

from __future__ import annotations

import enum

import attrs

from stoker.errors import StokerError


class FinishReason(enum.StrEnum):
    """Why a choice ended."""

    STOP = "stop"
    """The model ended its answer, or a stop string was met."""
    LENGTH = "length"
    """`max_tokens` or the end of the context was reached."""
    TOOL_CALLS = "tool-calls"
    """The model called tools and waits for their results."""


@attrs.frozen
class TokenLogprob:
    """A token, with the natural logarithm of its probability."""

    token_id: int
    bytes: bytes
    """The token's bytes, which need not be whole characters."""
    logprob: float
    top: tuple[TokenLogprob, ...] = ()
    """The most likely tokens in its place, best first."""


@attrs.frozen
class Usage:
    """Tokens of one request, over all choices."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Prompt tokens whose state was reused instead of computed."""
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens


@attrs.frozen
class Timings:
    """Where a request's time went, in seconds: measured in the runner, but for the waits."""

    load_s: float = attrs.field(default=0.0, kw_only=True)
    """How long it waited for its model; the supervisor's measure, as is the next."""
    queue_s: float = attrs.field(default=0.0, kw_only=True)
    """How long it waited for its turn."""
    prefill_s: float = 0.0
    """From submission to the first token."""
    decode_s: float = 0.0
    """From the first token to the last."""
    draft_tokens: int = 0
    """Tokens that the engine guessed and verified several at a time."""
    accepted_draft_tokens: int = 0
    """How many of them were right, each of which saved a step."""
    preemptions: int = 0
    """How often a choice gave its memory to others, waited, and was computed again."""


@attrs.frozen
class Queued:
    """The request waits its turn."""

    position: int
    """How many requests are before it."""


@attrs.frozen
class Loading:
    """The model is being loaded."""

    stage: str
    fraction: float | None = None
    """Between 0 and 1, or None when the stage cannot tell."""


@attrs.frozen
class Prefill:
    """The prompt is being read; sent at least once, when the request was accepted."""

    done: int
    total: int
    cached: int = 0


@attrs.frozen
class Echo:
    """The prompt, for a request that wants it back: once for each choice, before its text."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    """All of its tokens, when the request asked for log probabilities. Nothing comes before the
    first one, so that has the log probability 0 and no others in its place."""
    index: int = 0


@attrs.frozen
class TextDelta:
    """The next piece of a choice's text: whole characters only."""

    text: str
    index: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    """The tokens since the last delta, when the request asked for log probabilities.

    A delta with an empty text carries tokens that have made no visible text yet.
    """


@attrs.frozen
class ReasoningDelta:
    """The next piece of what the model thinks before it answers."""

    text: str
    index: int = 0


@attrs.frozen
class ToolCallDelta:
    """The next piece of a tool call."""

    call_index: int
    id: str | None = None
    """Sent with the first piece only, as is the name."""
    name: str | None = None
    arguments: str = ""
    index: int = 0


@attrs.frozen
class ChoiceFinished:
    """A choice is complete."""

    reason: FinishReason
    index: int = 0
    stop: str | None = None
    """The stop string that ended it, if one did."""


@attrs.frozen
class Embedding:
    """The vector of one input."""

    vector: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    """32-bit floats, little-endian."""
    index: int = 0
    """Which of the request's inputs it is of."""


@attrs.frozen
class Relevance:
    """How well a document answers the query."""

    index: int
    """Which of the request's documents."""
    score: float
    """Between 0 and 1; larger is more relevant. Only comparable within one model."""


@attrs.frozen
class Ranking:
    """The documents by relevance, best first; as many as were asked for."""

    results: tuple[Relevance, ...]


@attrs.frozen
class Tokenized:
    """The tokens of a prompt."""

    tokens: tuple[int, ...] = attrs.field(repr=lambda tokens: f"<{len(tokens)} tokens>")
    pieces: tuple[bytes, ...] = attrs.field(default=(), repr=False)
    """The bytes of each token, when they were asked for; empty bytes for control tokens."""


@attrs.frozen
class Detokenized:
    """The text that tokens stand for; bytes that are no characters became U+FFFD."""

    text: str


@attrs.frozen
class Rendered:
    """A conversation as the chat template writes it, without the model's begin tokens."""

    text: str


@attrs.frozen
class Finished:
    """The request is answered. Last event."""

    usage: Usage
    timings: Timings = Timings()


@attrs.frozen
class Failed:
    """The request came to an end without its answer. Last event."""

    error: StokerError


Event = (
    Queued
    | Loading
    | Prefill
    | Echo
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | ChoiceFinished
    | Embedding
    | Ranking
    | Tokenized
    | Detokenized
    | Rendered
    | Finished
    | Failed
)
