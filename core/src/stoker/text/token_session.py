"""The session over an engine of tokens."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from concurrent import futures

import attrs

from stoker.artifact import ModelBundle
from stoker.constraints.compiler import ConstraintCompiler
from stoker.constraints.matcher import CompiledGrammar
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
    FinishReason,
    Prefill,
)
from stoker.request import (
    ChatPrompt,
    GenerateRequest,
    Request,
    TokenRequest,
)
from stoker.sampling import DEFAULT_SAMPLING, SamplingParams
from stoker.text.active_request import ActiveRequest
from stoker.text.admission import check_features, check_mode
from stoker.text.chat_syntax import ChatSyntax, ParserChoice
from stoker.text.choice import Choice
from stoker.text.parsed_choice import ParsedChoice
from stoker.text.pooling import PoolingRequests
from stoker.text.prepared_request import PreparedRequest
from stoker.text.prompt import PromptEncoder, template_source
from stoker.text.prompt_echo import PromptEcho
from stoker.text.session import Session
from stoker.text.token_requests import told

_log = logging.getLogger(__name__)

_COMPILING_WAIT_S = 0.01
"""How long a step waits for a grammar when there is nothing else to do."""


@attrs.frozen(eq=False)
class _CompilingRequest:
    """A request that waits for its grammar. The engine knows nothing of it yet."""

    prepared: PreparedRequest
    grammar: futures.Future[CompiledGrammar]


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
        self._requests: dict[int, ActiveRequest] = {}
        self._sequences: dict[int, tuple[ActiveRequest, Choice | ParsedChoice]] = {}
        # Requests of which no step has told yet.
        self._accepted: list[ActiveRequest] = []
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
        if prepared.compiled is None:
            self._start(request_id, prepared, [None] * request.choices)
            return
        grammar = self._constraints.compile(prepared.compiled)
        self._compiling[request_id] = _CompilingRequest(prepared, grammar)

    def _prepared(self, request: GenerateRequest, submitted_s: float) -> PreparedRequest:
        prompt = request.prompt
        if not isinstance(prompt, ChatPrompt):
            prompts = tuple(map(self._prompts.encode, (prompt, *request.more_prompts)))
            return PreparedRequest(request, prompts, submitted_s, constraint=request.constraint)
        chat = self._prompts.encode_chat(prompt)
        constraint = self._syntax.constraint(prompt, request.constraint)
        thinking = self._syntax.thinking(prompt, chat.text, constrained=constraint is not None)
        return PreparedRequest(
            request, (chat.tokens,), submitted_s, chat.text, constraint, thinking
        )

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
        constraints = [prepared.begin(grammar) for _ in range(prepared.request.choices)]
        self._start(request_id, prepared, constraints)

    def _start(
        self,
        request_id: int,
        prepared: PreparedRequest,
        constraints: Sequence[TokenConstraint | None],
    ) -> None:
        """Give a request's sequences to the engine, all or none of them."""
        request, prompts = prepared.request, prepared.prompts
        active = ActiveRequest(request_id, request.n, sum(map(len, prompts)), prepared.submitted_s)
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

    def _choice(
        self, index: int, prepared: PreparedRequest, *, logprobs: bool
    ) -> Choice | ParsedChoice:
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
        active.note(output)
        if output.prefilled is not None:
            self._prefill(active, choice, output, events)
        echo = active.echoes.get(choice.index)
        if echo is not None and self._tell_echo(active, echo, output, events):
            return
        try:
            self._take(active, choice, output, events)
        except StokerError as exc:
            self._fail(active, exc, events)
        except Exception as exc:  # noqa: BLE001 - it is logged
            # A plugin's parser may raise anything, which is no reason to end the other requests.
            _log.exception("The parser of an answer failed")
            words = f"The parser of this model's answers failed: {type(exc).__name__}: {exc}."
            self._fail(active, StokerError(words), events)

    def _take(
        self,
        active: ActiveRequest,
        choice: Choice | ParsedChoice,
        output: SequenceOutput,
        events: list[tuple[int, Event]],
    ) -> None:
        """Show what tokens say, and end the choice where they end it."""
        if output.tokens:
            if not active.decoding:
                active.decoding = True
                active.first_token_s = time.perf_counter()
            events += [(active.id, delta) for delta in choice.take(output.tokens)]
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
        active: ActiveRequest,
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
        active: ActiveRequest,
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
        active.count(choice)
        events.append((active.id, ChoiceFinished(reason, choice.index, choice.stop)))
        if active.running:
            return
        del self._requests[active.id]
        events.append((active.id, active.finished(time.perf_counter())))

    def _fail(
        self, active: ActiveRequest, error: StokerError, events: list[tuple[int, Event]]
    ) -> None:
        self._drop(active)
        events.append((active.id, Failed(error)))

    def _drop(self, active: ActiveRequest) -> None:
        """Forget a request and its sequences, here and in the engine."""
        for sequence_id in active.running:
            self._engine.cancel(sequence_id)
            del self._sequences[sequence_id]
        self._requests.pop(active.id, None)
        if active in self._accepted:
            self._accepted.remove(active)


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
