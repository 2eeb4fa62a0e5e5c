"""The engine: many sequences, one `llama_decode` per step."""

from __future__ import annotations

import functools
import time
from array import array
from collections.abc import Sequence as SequenceOf

import attrs
import numpy as np
import numpy.typing as npt

from stoker.engine import (
    Engine,
    EngineInfo,
    SampledToken,
    SequenceJob,
    SequenceOutput,
    Vocabulary,
)
from stoker.errors import StokerError, UnavailableError
from stoker.events import FinishReason
from stoker.job_checks import check_sequence
from stoker.logits import sampler
from stoker.logits.answering import Answering
from stoker.logits.logprobs import with_logprobs
from stoker.logits.sampler import Sampler
from stoker_llama_cpp.batch import Batch
from stoker_llama_cpp.context import Context
from stoker_llama_cpp.draft_model import DraftModel
from stoker_llama_cpp.drafting import Drafting
from stoker_llama_cpp.kv_cache import KVCache
from stoker_llama_cpp.log import LOG, cause
from stoker_llama_cpp.model import Model
from stoker_llama_cpp.pace import Pace
from stoker_llama_cpp.scheduler import Chunk, Scheduler
from stoker_llama_cpp.sequence import Sequence
from stoker_llama_cpp.speculation import Speculation


class LlamaCppEngine(Engine):
    """A model on llama.cpp; see `stoker.engine.Engine` for the contract.

    A step plans, computes the plan in one batch, and samples one token for every sequence of which
    all known tokens are in memory now.
    """

    def __init__(
        self,
        model: Model,
        context: Context,
        info: EngineInfo,
        cache: KVCache,
        draft_model: DraftModel | None = None,
    ) -> None:
        """Take over what was loaded; `close` frees it.

        Args:
            model: The weights.
            context: Where they compute.
            info: What is told of them.
            cache: Of the context.
            draft_model: Guesses for the model.
        """
        self._model = model
        self._vocabulary = model.vocabulary
        self._answering = Answering(
            vocabulary_size=len(model.vocabulary),
            ends_generation=model.vocabulary.ends_generation,
        )
        self._context = context
        self._info = info
        self._sequences: dict[int, Sequence] = {}
        self._submitted = 0
        self._cache = cache
        self._scheduler = Scheduler(
            cache,
            max_sequences=context.max_sequences,
            batch_size=context.batch_size,
            rows=context.rows,
        )
        self._batch = Batch(size=context.batch_size, slots=context.slots)
        # What all sequences jump together, and a token for each, must fit into one step.
        self._longest_jump = context.batch_size // context.max_sequences - 1
        self._pace = Pace()
        self._drafting = Drafting(self._scheduler, self._pace, rows=context.rows, model=draft_model)

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""
        return self._info

    @property
    def idle(self) -> bool:
        """Whether a `step` would do nothing."""
        return not self._sequences and not self._cache.untidy

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Turn text into tokens.

        Raises:
            InvalidRequestError: The text is no valid Unicode.
        """
        return self._vocabulary.encode(text, add_special=add_special, parse_special=parse_special)

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for.

        Raises:
            IndexError: There is no such token.
        """
        return self._vocabulary.token_bytes(token)

    def vocabulary(self) -> Vocabulary:
        """All tokens; called from another thread."""
        return self._vocabulary.whole()

    def submit(self, job: SequenceJob) -> None:
        """Queue a sequence.

        Raises:
            InvalidRequestError: It has tokens that do not exist, does not fit into the context,
                or has sampling parameters that cannot be computed.
        """
        check_sequence(job, self._info, self._sequences)
        sampler.check(job.sampling, vocabulary_size=self._info.vocabulary_size)
        sequence = self._sequences[job.id] = Sequence(job, order=self._submitted)
        if not sampler.takes_best(job.sampling):
            sequence.sampler = Sampler(job.sampling, prompt=job.prompt)
        if self._context.speculates:
            sequence.speculation = Speculation()
        self._submitted += 1
        self._scheduler.add(sequence)

    def cancel(self, sequence_id: int) -> None:
        """Forget a sequence, at once."""
        sequence = self._sequences.get(sequence_id)
        if sequence is not None:
            self._drop(sequence)

    def step(self) -> SequenceOf[SequenceOutput]:
        """Advance the sequences by one batch; without any, tidy the cache by a piece."""
        if not self._sequences:
            if self._cache.untidy:
                self._cache.tidy()
            return []
        plan = self._drafting.extended(self._scheduler.plan(self._pace))
        if not plan:
            return []
        self._scheduler.reserve(plan)
        self._batch.fill(plan)
        started_s = time.perf_counter()
        with LOG.recording() as lines:
            code = self._context.decode(self._batch.struct)
        if code:
            return [self._recovered(plan, code, cause(lines))]
        logits = self._context.logits()
        duration_s = time.perf_counter() - started_s
        reads = sum(chunk.count for chunk in plan if not chunk.sequence.answers)
        self._pace.observe(sum(chunk.size for chunk in plan) - reads, reads, duration_s)
        self._scheduler.computed(plan)
        scores = {
            chunk.sequence.job.id: self._scored(chunk.sequence, logits[row:], first, chunk.count)
            for row, first, chunk in self._batch.scored
        }
        outputs = []
        for chunk in plan:
            sequence = chunk.sequence
            # A sequence that is read again after it gave up its memory has nothing new to tell.
            if not sequence.generated and sequence.pending and sequence.in_memory > sequence.told:
                cached, sequence.told = sequence.untold_cached, sequence.in_memory
                outputs.append(SequenceOutput(sequence.job.id, sequence.in_memory, cached))
        outputs += self._sampled(logits)
        if scores:
            return [
                attrs.evolve(output, prompt_logprobs=scores.get(output.id, ()))
                for output in outputs
            ]
        return outputs

    @staticmethod
    def _scored(
        sequence: Sequence, logits: npt.NDArray[np.float32], first: int, count: int
    ) -> tuple[SampledToken, ...]:
        """What the model thinks of the tokens behind those of a chunk, of which nothing was told.

        Args:
            sequence: Reads its prompt.
            logits: Of the chunk and what follows it.
            first: Where in the prompt the chunk begins.
            count: How long it is.
        """
        prompt, wanted = sequence.job.prompt, sequence.job.prompt_logprobs or 0
        begin = max(first, sequence.scored)
        end = min(first + count, len(prompt) - 1)
        sequence.scored = max(sequence.scored, end)
        return tuple(
            with_logprobs(logits[place - first], prompt[place + 1], wanted)
            for place in range(begin, end)
        )

    def close(self) -> None:
        """Free everything."""
        self._cache.close()
        self._drafting.close()
        self._context.close()
        self._model.close()

    def _sampled(self, logits: npt.NDArray[np.float32]) -> list[SequenceOutput]:
        """Sample tokens for every sequence that wants some."""
        wanting = self._batch.outputs
        best: list[int] = []
        if any(chunk.sequence.sampler is None for _, chunk in wanting):
            best = logits[: self._batch.rows].argmax(axis=1).tolist()
        return [self._answered(chunk, row, logits, best) for row, chunk in wanting]

    def _answered(
        self,
        chunk: Chunk,
        first: int,
        logits: npt.NDArray[np.float32],
        best: SequenceOf[int],
    ) -> SequenceOutput:
        """Sample a sequence's next token, and go on while the draft had the same one.

        Every token is chosen as it would have been without the draft, so the draft changes nothing
        but the number of tokens in a step. What a constraint forces behind the last one is taken
        along.

        Args:
            chunk: What was computed.
            first: The first row of logits that is the chunk's.
            logits: Of all chunks.
            best: The best token of each row, for a sequence that takes these.
        """
        sequence, draft = chunk.sequence, chunk.draft
        prefilled, cached = (
            (None, 0) if sequence.generated else (len(sequence.job.prompt), sequence.untold_cached)
        )
        tokens: list[SampledToken] = []
        finish: FinishReason | None = None
        error: StokerError | None = None
        accepted = sequence.jumped = 0
        try:
            while True:
                row = functools.partial(logits.__getitem__, first + accepted)
                likely = best[first + accepted] if best else 0
                token = self._answering.choose(sequence, row, likely, row()[likely])
                finish = self._answering.take(sequence, token, row, tokens)
                if finish or accepted == len(draft) or token != draft[accepted]:
                    break
                accepted += 1
            if sequence.speculation is not None:
                # Before the jump: guesses stand against what was sampled.
                sequence.speculation.observe(array("i", [token.id for token in tokens]))
            if finish is None:
                finish = self._jump(sequence, tokens)
        except StokerError as exc:
            error = exc
        if draft:
            self._scheduler.verified(chunk, accepted)
        preemptions, sequence.preemptions = sequence.preemptions, 0
        if finish or error:
            self._drop(sequence)
        return SequenceOutput(
            sequence.job.id,
            prefilled,
            cached,
            tuple(tokens),
            None if error else finish,
            error,
            drafted=len(draft),
            accepted=accepted,
            preemptions=preemptions,
        )

    def _jump(self, sequence: Sequence, tokens: list[SampledToken]) -> FinishReason | None:
        """Take the tokens that a constraint leaves no choice about.

        No logits are needed to choose them, so they are computed together with the next step,
        without the part of the model that makes logits, and cost less than a token that is drawn.
        """
        before = len(tokens)
        finish = self._answering.jump(sequence, tokens, most=self._longest_jump)
        sequence.jumped = len(tokens) - before
        return finish

    def _recovered(self, plan: list[Chunk], code: int, words: str) -> SequenceOutput:
        """Give up the newest sequence of a batch that failed, so that the others can go on.

        Most often memory was short, and the newest is who brought the need for more.
        """
        self._scheduler.failed(plan)
        newest = max((chunk.sequence for chunk in plan), key=_rank)
        self._drop(newest)
        error = UnavailableError(f"llama.cpp could not compute a batch (code {code}): {words}.")
        return SequenceOutput(newest.job.id, error=error)

    def _drop(self, sequence: Sequence) -> None:
        del self._sequences[sequence.job.id]
        self._scheduler.remove(sequence)
        self._drafting.forget(sequence)


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.rank
