"""An engine that makes embeddings and scores by counting bytes; no model behind it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from stoker.engine import Engine, EngineInfo, Mode, PoolingJob, SequenceJob, SequenceOutput
from stoker.errors import InvalidRequestError, StokerError, UnsupportedFeatureError

BATCH = 4
"""Texts per step."""
BEGIN, END = 256, 257


class CountingEngine(Engine):
    """Tokens are bytes. An embedding is how often a, b and c are there, a score the share of a.

    Attributes:
        fail_on: A token of which no text may have one.
        cancelled: The ids that were cancelled.
    """

    def __init__(
        self,
        *modes: Mode,
        context_length: int = 50,
        fail_on: int | None = None,
        matryoshka: bool = False,
    ) -> None:
        self._info = EngineInfo(
            context_length=context_length,
            vocabulary_size=258,
            modes=frozenset(modes or (Mode.EMBED, Mode.RERANK)),
            embedding_length=3 if Mode.EMBED in modes or not modes else None,
            matryoshka=matryoshka,
        )
        self.fail_on = fail_on
        self.cancelled: list[int] = []
        self.jobs: dict[int, PoolingJob] = {}

    @property
    def info(self) -> EngineInfo:
        return self._info

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        tokens = list(text.encode())
        return [BEGIN, *tokens, END] if add_special else tokens

    def encode_pair(self, query: str, document: str) -> list[int]:
        return [BEGIN, *query.encode(), END, *document.encode(), END]

    def token_bytes(self, token: int) -> bytes:
        if not 0 <= token < 258:
            raise IndexError(token)
        return bytes([token]) if token < 256 else b""

    def submit(self, job: SequenceJob) -> None:
        raise UnsupportedFeatureError("This engine counts.", param="model")

    def submit_pooling(self, job: PoolingJob) -> None:
        if job.mode not in self._info.modes:
            raise UnsupportedFeatureError("This engine does not do that.", param="model")
        if not 1 <= len(job.tokens) <= self._info.context_length:
            raise InvalidRequestError("The text does not fit.")
        if not all(0 <= token < 258 for token in job.tokens):
            raise InvalidRequestError("The text has tokens that do not exist.")
        self.jobs[job.id] = job

    def cancel(self, sequence_id: int) -> None:
        self.cancelled.append(sequence_id)
        self.jobs.pop(sequence_id, None)

    def step(self) -> Sequence[SequenceOutput]:
        jobs = sorted(self.jobs.values(), key=lambda job: (-job.priority, job.turn))
        return [self._output(self.jobs.pop(job.id)) for job in jobs[:BATCH]]

    def _output(self, job: PoolingJob) -> SequenceOutput:
        if self.fail_on in job.tokens:
            return SequenceOutput(job.id, error=StokerError("This text cannot be counted."))
        if job.mode is Mode.EMBED:
            counts = [job.tokens.count(ord(letter)) for letter in "abc"]
            return SequenceOutput(job.id, embedding=struct.pack("<3f", *counts))
        return SequenceOutput(job.id, score=job.tokens.count(ord("a")) / len(job.tokens))

    @property
    def idle(self) -> bool:
        return not self.jobs

    def close(self) -> None:
        self.jobs.clear()
