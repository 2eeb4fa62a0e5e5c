"""The reader: sequences whose prompts are read, a piece of one in a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import attrs
import mlx.core as mx
import numpy as np

from stoker.engine import SampledToken
from stoker.logits.logprobs import with_logprobs
from stoker.prefix_tree import common_length
from stoker_mlx.caches import Caches, cuttable, evaluate
from stoker_mlx.footprint import SCORED_TOKENS
from stoker_mlx.pace import Pace
from stoker_mlx.prefix_cache import NO_PREFIX, PrefixCache
from stoker_mlx.sequence import Sequence

BORDER_TOKENS = 256
"""Where states and windows are kept while a prompt is read: they only serve as a whole."""

WORTH_WAITING_TOKENS = 16
"""How much must be saved for a sequence to wait until another has read their common prefix."""


@attrs.frozen
class Piece:
    """A piece of a prompt that was read."""

    sequence: Sequence
    scores: tuple[SampledToken, ...] = ()
    """What the model thinks of the tokens behind those of the piece, if that is wanted."""


@attrs.define(eq=False)
class _Reading:
    sequence: Sequence
    caches: Caches


class Reader:
    """Reads prompts, each by itself, so that none has to be padded to the length of another.

    A step reads a piece of one prompt. In turns it is that of the first one and that of the one
    with the least left, so that a short prompt is not held up by a long one, nor the other way
    round.
    """

    def __init__(
        self, model: Any, prefixes: PrefixCache, pace: Pace, make: Callable[[], Caches]
    ) -> None:
        """Make an idle one.

        Args:
            model: Computes.
            prefixes: Where sequences start from, and where read prompts are kept.
            pace: Says how large a piece may be.
            make: Makes empty caches for one sequence.
        """
        self._model = model
        self._prefixes = prefixes
        self._pace = pace
        self._make = make
        self._readings: list[_Reading] = []
        self._turn = 0
        # A window can be cut back until it moves, so it is known by its width.
        self.keeps_borders = not cuttable(make()) or any(map(_is_window, make()))

    @property
    def sequences(self) -> list[Sequence]:
        """Those that read, in the order in which they started."""
        return [reading.sequence for reading in self._readings]

    def start(self, sequence: Sequence) -> None:
        """Begin with a sequence, from what is known of it."""
        # What is not computed has no logits.
        prefix = NO_PREFIX if sequence.scores else self._prefixes.find(sequence.tokens[:-1])
        caches = self._prefixes.take(prefix) or self._make()
        sequence.begin(prefix.length)
        self._readings.append(_Reading(sequence, caches))

    def stop(self, sequence: Sequence) -> None:
        """Give up on a sequence; what was read of it is kept, which costs nothing."""
        (reading,) = (item for item in self._readings if item.sequence is sequence)
        self._readings.remove(reading)
        if sequence.in_memory:
            self._prefixes.keep(sequence.tokens[: sequence.in_memory], reading.caches)

    def drop(self, sequence: Sequence) -> None:
        """Forget a sequence and what was read of it."""
        self._readings = [item for item in self._readings if item.sequence is not sequence]

    def read(self, *, beside: bool) -> Piece | None:
        """Read a piece of one sequence.

        Args:
            beside: Whether answers wait for it.

        Returns:
            What was read, or None when there is nothing to read.
        """
        unread = [reading for reading in self._readings if reading.sequence.unread]
        if not unread:
            return None
        self._turn ^= 1
        reading = min(unread, key=_unread) if self._turn else unread[0]
        sequence = reading.sequence
        count = min(self._pace.tokens(beside=beside), sequence.unread)
        if sequence.scores:
            count = min(count, SCORED_TOKENS)
        if self.keeps_borders:
            count = min(count, BORDER_TOKENS - sequence.in_memory % BORDER_TOKENS)
        end = sequence.in_memory + count
        tokens = mx.array([sequence.tokens[sequence.in_memory : end].tolist()])
        started_s = time.perf_counter()
        # Where logits are not asked for, MLX does not compute them.
        logits = self._model(tokens, cache=reading.caches)
        evaluate(reading.caches)
        scores = _scored(sequence, logits[0], end) if sequence.scores else ()
        self._pace.read(count, time.perf_counter() - started_s, beside=beside)
        sequence.in_memory = end
        if not sequence.unread or (self.keeps_borders and end % BORDER_TOKENS == 0):
            self._prefixes.keep(sequence.tokens[:end], reading.caches)
        return Piece(sequence, scores)

    def finished(self) -> list[tuple[Sequence, Caches]]:
        """Hand over the sequences that have been read."""
        done = [reading for reading in self._readings if not reading.sequence.unread]
        self._readings = [reading for reading in self._readings if reading.sequence.unread]
        return [(reading.sequence, reading.caches) for reading in done]

    def reads_for(self, sequence: Sequence) -> Sequence | None:
        """A sequence that is reading what a waiting one would have to read itself, if any."""
        if sequence.scores:
            return None
        known = self._prefixes.find(sequence.tokens[:-1]).length + WORTH_WAITING_TOKENS
        for reading in self._readings:
            other = reading.sequence
            # Who has waited goes on to the end, also when little is left.
            worth = other.in_memory if other is sequence.awaited else known
            if self._kept(sequence, other) > max(worth, other.in_memory):
                return other
        return None

    def _kept(self, sequence: Sequence, other: Sequence) -> int:
        """How much of what two sequences have in common is going to be kept of the other."""
        common = common_length(sequence.tokens[:-1], other.tokens[:-1])
        if self.keeps_borders and common < len(other.tokens) - 1:
            return common - common % BORDER_TOKENS
        return common


def _scored(sequence: Sequence, logits: Any, end: int) -> tuple[SampledToken, ...]:
    """The log probabilities of prompt tokens that were not told before.

    Args:
        sequence: Reads its prompt.
        logits: (tokens, vocabulary), of a piece.
        end: Where in the prompt the piece ends.
    """
    prompt, wanted = sequence.job.prompt, sequence.job.prompt_logprobs or 0
    first = end - logits.shape[0]
    begin, sequence.scored = max(first, sequence.scored), max(end, sequence.scored)
    return tuple(
        with_logprobs(np.array(logits[place - first].astype(mx.float32)), prompt[place + 1], wanted)
        for place in range(begin, end)
    )


def _unread(reading: _Reading) -> int:
    return reading.sequence.unread


def _is_window(cache: Any) -> bool:
    inner = getattr(cache, "caches", None)
    return any(map(_is_window, inner)) if inner is not None else hasattr(cache, "max_size")
