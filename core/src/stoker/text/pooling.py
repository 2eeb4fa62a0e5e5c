"""Requests that read texts as a whole: embeddings and ranking, over an engine of tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator

import attrs

from stoker.engine import Engine, Mode, PoolingJob, SequenceOutput
from stoker.errors import ContextLengthExceededError, InvalidRequestError, StokerError
from stoker.events import (
    Embedding,
    Event,
    Failed,
    Finished,
    Prefill,
    Ranking,
    Relevance,
    Timings,
    Usage,
)
from stoker.request import EmbedRequest, RerankRequest, TextPrompt, TokenPrompt
from stoker.text.prompt import PromptEncoder
from stoker.text.vector import normalized, shortened


@attrs.define(eq=False)
class _Active:
    """A request of which some texts are not read yet."""

    id: int
    request: EmbedRequest | RerankRequest
    prompt_tokens: int
    submitted_s: float
    running: dict[int, int] = attrs.field(factory=dict)
    """The index in the request of each job that the engine holds."""
    relevances: list[Relevance] = attrs.field(factory=list)


class PoolingRequests:
    """The requests for embeddings and for ranking that a session has.

    Every text is a job of the engine, which fills its batches with the texts of all requests. The
    requests take turns: the first text of a request that comes while a long one is read goes
    beside the one that the long one has come to, and not behind its last.
    """

    def __init__(self, engine: Engine, prompts: PromptEncoder, job_ids: Iterator[int]) -> None:
        """Begin without requests.

        Args:
            engine: Whom to ask.
            prompts: Checks the tokens of requests.
            job_ids: Gives ids that are unique in the engine.
        """
        self._engine = engine
        self._prompts = prompts
        self._job_ids = job_ids
        self._requests: dict[int, _Active] = {}
        self._jobs: dict[int, tuple[_Active, int]] = {}
        # Requests of which no step has told yet.
        self._accepted: list[_Active] = []
        self._turn = 0

    def __contains__(self, request_id: int) -> bool:
        """Whether a request is being answered."""
        return request_id in self._requests

    @property
    def idle(self) -> bool:
        """Whether `accepted` has nothing to tell."""
        return not self._accepted

    def submit(self, request_id: int, request: EmbedRequest | RerankRequest) -> None:
        """Take a request; see `stoker.text.session.Session.submit`.

        Raises:
            StokerError: It cannot be answered. Nothing was queued.
        """
        submitted_s = time.perf_counter()
        if isinstance(request, EmbedRequest):
            mode, texts = Mode.EMBED, self._inputs(request)
        else:
            mode, texts = Mode.RERANK, self._pairs(request)
        active = _Active(request_id, request, sum(map(len, texts)), submitted_s)
        for index, tokens in enumerate(texts):
            job = PoolingJob(
                id=next(self._job_ids),
                mode=mode,
                tokens=tokens,
                turn=self._turn + index,
                priority=request.priority,
            )
            try:
                self._engine.submit_pooling(job)
            except Exception:
                self._drop(active)
                raise
            active.running[job.id] = index
            self._jobs[job.id] = (active, job.turn)
        self._requests[request_id] = active
        self._accepted.append(active)

    def cancel(self, request_id: int) -> None:
        """Forget a request; an unknown id is a no-op."""
        active = self._requests.get(request_id)
        if active is not None:
            self._drop(active)

    def accepted(self) -> list[tuple[int, Event]]:
        """The first events of the requests that came since the last call."""
        events: list[tuple[int, Event]] = [
            (active.id, Prefill(0, active.prompt_tokens)) for active in self._accepted
        ]
        self._accepted.clear()
        return events

    def take(self, output: SequenceOutput) -> list[tuple[int, Event]]:
        """Take what a step of the engine gave for a job; unknown ids give nothing."""
        found = self._jobs.pop(output.id, None)
        if found is None:
            return []
        active, turn = found
        self._turn = max(self._turn, turn)
        index = active.running.pop(output.id)
        events: list[Event] = []
        if isinstance(active.request, EmbedRequest) and output.embedding is not None:
            vector = shortened(output.embedding, active.request.dimensions)
            vector = normalized(vector) if active.request.normalize else vector
            events.append(Embedding(vector, index))
        elif isinstance(active.request, RerankRequest) and output.score is not None:
            active.relevances.append(Relevance(index, output.score))
        else:
            self._drop(active)
            error = output.error or StokerError("The engine read the text and gave nothing for it.")
            return [(active.id, Failed(error))]
        if not active.running:
            del self._requests[active.id]
            events += _last(active)
        return [(active.id, event) for event in events]

    def _inputs(self, request: EmbedRequest) -> list[tuple[int, ...]]:
        self._check_dimensions(request.dimensions)
        return [
            self._fitting(self._tokens(item, f"input[{index}]"), f"input[{index}]")
            for index, item in enumerate(request.input)
        ]

    def _check_dimensions(self, wanted: int | None) -> None:
        """Refuse to cut vectors where the rest would be no embedding."""
        info = self._engine.info
        length = info.embedding_length
        if wanted is None or length is None or wanted == length:
            return
        problem = None
        if wanted > length:
            problem = f"but the model's embeddings have {length} numbers: ask for fewer"
        elif not info.matryoshka:
            problem = (
                f"but shorter embeddings than the model's {length} numbers mean something only when"
                " it was trained for them (Matryoshka): leave dimensions out, or say in the model's"
                " options that it was"
            )
        if problem is not None:
            raise InvalidRequestError(f"dimensions is {wanted}, {problem}.", param="dimensions")

    def _tokens(self, item: TextPrompt | TokenPrompt, param: str) -> tuple[int, ...]:
        if isinstance(item, TextPrompt):
            if not item.text:
                raise InvalidRequestError(f"{param} is empty.", param=param)
            # What a document spells stays text: it is not for documents to end themselves.
            return tuple(self._engine.encode(item.text, add_special=True, parse_special=False))
        try:
            return self._prompts.encode(item)
        except InvalidRequestError as exc:
            raise InvalidRequestError(f"{param}: {exc.message}", param=param) from exc

    def _pairs(self, request: RerankRequest) -> list[tuple[int, ...]]:
        query_param, document_param = request.params
        queries = request.query
        if isinstance(queries, str):
            queries = (queries,) * len(request.documents)
        if not all(queries):
            raise InvalidRequestError(f"{query_param} is empty.", param=query_param)
        return [
            self._fitting(
                tuple(self._engine.encode_pair(query, document)), f"{document_param}[{index}]"
            )
            for index, (query, document) in enumerate(zip(queries, request.documents, strict=True))
        ]

    def _fitting(self, tokens: tuple[int, ...], param: str) -> tuple[int, ...]:
        context_length = self._engine.info.context_length
        if len(tokens) > context_length:
            raise ContextLengthExceededError(
                prompt_tokens=len(tokens), context_length=context_length, param=param
            )
        return tokens

    def _drop(self, active: _Active) -> None:
        """Forget a request and its jobs, here and in the engine."""
        for job_id in active.running:
            self._engine.cancel(job_id)
            del self._jobs[job_id]
        self._requests.pop(active.id, None)
        if active in self._accepted:
            self._accepted.remove(active)


def _last(active: _Active) -> Iterator[Event]:
    if isinstance(active.request, RerankRequest):
        best = sorted(active.relevances, key=lambda item: (-item.score, item.index))
        yield Ranking(tuple(best[: active.request.top_n]))
    spent_s = time.perf_counter() - active.submitted_s
    yield Finished(Usage(active.prompt_tokens, 0), Timings(prefill_s=spent_s))
