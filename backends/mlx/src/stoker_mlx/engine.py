"""The engine: many sequences, one computation for all answers and one for a prompt per step."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from typing import Any

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
from stoker.logits.sampler import Sampler
from stoker_mlx.batch import Batch, Launched
from stoker_mlx.caches import Caches, mergeable
from stoker_mlx.memory import Memory
from stoker_mlx.pace import Pace
from stoker_mlx.prefix_cache import PrefixCache
from stoker_mlx.reader import Reader
from stoker_mlx.scheduler import Scheduler
from stoker_mlx.sequence import Sequence
from stoker_mlx.tokenizer import Tokenizer

LONGEST_JUMP = 31
"""Most tokens that a constraint forces and that are taken in one step, behind the chosen one."""

Rows = Callable[[], npt.NDArray[np.float32]]


class MlxEngine(Engine):
    """A model on MLX; see `stoker.engine.Engine` for the contract.

    A step takes the logits that the step before began to compute, samples a token for each
    sequence, reads a piece of a prompt, and begins with the next tokens. So MLX computes while the
    runner sends what came out.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        info: EngineInfo,
        memory: Memory,
        *,
        make_caches: Callable[[], Caches],
        max_sequences: int,
        cache_tokens: int,
        read_tokens: int,
        prefix_bytes: int,
    ) -> None:
        """Take over what was loaded; `close` frees it.

        Args:
            model: mlx-lm's model.
            tokenizer: Of the model.
            info: What is told of them.
            memory: To be released at the end.
            make_caches: Makes empty caches for one sequence.
            max_sequences: Most sequences that run side by side.
            cache_tokens: Most tokens in memory.
            read_tokens: Most tokens of a prompt that a step reads.
            prefix_bytes: Memory for prefixes.
        """
        self._tokenizer = tokenizer
        self._answering = Answering(
            vocabulary_size=len(tokenizer), ends_generation=tokenizer.ends_generation
        )
        self._info = info
        self._memory = memory
        self._sequences: dict[int, Sequence] = {}
        self._submitted = 0
        joint = mergeable(make_caches())
        self._scheduler = Scheduler(
            max_sequences=max_sequences, cache_tokens=cache_tokens, joint=joint
        )
        self._prefixes = PrefixCache(prefix_bytes)
        self._pace = Pace(read_tokens)
        self._reader = Reader(model, self._prefixes, self._pace, make_caches)
        self._batch = Batch(model, joint=joint)
        self._launched: Launched | None = None
        self._launched_s = 0.0

    @property
    def info(self) -> EngineInfo:
        """What was loaded."""
        return self._info

    @property
    def idle(self) -> bool:
        """Whether a `step` would do nothing."""
        return not self._sequences

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Turn text into tokens.

        Raises:
            InvalidRequestError: The text is no valid Unicode.
        """
        return self._tokenizer.encode(text, add_special=add_special, parse_special=parse_special)

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for.

        Raises:
            IndexError: There is no such token.
        """
        return self._tokenizer.token_bytes(token)

    def vocabulary(self) -> Vocabulary:
        """All tokens; called from another thread."""
        return self._tokenizer.whole()

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
        self._submitted += 1
        self._scheduler.add(sequence)

    def cancel(self, sequence_id: int) -> None:
        """Forget a sequence, at once."""
        sequence = self._sequences.pop(sequence_id, None)
        if sequence is None or self._scheduler.remove(sequence):
            return
        if sequence in self._batch.sequences:
            self._batch.leave(sequence, keep=False)
        else:
            self._reader.stop(sequence)

    def step(self) -> SequenceOf[SequenceOutput]:
        """Advance the sequences by one token each, and read a piece of a prompt."""
        outputs = self._answered()
        while (last := self._scheduler.excess(self._running)) is not None:
            self._preempt(last)
        while True:
            newcomer = self._scheduler.let_in(self._running, self._reader.reads_for)
            if newcomer is None:
                break
            self._reader.start(newcomer)
        outputs += self._read()
        read = self._reader.finished()
        self._batch.join([sequence for sequence, _ in read], [caches for _, caches in read])
        self._launched_s = time.perf_counter()
        self._launched = self._batch.launch()
        return outputs

    def close(self) -> None:
        """Free everything."""
        del self._reader, self._batch, self._launched
        self._prefixes.clear()
        self._memory.release()

    @property
    def _running(self) -> list[Sequence]:
        return [*self._batch.sequences, *self._reader.sequences]

    def _read(self) -> list[SequenceOutput]:
        """Read a piece of a prompt, and tell of it."""
        before = self._reader.sequences
        try:
            piece = self._reader.read(beside=bool(self._batch.sequences))
        except (RuntimeError, ValueError) as exc:
            return [self._unreadable(before, exc)]
        if piece is None:
            return []
        sequence = piece.sequence
        # A sequence that is read again after it gave up its memory has nothing new to tell.
        if sequence.generated or sequence.in_memory <= sequence.told:
            return []
        cached, sequence.told = sequence.untold_cached, sequence.in_memory
        return [
            SequenceOutput(
                sequence.job.id, sequence.in_memory, cached, prompt_logprobs=piece.scores
            )
        ]

    def _unreadable(self, readers: list[Sequence], exc: Exception) -> SequenceOutput:
        """Give up the newest of the sequences that read, so that the others can go on.

        Most often memory was short, and the newest is who brought the need for more.
        """
        newest = max(readers, key=_rank)
        self._reader.drop(newest)
        del self._sequences[newest.job.id]
        error = UnavailableError(f"MLX could not read a prompt: {exc}.")
        return SequenceOutput(newest.job.id, error=error)

    def _preempt(self, sequence: Sequence) -> None:
        """Put a sequence back into the queue; what it has in memory is kept while there is room."""
        if sequence in self._batch.sequences:
            self._leave(sequence)
        else:
            self._reader.stop(sequence)
        sequence.in_memory = 0
        sequence.preemptions += 1
        self._scheduler.add(sequence)

    def _leave(self, sequence: Sequence) -> None:
        """Take a sequence out of the batch; its caches become a prefix for others."""
        tokens = sequence.tokens[: sequence.in_memory]
        caches = self._batch.leave(sequence, keep=self._prefixes.wants(tokens))
        if caches is not None:
            self._prefixes.keep(tokens, caches)

    def _answered(self) -> list[SequenceOutput]:
        """Sample a token for every sequence of which the logits were computed."""
        launched, self._launched = self._launched, None
        if launched is None or not self._sequences:
            return []
        best, top = launched.best_tokens()
        self._pace.answered(time.perf_counter() - self._launched_s)
        rows = functools.cache(launched.rows)
        return [
            self._output(sequence, row, rows, best[row], top[row])
            for row, sequence in enumerate(launched.sequences)
            if self._sequences.get(sequence.job.id) is sequence
        ]

    def _output(
        self, sequence: Sequence, row: int, rows: Rows, best: int, top: float
    ) -> SequenceOutput:
        """Choose a sequence's next token, and take those that a constraint forces behind it.

        Args:
            sequence: It is in the batch.
            row: Its place in the rows.
            rows: Gives the logits of all sequences; asked for when they are needed.
            best: The token with the largest logit.
            top: That logit.
        """
        prefilled, cached = (
            (None, 0) if sequence.generated else (len(sequence.job.prompt), sequence.untold_cached)
        )
        tokens: list[SampledToken] = []
        finish: FinishReason | None = None
        error: StokerError | None = None

        def own() -> npt.NDArray[np.float32]:
            logits: npt.NDArray[np.float32] = rows()[row]
            return logits

        try:
            token = self._answering.choose(sequence, own, best, top)
            finish = self._answering.take(sequence, token, own, tokens)
            # Rows of one array all get one token a step.
            if finish is None and self._batch.jumps:
                finish = self._answering.jump(sequence, tokens, most=LONGEST_JUMP)
        except StokerError as exc:
            error = exc
        sequence.told = max(sequence.told, len(sequence.job.prompt))
        preemptions, sequence.preemptions = sequence.preemptions, 0
        if finish or error:
            del self._sequences[sequence.job.id]
            self._leave(sequence)
        return SequenceOutput(
            sequence.job.id,
            prefilled,
            cached,
            tuple(tokens),
            None if error else finish,
            error,
            preemptions=preemptions,
        )


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.rank
