"""The engine contract: a loaded model that advances many sequences, one batch at a time.

Read this module first when you write a backend. An engine deals in tokens and knows nothing of
chats, text or HTTP: the text pipeline in front of it renders templates, detokenises, and finds
stop strings. A plugin that has only "text in, text out" implements `TextEngine` instead.

An engine lives in a runner process and is called from one thread, the one that loaded it, so it
needs no locks. The thread's loop is: `submit` and `cancel` what arrived, `step`, send what
came out.

Most engines generate. One that makes embeddings or reranks says so in `EngineInfo.modes`, and gets
such texts by `submit_pooling`; the rest of the cycle is the same.
"""

from __future__ import annotations

import abc
import enum
import time
from collections.abc import Iterator, Mapping, Sequence

import attrs

from stoker.errors import StokerError, UnsupportedFeatureError
from stoker.events import FinishReason, ReasoningDelta, ToolCallDelta
from stoker.request import GenerateRequest
from stoker.sampling import SamplingParams


class Mode(enum.StrEnum):
    """What an engine can be asked for."""

    GENERATE = "generate"
    """Going on with a text."""
    EMBED = "embed"
    """A vector that stands for the meaning of a text."""
    RERANK = "rerank"
    """How well a document answers a query."""


class Modality(enum.StrEnum):
    """What the parts of a message may be."""

    TEXT = "text"
    IMAGE = "images"
    AUDIO = "audio"


TEXT_ONLY = frozenset({Modality.TEXT})


@attrs.frozen
class InfillTokens:
    """The control tokens by which a model is told to fill a text in."""

    prefix: int
    """Stands before the text in front of the gap."""
    suffix: int
    """Stands before the text behind it."""
    middle: int
    """Stands before what fills it."""


@attrs.frozen
class EngineInfo:
    """What a loaded model is; fixed from load to close."""

    context_length: int
    """Most tokens that one sequence may hold, prompt and answer together."""
    vocabulary_size: int
    chat_template: str | None = None
    """Jinja source that the model's own files carry; None for models that do not chat."""
    special_tokens: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    """Texts of special tokens by the names that templates use: `bos_token`, `eos_token`, ..."""
    devices: tuple[str, ...] = ()
    """Where the weights are, for people: `("CUDA0: NVIDIA H200",)`."""
    memory_bytes: int | None = None
    """What the model takes in memory; None when the engine cannot tell."""
    modes: frozenset[Mode] = frozenset({Mode.GENERATE})
    """What the model can be asked for."""
    embedding_length: int | None = None
    """How many numbers an embedding has; set with `Mode.EMBED`."""
    max_sequences: int | None = None
    """How many sequences a step can advance; None when the engine sets no number.

    A few more are submitted than that, so that none of its places is ever empty; the rest of the
    requests wait outside, where they are served fairly.
    """
    matryoshka: bool = False
    """Whether the first numbers of an embedding are one by themselves, as the model was trained."""
    modalities: frozenset[Modality] = TEXT_ONLY
    """What the model can be shown."""
    prompt_logprobs: bool = False
    """Whether the engine honours `SequenceJob.prompt_logprobs`."""
    infill: InfillTokens | None = None
    """None for models that were not trained to fill a text in."""


@attrs.frozen
class Vocabulary:
    """All tokens of a model, as constraints need them."""

    token_bytes: Sequence[bytes] = attrs.field(repr=False)
    """What `Engine.token_bytes` gives for each token, in the order of their ids."""
    end_tokens: frozenset[int]
    """The end-of-generation tokens; at least one."""
    control_tokens: Mapping[int, str] = attrs.field(factory=dict, hash=False, repr=False)
    """Texts of the tokens that are no text themselves (`<|im_end|>`), by id."""


class TokenConstraint(abc.ABC):
    """What the next token of one sequence may be.

    The core makes one per sequence from what the request prescribes; an engine knows no schemas.
    For each token the engine calls `mask`, samples among the allowed tokens only, and calls
    `accept` with the token. Calls come from the engine's thread. Nothing is called once the
    sequence ended.

    That is enough. An engine is quicker that asks `forced` first and takes what there is without
    sampling, and that asks whether it `allows` the best token when that is what it wants: this
    costs a tenth of a mask or less, and the answer is mostly yes. What is drawn needs the mask: a
    token that is drawn from all, and drawn again when it is not allowed, has other odds, because
    top-k and the like keep other tokens then.
    """

    @abc.abstractmethod
    def mask(self) -> bytes:
        """The tokens that may come next, end-of-generation tokens among them where one may.

        May take milliseconds. Between two calls of `accept` it gives the same, however often it
        is called.

        Returns:
            One bit per token, in little-endian words of 32 bits: token `i` is allowed when bit
            `i % 8` of byte `i // 8` is set. Bits beyond the vocabulary mean nothing.

        Raises:
            StokerError: The constraint became too complex. The engine reports it as the error of
                the sequence.
        """

    @abc.abstractmethod
    def accept(self, token: int) -> bool:
        """Take the token that was sampled. Not called for the one that ends the generation.

        Returns:
            Whether the answer is complete. The engine ends the sequence with this token then, by
            `FinishReason.STOP`, and saves the step that could only give an end token.

        Raises:
            StokerError: As for `mask`.
        """

    def allows(self, token: int) -> bool:
        """Whether one token may come next: its bit in `mask`, without the others.

        Raises:
            StokerError: As for `mask`.
        """
        return bool(self.mask()[token >> 3] >> (token & 7) & 1)

    def forced(self) -> tuple[int, ...]:
        """The tokens that come next because the form leaves no choice.

        `mask` allows only the first of them, and after it was accepted only the second, and so
        on. So they may be taken without sampling. Each goes through `accept`. Asking changes
        nothing, and takes some 5 microseconds when there is nothing and 50 to 200 when there is.

        Returns:
            Tokens, never one that ends the generation; empty, as here, when nothing is known.
            More may be forced behind them.

        Raises:
            StokerError: As for `mask`.
        """
        return ()


@attrs.frozen
class SequenceJob:
    """A sequence to generate."""

    id: int
    """Chosen by the caller; unique among the sequences that the engine holds."""
    prompt: tuple[int, ...] = attrs.field(repr=lambda prompt: f"<{len(prompt)} tokens>")
    """At least one token, and fewer than the context length."""
    sampling: SamplingParams
    """Complete: nothing is unset but `seed`, `logit_bias` and `logprobs`."""
    max_tokens: int
    """At least 1; prompt and this together fit into the context."""
    ignore_end: bool = False
    """Do not stop at end-of-generation tokens. Never set together with a constraint."""
    priority: int = 0
    constraint: TokenConstraint | None = None
    """Restricts what is sampled. Only given to engines that have a `vocabulary`."""
    prompt_logprobs: int | None = None
    """As `SamplingParams.logprobs`, but for the prompt's own tokens. Only given to engines that say
    in their `EngineInfo` that they can."""


@attrs.frozen
class PoolingJob:
    """A text to read as a whole, for its embedding or its score; nothing is generated."""

    id: int
    """As `SequenceJob.id`, which it must not clash with either."""
    mode: Mode
    """`EMBED` or `RERANK`, and one that the engine has."""
    tokens: tuple[int, ...] = attrs.field(repr=lambda tokens: f"<{len(tokens)} tokens>")
    """At least one, and no more than the context length."""
    turn: int = 0
    """Of jobs with the same priority, those with a lower turn go first.

    It keeps a request with a thousand texts from holding up one with a single text.
    """
    priority: int = 0


@attrs.frozen
class SampledToken:
    """One token of an answer."""

    id: int
    logprob: float | None = None
    """Natural logarithm, before sampling parameters; None unless asked for."""
    top: tuple[tuple[int, float], ...] = ()
    """(token id, log probability) of the best tokens in its place, best first."""


@attrs.frozen
class SequenceOutput:
    """What one step did for one sequence. A sequence that did not move has none."""

    id: int
    prefilled: int | None = None
    """Prompt tokens that are in memory now, the cached ones included; None once decoding."""
    cached: int = 0
    """Prompt tokens that were reused and not computed, with the first `prefilled`; else 0."""
    tokens: tuple[SampledToken, ...] = ()
    """Tokens sampled in this step, in order.

    An end-of-generation token is among them only with `ignore_end`, as a token without bytes.
    """
    finish: FinishReason | None = None
    """Set once, with the last tokens: the sequence is gone from the engine."""
    error: StokerError | None = None
    """Set once, instead of `finish`: the sequence is gone and the others go on."""
    drafted: int = 0
    """Tokens that the engine guessed and verified in this step."""
    accepted: int = 0
    """How many of them were right; they are among `tokens`."""
    preemptions: int = 0
    """How often, since the last output, the sequence gave its memory to others and waited."""
    embedding: bytes | None = attrs.field(
        default=None, repr=lambda data: data and f"<{len(data)} bytes>"
    )
    """Set once, and nothing else, for a pooling job of mode `EMBED`, which is gone with that.

    `EngineInfo.embedding_length` 32-bit floats, little-endian, of any length as a vector.
    """
    score: float | None = None
    """Set once, and nothing else, for a pooling job of mode `RERANK`, which is gone with that.

    Between 0 and 1; larger is more relevant.
    """
    prompt_logprobs: tuple[SampledToken, ...] = ()
    """The next tokens of the prompt from the second one on, each once and in order, when the job
    asked for them; all of them before, or with, the first sampled token."""


class Engine(abc.ABC):
    """A loaded model, at the level of tokens.

    Methods are called from the thread that loaded the engine; `encode` and `vocabulary` from others
    too, while the engine works. Only `step` and `close` may take long; the others return at once.
    """

    @property
    @abc.abstractmethod
    def info(self) -> EngineInfo:
        """What was loaded."""

    @abc.abstractmethod
    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Turn text into tokens. Called from other threads too, for constraints.

        Args:
            text: The text; the empty text gives no tokens but special ones.
            add_special: Put the model's own begin (and end) tokens around, as its files say.
            parse_special: Read texts of control tokens (`<|im_end|>`) as those tokens. False
                keeps what a user typed from becoming control.

        Raises:
            InvalidRequestError: The text is no valid Unicode.
        """

    @abc.abstractmethod
    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for; empty for control tokens.

        Concatenated over an answer they are its exact text. They need not be whole characters.

        Raises:
            IndexError: There is no such token.
        """

    def vocabulary(self) -> Vocabulary | None:
        """All tokens, for constraints; None, as here, when the engine cannot apply masks.

        Called from another thread, once, while the engine works. It has returned before `close`
        is called. Well under a second, please, with 262 144 tokens.
        """
        return None

    @abc.abstractmethod
    def submit(self, job: SequenceJob) -> None:
        """Queue a sequence; a later `step` starts it when there is room.

        Raises:
            InvalidRequestError: The engine can never run this job. Nothing was queued.
        """

    def submit_pooling(self, job: PoolingJob) -> None:
        """Queue a text to embed or to score. As many as there is room for share a step.

        Engines that only generate leave it as it is: nothing that they do not have in their
        `EngineInfo.modes` is asked of them.

        Raises:
            InvalidRequestError: The engine can never run this job. Nothing was queued.
        """
        raise UnsupportedFeatureError(f"This model's engine does not {job.mode}.", param="model")

    def encode_pair(self, query: str, document: str) -> list[int]:
        """Turn a query and a document into the tokens by which a reranker reads both.

        What the texts spell does not become control tokens. Called with `Mode.RERANK` only.

        Raises:
            InvalidRequestError: A text is no valid Unicode.
        """
        del query, document
        raise UnsupportedFeatureError("This model's engine does not rerank.", param="model")

    @abc.abstractmethod
    def cancel(self, sequence_id: int) -> None:
        """Forget a sequence or pooling job: no output follows; a `step` may use its memory.

        An engine may keep what it has computed, as long as nobody needs the room.

        An unknown id is a no-op, because a sequence may finish while its cancellation travels.
        """

    @abc.abstractmethod
    def step(self) -> Sequence[SequenceOutput]:
        """Advance the sequences by one batch; return at once when there is nothing to do.

        An error that concerns one sequence is reported in its output.

        Raises:
            Exception: The engine is broken. The runner reports its sequences as failed and ends.
        """

    @property
    @abc.abstractmethod
    def idle(self) -> bool:
        """Whether a `step` would do nothing. The loop then sleeps until a job arrives.

        An engine may use steps without sequences to tidy up. What arrives waits for such a step,
        so each is short, some 10 ms, and they come to an end.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Free everything. Called once, also with sequences running; nothing follows."""


@attrs.frozen
class AnswerEnd:
    """The last piece of an answer, of engines that know more than that it is over."""

    reason: FinishReason = FinishReason.STOP
    prompt_tokens: int | None = None
    """None where nobody has counted."""
    completion_tokens: int | None = None
    """Of this answer; None counts its pieces."""
    cached_tokens: int = 0
    reasoning_tokens: int | None = None


Piece = str | ReasoningDelta | ToolCallDelta | AnswerEnd
"""The next piece of a text engine's answer: of its text, of reasoning, of a tool call, or its end,
after which nothing is asked for."""


class PieceStream(abc.ABC, Iterator[Piece]):
    """An answer that somebody else writes, in their own time.

    The core asks it for a piece when it is ready, so that a slow one holds up no other. When no
    answer is ready, the core lets the engine wait (`TextEngine.wait`).
    """

    @abc.abstractmethod
    def ready(self) -> bool:
        """Whether `next` returns, or raises, at once. Returns at once itself."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free what the answer takes: it is over, or nobody wants the rest. May come twice."""


class TextEngine(abc.ABC):
    """The smaller contract, for plugins that have only text in and text out.

    The core does the rest: it takes the iterators in turn, counts, applies stop strings and
    `max_tokens`, and closes an iterator when its request is cancelled.

    Attributes:
        calls_tools: Whether the engine honours `tools` and `tool_choice`. Requests with tools are
            refused where it does not.
        counts_tokens: Whether the engine honours `max_tokens` and ends each answer by an
            `AnswerEnd` with the reason and what it has counted. Where it does not, a piece counts
            as a token, and nobody knows how many the prompt has.
    """

    calls_tools: bool = False
    counts_tokens: bool = False

    @property
    @abc.abstractmethod
    def info(self) -> EngineInfo:
        """What was loaded; `vocabulary_size` is 0."""

    @abc.abstractmethod
    def generate(self, request: GenerateRequest, *, index: int) -> Iterator[Piece]:
        """Answer a request, piece by piece. Returns at once.

        Deltas of reasoning and of tool calls may have any index: the core knows the choice. The
        first delta of each call has its id and its name.

        Called from the loading thread; so is every `next` of the iterator, which should not
        block long, because the other requests wait meanwhile. What waits for somebody else, such
        as a server, comes as a `PieceStream`.

        Args:
            request: What was asked for.
            index: Which of the request's `n` choices this is.

        Raises:
            InvalidRequestError: The engine cannot honour the request. What is found out later is
                raised by the first `next`, which refuses the request as well.
        """

    def wait(self, timeout_s: float) -> None:
        """Wait until a `PieceStream` may be ready, for so long at most: new requests wait, too.

        Called when there are answers under way and none is ready.
        """
        time.sleep(timeout_s)

    @abc.abstractmethod
    def close(self) -> None:
        """Free everything. Called once; nothing follows."""
