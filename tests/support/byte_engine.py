"""An engine without a model, that keeps every promise: what the contract kit is tested with."""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs

from stoker.engine import Engine, EngineInfo, SampledToken, SequenceJob, SequenceOutput, Vocabulary
from stoker.errors import InvalidRequestError, StokerError
from stoker.events import FinishReason

PLACES = 8
"""So many sequences advance at once; the others wait."""


@attrs.define
class Running:
    """A sequence inside the byte engine."""

    job: SequenceJob
    draw: random.Random
    prefilled: int = 0
    sampled: int = 0


class ByteEngine(Engine):
    """An engine whose tokens are bytes and whose model is a rule: the next byte follows the last.

    It reads two tokens of a prompt and makes one token of each answer per step. The byte 0 is its
    end token, which it only makes where a constraint allows nothing else.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Running] = {}
        self._running: dict[int, Running] = {}
        self._free = PLACES

    @property
    def info(self) -> EngineInfo:
        """256 tokens."""
        return EngineInfo(context_length=4096, vocabulary_size=256)

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Bytes are tokens."""
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        """Tokens are bytes."""
        if not 0 <= token < 256:
            raise IndexError(token)
        return bytes([token])

    def vocabulary(self) -> Vocabulary | None:
        """All bytes."""
        return Vocabulary([bytes([token]) for token in range(256)], frozenset({0}))

    def submit(self, job: SequenceJob) -> None:
        """Queue a sequence."""
        if not all(0 <= token < 256 for token in job.prompt):
            raise InvalidRequestError("The prompt has tokens that do not exist.", param="prompt")
        self._waiting[job.id] = Running(job, random.Random(job.sampling.seed))

    def cancel(self, sequence_id: int) -> None:
        """Forget a sequence."""
        self._waiting.pop(sequence_id, None)
        if sequence_id in self._running:
            self._end(sequence_id)

    def step(self) -> Sequence[SequenceOutput]:
        """Read two tokens or make one, for every sequence that has a place."""
        while self._waiting and self._free:
            sequence_id = next(iter(self._waiting))
            self._running[sequence_id] = self._waiting.pop(sequence_id)
            self._free -= 1
        return [self._advance(running) for running in list(self._running.values())]

    def _end(self, sequence_id: int) -> None:
        """Free a sequence's place."""
        del self._running[sequence_id]
        self._free += 1

    def _advance(self, running: Running) -> SequenceOutput:
        job = running.job
        if running.prefilled < len(job.prompt):
            running.prefilled = min(running.prefilled + 2, len(job.prompt))
            return SequenceOutput(job.id, prefilled=running.prefilled)
        running.sampled += 1
        best = (job.prompt[-1] + running.sampled) % 256
        token = running.draw.randrange(256) if job.sampling.temperature else best
        if (job.sampling.logit_bias or {}).get(token, 0) <= -100:
            token = (token + 1) % 256
        complete = False
        if job.constraint is not None:
            try:
                mask = job.constraint.mask()
            except StokerError as exc:
                self._end(job.id)
                return SequenceOutput(job.id, error=exc)
            allowed = [other for other in range(len(mask) * 8) if mask[other // 8] >> other % 8 & 1]
            token = min(allowed, key=lambda other: (other - token) % 256)
            if token == 0:
                self._end(job.id)
                return SequenceOutput(job.id, finish=FinishReason.STOP)
            complete = job.constraint.accept(token)
        sampled = SampledToken(token)
        if job.sampling.logprobs is not None:
            top = tuple((token + place, -0.1 - place) for place in range(job.sampling.logprobs))
            sampled = SampledToken(token, -0.1, top)
        finish = FinishReason.LENGTH if running.sampled == job.max_tokens else None
        if complete:
            finish = FinishReason.STOP
        if finish:
            self._end(job.id)
        return SequenceOutput(job.id, tokens=(sampled,), finish=finish)

    @property
    def idle(self) -> bool:
        """Whether nothing runs."""
        return not self._running and not self._waiting

    def close(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._running.clear()
