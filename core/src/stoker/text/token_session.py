"""The session over an engine of tokens."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent import futures

import attrs

from stoker.artifact import ModelBundle
from stoker.constraints.compiler import ConstraintCompiler
from stoker.constraints.matcher import CompiledGrammar
from stoker.constraints.thinking import ThinkingConstraint
from stoker.engine import (
    Engine,
    EngineInfo,
    SequenceJob,
    SequenceOutput,
    TokenConstraint,
)
from stoker.errors import ContextLengthExceededError, InvalidRequestError, StokerError
from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    FinishReason,
    Prefill,
    Timings,
    Usage,
)
from stoker.request import (
    ChatPrompt,
    Constraint,
    ConstraintKind,
    GenerateRequest,
    Request,
    TokenRequest,
)
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams
from stoker.text.admission import check_features, check_mode
from stoker.text.chat_syntax import ChatSyntax, ParserChoice, ThinkingPlan
from stoker.text.choice import Choice
from stoker.text.parsed_choice import ParsedChoice
from stoker.text.pooling import PoolingRequests
from stoker.text.prompt import PromptEncoder, template_source
from stoker.text.prompt_echo import PromptEcho
from stoker.text.session import Session
from stoker.text.token_requests import told

_MASKS = Constraint(ConstraintKind.JSON_OBJECT, param="reasoning")
_COMPILING_WAIT_S = 0.01
"""How long a step waits for a grammar when there is nothing else to do."""


@attrs.frozen(eq=False)
class _Prepared:
    """A request whose prompt is read, with what that says of its answer."""

    request: GenerateRequest
    prompts: tuple[tuple[int, ...], ...]
    """Each gets as many choices as the request says."""
    submitted_s: float
    text: str = ""
    """A chat's prompt as the template wrote it."""
    constraint: Constraint | None = None
    thinking: ThinkingPlan | None = None


@attrs.frozen(eq=False)
class _CompilingRequest:
    """A request that waits for its grammar. The engine knows nothing of it yet."""

    prepared: _Prepared
    grammar: futures.Future[CompiledGrammar]


class _ActiveRequest:
    """A request that is being answered."""

    __slots__ = (
        "accepted_draft_tokens",
        "cached_tokens",
        "completion_tokens",
        "decoding",
        "draft_tokens",
        "echoes",
        "first_token_s",
        "id",
        "n",
        "preemptions",
        "prompt_tokens",
        "read",
        "reasoning_tokens",
        "running",
        "submitted_s",
    )

    def __init__(self, request_id: int, n: int, prompt_tokens: int, submitted_s: float) -> None:
        self.id = request_id
        self.n = n
        # How many tokens of each prompt are in memory, by its first choice.
        self.read: dict[int, int] = {}
        self.prompt_tokens = prompt_tokens
        self.submitted_s = submitted_s
        self.first_token_s: float | None = None
        self.cached_tokens = 0
        self.completion_tokens = 0
        self.reasoning_tokens = 0
        self.draft_tokens = 0
        self.accepted_draft_tokens = 0
        self.preemptions = 0
        # What is told of the prompt, by choice, until it is told.
        self.echoes: dict[int, PromptEcho] = {}
        # The sequences that have not ended yet.
        self.running: set[int] = set()
        # Whether a choice has begun, after which no prefill is reported any more.
        self.decoding = False


class TokenSession(Session):
    """Answers requests with an `Engine`.

    Each of a request's `n` choices is a sequence of its own over the same prompt, and further
    prompts have as many. With a seed,
    choice `i` gets `seed + i`, so that the choices differ and the whole can be repeated.

    Usage counts the prompt once, and every token that the engine sampled up to the end of its
    choice: those of a stop string too, and not the model's end token. Cached tokens are those of
    the first choice's prompt.

    Requests for embeddings and for ranking are `PoolingRequests`' part. Those that need the
    tokenizer only are answered when they come, and the next step tells.
    """

    def __init__(
        self, engine: Engine, prompts: PromptEncoder, parsers: ParserChoice | None = None
    ) -> None:
        self._engine = engine
        self._info = engine.info
        self._prompts = prompts
        self._constraints = ConstraintCompiler(engine)
        self._token_bytes = _cached(engine.token_bytes)
        self._syntax = ChatSyntax(engine, prompts, parsers or ParserChoice(), self._token_bytes)
        self._sequence_ids = itertools.count(1)
        self._pooling = PoolingRequests(engine, prompts, self._sequence_ids)
        self._compiling: dict[int, _CompilingRequest] = {}
        self._requests: dict[int, _ActiveRequest] = {}
        self._sequences: dict[int, tuple[_ActiveRequest, Choice | ParsedChoice]] = {}
        # Requests of which no step has told yet.
        self._accepted: list[_ActiveRequest] = []
        # What was answered when it was submitted.
        self._told: list[tuple[int, Event]] = []

    @classmethod
    def open(
        cls, engine: Engine, bundle: ModelBundle, parsers: ParserChoice | None = None
    ) -> TokenSession:
        """Open a session over a freshly loaded engine.

        Raises:
            InvalidArtifactError: The bundle's chat template cannot be read.
        """
        source = template_source(engine.info, bundle)
        return cls(engine, PromptEncoder(engine, template_source=source), parsers)

    @property
    def info(self) -> EngineInfo:
        """What the engine has loaded."""
        return self._info

    @property
    def idle(self) -> bool:
        """Whether a `step` would do nothing."""
        untold = self._told or self._accepted or self._compiling or not self._pooling.idle
        return not untold and self._engine.idle

    def submit(self, request_id: int, request: Request) -> None:
        """Take a request; see `Session.submit`."""
        if any(request_id in ids for ids in (self._requests, self._compiling, self._pooling)):
            raise InvalidRequestError(f"The request id {request_id} is in use.")
        if isinstance(request, TokenRequest):
            self._told += told(request_id, request, self._engine, self._prompts)
            return
        check_mode(request, self._info.modes)
        if isinstance(request, GenerateRequest):
            self._generate(request_id, request)
        else:
            self._pooling.submit(request_id, request)

    def _generate(self, request_id: int, request: GenerateRequest) -> None:
        submitted_s = time.perf_counter()
        check_features(request, self._info.modalities)
        prepared = self._prepared(request, submitted_s)
        longest = max(map(len, prepared.prompts))
        if longest >= self._info.context_length:
            raise ContextLengthExceededError(
                prompt_tokens=longest, context_length=self._info.context_length
            )
        wanted = prepared.constraint
        if wanted is None and prepared.thinking is None:
            self._start(request_id, prepared, [None] * request.choices)
            return
        # To control thinking, the engine must be able to apply masks; this shows whether it is.
        grammar = self._constraints.compile(wanted or _MASKS)
        self._compiling[request_id] = _CompilingRequest(prepared, grammar)

    def _prepared(self, request: GenerateRequest, submitted_s: float) -> _Prepared:
        prompt = request.prompt
        if not isinstance(prompt, ChatPrompt):
            prompts = tuple(map(self._prompts.encode, (prompt, *request.more_prompts)))
            return _Prepared(request, prompts, submitted_s, constraint=request.constraint)
        chat = self._prompts.encode_chat(prompt)
        constraint = self._syntax.constraint(prompt, request.constraint)
        thinking = self._syntax.thinking(prompt, chat.text, constrained=constraint is not None)
        return _Prepared(request, (chat.tokens,), submitted_s, chat.text, constraint, thinking)

    def cancel(self, request_id: int) -> None:
        """Forget a request; an unknown id is a no-op."""
        self._told = [item for item in self._told if item[0] != request_id]
        self._pooling.cancel(request_id)
        active = self._requests.get(request_id)
        if active is not None:
            self._drop(active)
        waiting = self._compiling.pop(request_id, None)
        if waiting is not None:
            waiting.grammar.cancel()

    def step(self) -> list[tuple[int, Event]]:
        """Advance every request; see `Session.step`."""
        events, self._told = self._told, []
        if self._compiling:
            self._take_compiled(events)
        if self._accepted:
            for active in self._accepted:
                events.append((active.id, Prefill(0, active.prompt_tokens)))
            self._accepted.clear()
        events += self._pooling.accepted()
        for output in self._engine.step():
            # What ended earlier in this very step is not there any more.
            if output.id in self._sequences:
                self._advance(output, events)
            else:
                events += self._pooling.take(output)
        return events

    def close(self) -> None:
        """Drop all requests and close the engine."""
        self._compiling.clear()
        self._requests.clear()
        self._sequences.clear()
        self._accepted.clear()
        self._told.clear()
        # It may be reading the engine's vocabulary.
        self._constraints.close()
        self._engine.close()

    def _take_compiled(self, events: list[tuple[int, Event]]) -> None:
        """Start the requests whose grammars are there, and fail those that can have none."""
        if not self._accepted and self._engine.idle:
            futures.wait(
                [waiting.grammar for waiting in self._compiling.values()],
                timeout=_COMPILING_WAIT_S,
                return_when=futures.FIRST_COMPLETED,
            )
        for request_id, waiting in list(self._compiling.items()):
            if waiting.grammar.done():
                del self._compiling[request_id]
                try:
                    self._compiled(request_id, waiting)
                except StokerError as exc:
                    events.append((request_id, Failed(exc)))
                except Exception as exc:  # noqa: BLE001 - one request must not take the others along
                    words = f"The request could not be taken: {type(exc).__name__}: {exc}."
                    events.append((request_id, Failed(StokerError(words))))

    def _compiled(self, request_id: int, waiting: _CompilingRequest) -> None:
        """Start a request whose grammar is there.

        Raises:
            StokerError: It can have none, or the engine refuses the request.
        """
        prepared = waiting.prepared
        grammar = waiting.grammar.result()
        constraints = [_begun(prepared, grammar) for _ in range(prepared.request.choices)]
        self._start(request_id, prepared, constraints)

    def _start(
        self,
        request_id: int,
        prepared: _Prepared,
        constraints: Sequence[TokenConstraint | None],
    ) -> None:
        """Give a request's sequences to the engine, all or none of them."""
        request, prompts = prepared.request, prepared.prompts
        active = _ActiveRequest(request_id, request.n, sum(map(len, prompts)), prepared.submitted_s)
        sampling = request.sampling.over(DEFAULT_SAMPLING)
        for index, constraint in enumerate(constraints):
            prompt = prompts[index // request.n]
            room = self._info.context_length - len(prompt)
            wanted = room if request.max_tokens is None else max(request.max_tokens, 1)
            if request.echo:
                echo = PromptEcho(request, index, prompt, self._info, self._token_bytes)
                active.echoes[index] = echo
            job = SequenceJob(
                id=next(self._sequence_ids),
                prompt=prompt,
                sampling=_for_choice(sampling, index % request.n),
                max_tokens=min(wanted, room),
                ignore_end=request.ignore_end,
                priority=request.priority,
                constraint=constraint,
                prompt_logprobs=sampling.logprobs if request.echo else None,
            )
            try:
                self._engine.submit(job)
            except Exception:
                self._drop(active)
                raise
            choice = self._choice(index, prepared, logprobs=sampling.logprobs is not None)
            active.running.add(job.id)
            self._sequences[job.id] = (active, choice)
        self._requests[active.id] = active
        self._accepted.append(active)

    def _choice(self, index: int, prepared: _Prepared, *, logprobs: bool) -> Choice | ParsedChoice:
        request = prepared.request
        parser = None
        if isinstance(request.prompt, ChatPrompt):
            parser = self._syntax.parser(request.prompt, prepared.text)
        if parser is None:
            return Choice(
                index, token_bytes=self._token_bytes, stops=request.stop, logprobs=logprobs
            )
        return ParsedChoice(
            index,
            parser,
            token_bytes=self._token_bytes,
            visible=self._syntax.visible,
            stops=request.stop,
            logprobs=logprobs,
        )

    def _advance(self, output: SequenceOutput, events: list[tuple[int, Event]]) -> None:
        active, choice = self._sequences[output.id]
        active.draft_tokens += output.drafted
        active.accepted_draft_tokens += output.accepted
        active.preemptions += output.preemptions
        if output.prefilled is not None:
            self._prefill(active, choice, output, events)
        echo = active.echoes.get(choice.index)
        if echo is not None and self._tell_echo(active, echo, output, events):
            return
        if output.tokens:
            if not active.decoding:
                active.decoding = True
                active.first_token_s = time.perf_counter()
            try:
                deltas = choice.take(output.tokens)
            except StokerError as exc:
                self._fail(active, exc, events)
                return
            events += [(active.id, delta) for delta in deltas]
            if choice.stop is not None:
                self._engine.cancel(output.id)
                self._end_choice(output.id, FinishReason.STOP, events)
                return
        if output.finish is not None:
            events += [(active.id, delta) for delta in choice.end()]
            reason = output.finish if choice.stop is None else FinishReason.STOP
            if choice.called and reason is FinishReason.STOP:
                reason = FinishReason.TOOL_CALLS
            self._end_choice(output.id, reason, events)
        elif output.error is not None:
            self._fail(active, output.error, events)

    def _tell_echo(
        self,
        active: _ActiveRequest,
        echo: PromptEcho,
        output: SequenceOutput,
        events: list[tuple[int, Event]],
    ) -> bool:
        """Tell the prompt when it was read; whether that was all that is wanted."""
        echo.take(output.prompt_logprobs)
        if not output.tokens and output.finish is None:
            return False
        told = echo.event()
        del active.echoes[told.index]
        events.append((active.id, told))
        if echo.alone:
            self._engine.cancel(output.id)
            self._end_choice(output.id, FinishReason.LENGTH, events)
        return echo.alone

    def _prefill(
        self,
        active: _ActiveRequest,
        choice: Choice | ParsedChoice,
        output: SequenceOutput,
        events: list[tuple[int, Event]],
    ) -> None:
        # The first choice of each prompt tells how far that is read.
        if choice.index % active.n:
            return
        active.cached_tokens += output.cached
        active.read[choice.index] = output.prefilled or 0
        # Another choice may have begun while the first one's prompt was still read.
        if not active.decoding:
            done = sum(active.read.values())
            events.append((active.id, Prefill(done, active.prompt_tokens, active.cached_tokens)))

    def _end_choice(
        self, sequence_id: int, reason: FinishReason, events: list[tuple[int, Event]]
    ) -> None:
        active, choice = self._sequences.pop(sequence_id)
        active.decoding = True
        active.running.discard(sequence_id)
        active.completion_tokens += choice.completion_tokens
        active.reasoning_tokens += choice.reasoning_tokens
        events.append((active.id, ChoiceFinished(reason, choice.index, choice.stop)))
        if active.running:
            return
        del self._requests[active.id]
        usage = Usage(
            active.prompt_tokens,
            active.completion_tokens,
            active.cached_tokens,
            active.reasoning_tokens,
        )
        now_s = time.perf_counter()
        first_token_s = now_s if active.first_token_s is None else active.first_token_s
        timings = Timings(
            prefill_s=first_token_s - active.submitted_s,
            decode_s=now_s - first_token_s,
            draft_tokens=active.draft_tokens,
            accepted_draft_tokens=active.accepted_draft_tokens,
            preemptions=active.preemptions,
        )
        events.append((active.id, Finished(usage, timings)))

    def _fail(
        self, active: _ActiveRequest, error: StokerError, events: list[tuple[int, Event]]
    ) -> None:
        self._drop(active)
        events.append((active.id, Failed(error)))

    def _drop(self, active: _ActiveRequest) -> None:
        """Forget a request and its sequences, here and in the engine."""
        for sequence_id in active.running:
            self._engine.cancel(sequence_id)
            del self._sequences[sequence_id]
        self._requests.pop(active.id, None)
        if active in self._accepted:
            self._accepted.remove(active)


def _begun(prepared: _Prepared, grammar: CompiledGrammar) -> TokenConstraint:
    """The constraint of one choice, from a grammar that is there."""
    wanted, plan = prepared.constraint, prepared.thinking
    inner = None if wanted is None else grammar.begin(wanted.param)
    if plan is None:
        return grammar.begin(_MASKS.param) if inner is None else inner
    return ThinkingConstraint(
        plan.tokens,
        begun=plan.begun,
        budget=plan.budget,
        inner=inner,
        lead=plan.lead,
        end_tokens=grammar.end_tokens,
    )


def _for_choice(sampling: SamplingParams, index: int) -> SamplingParams:
    if index == 0 or sampling.seed is None:
        return sampling
    return attrs.evolve(sampling, seed=sampling.seed + index)


def _cached(token_bytes: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Ask the engine for a token's bytes once: it may have to cross into another language."""
    known: dict[int, bytes] = {}

    def lookup(token: int) -> bytes:
        data = known.get(token)
        if data is None:
            data = known[token] = token_bytes(token)
        return data

    return lookup
