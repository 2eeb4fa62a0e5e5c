"""The batch: sequences whose next tokens are computed together."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from typing import Any

import attrs
import mlx.core as mx
import numpy as np
import numpy.typing as npt

from stoker_mlx.caches import Caches, evaluate, merged
from stoker_mlx.sequence import Sequence


@attrs.frozen(eq=False)
class Launched:
    """A computation that was begun. MLX works on it while Python does other things."""

    sequences: tuple[Sequence, ...]
    """Whose it is: a row each."""
    logits: Any
    """(rows, vocabulary), in the model's own numbers."""
    best: Any
    """(rows,): the token with the largest logit."""
    top: Any
    """(rows,): that logit."""

    def rows(self) -> npt.NDArray[np.float32]:
        """The logits, as sampling wants them."""
        return np.array(self.logits.astype(mx.float32))

    def best_tokens(self) -> tuple[list[int], list[float]]:
        """The best token of each row, and its logit. Waits for the computation."""
        mx.eval(self.best, self.top)
        return self.best.tolist(), self.top.tolist()


class Batch:
    """Sequences of which all tokens but the last are in memory, or all but a few.

    Where mlx-lm has a batch of a model's caches, its rows stand in the same arrays, each as long as
    the longest, and one computation makes them all longer. A single row keeps the caches in which
    it was read. Caches of which mlx-lm has no batch are computed one after the other.
    """

    def __init__(self, model: Any, *, joint: bool) -> None:
        """Make an empty batch.

        Args:
            model: Computes.
            joint: Whether there is a batch of its caches.
        """
        self._model = model
        self._joint = joint
        self._sequences: list[Sequence] = []
        # Of each sequence by itself; unless `_batch` has them all.
        self._single: list[Caches] = []
        self._batch: Caches | None = None

    @property
    def jumps(self) -> bool:
        """Whether sequences may have several new tokens: rows of one array all get one."""
        return self._batch is None

    @property
    def sequences(self) -> SequenceOf[Sequence]:
        """Those in it, in the order of their rows."""
        return self._sequences

    def join(self, sequences: SequenceOf[Sequence], caches: SequenceOf[Caches]) -> None:
        """Take sequences in, with the caches in which they were read."""
        if not sequences:
            return
        for sequence, own in zip(self._sequences, self._single, strict=False):
            self._catch_up(sequence, own)
        self._sequences += sequences
        if self._batch is None:
            self._single += caches
            if self._joint and len(self._single) > 1:
                self._batch, self._single = merged(self._single), []
        else:
            for ours, theirs in zip(self._batch, merged(caches), strict=True):
                ours.extend(theirs)

    def leave(self, sequence: Sequence, *, keep: bool) -> Caches | None:
        """Let a sequence go.

        Args:
            sequence: It is in the batch.
            keep: Whether its caches are wanted, which takes a copy.

        Returns:
            Its caches, if they are wanted.
        """
        row = self._sequences.index(sequence)
        del self._sequences[row]
        if self._batch is None:
            caches = self._single.pop(row)
            return caches if keep else None
        kept = None
        if keep:
            kept = [cache.extract(row) for cache in self._batch]
            # At once, or they would hold on to the memory of the whole batch.
            evaluate(kept)
        rest = [place for place in range(len(self._sequences) + 1) if place != row]
        if rest:
            for cache in self._batch:
                cache.filter(rest)
        else:
            self._batch = None
        return kept

    def launch(self) -> Launched | None:
        """Begin to compute the next token of every sequence."""
        if not self._sequences:
            return None
        if self._batch is not None:
            last = mx.array([sequence.tokens[-1] for sequence in self._sequences])
            logits = self._forward(last[:, None], self._batch)
        else:
            rows = [
                self._forward(mx.array([sequence.tokens[sequence.in_memory :].tolist()]), caches)
                for sequence, caches in zip(self._sequences, self._single, strict=True)
            ]
            logits = rows[0] if len(rows) == 1 else mx.concatenate(rows)
        best, top = mx.argmax(logits, axis=-1), mx.max(logits, axis=-1)
        mx.async_eval(logits, best, top)  # type: ignore[no-untyped-call] # mlx's stubs lack it
        for sequence in self._sequences:
            sequence.in_memory = len(sequence.tokens)
        return Launched(tuple(self._sequences), logits, best, top)

    def _forward(self, tokens: Any, caches: Caches) -> Any:
        return self._model(tokens, cache=caches)[:, -1, :]

    def _catch_up(self, sequence: Sequence, caches: Caches) -> None:
        """Read what a sequence took in one go, because only single rows may be ahead."""
        if sequence.unread:
            tokens = sequence.tokens[sequence.in_memory : -1]
            self._model(mx.array([tokens.tolist()]), cache=caches)
            evaluate(caches)
            sequence.in_memory += len(tokens)
