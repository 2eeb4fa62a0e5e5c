"""Truncation: which tokens a distribution keeps, and drawing one of them.

Nothing here looks at a token twice that cannot be drawn. The whole vocabulary is compared with a
threshold, which a processor does with many logits at once, and only the few tokens above it are
sorted. The threshold is one below which nothing can be kept, so the result is exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from stoker.logits.peaks import Indices, Logits, Peaks
from stoker.sampling import SamplingParams

# The mass of a whole vocabulary is summed up in pieces, so that one of them can be drawn first.
_PIECE = 512

Weights = npt.NDArray[np.floating[Any]]


class Truncation:
    """A sequence's temperature, top-k, top-p and min-p.

    Temperature divides the logits. Of the tempered distribution, top-k keeps the k best tokens, of
    equal ones the first; top-p keeps the smallest set of best tokens with that part of what top-k
    has left; min-p keeps tokens that have that part of the best one's probability.
    """

    def __init__(self, params: SamplingParams) -> None:
        """Take over the parameters, which are complete; the temperature is not 0."""
        self._temperature = params.temperature or 1.0
        self._top_k = params.top_k or 0
        self._top_p = 1.0 if params.top_p is None else params.top_p
        self._min_p = params.min_p or 0.0

    def draw(self, logits: Logits, best: np.float32, uniform: float) -> int:
        """Draw a token.

        Tokens take their parts of the line from 0 to 1 in the order of their numbers and not of
        their probabilities. So the same number gives the same token also when two tokens that
        are all but equally likely change places.

        Args:
            logits: At least one is finite, none is above all numbers.
            best: The largest of them.
            uniform: A random number, at least 0 and below 1.

        Returns:
            The token's place in `logits`.
        """
        if 0 < self._top_k < len(logits):
            kept, weights = self._best(logits, best)
        elif self._top_p < 1:
            kept, weights = self._nucleus(logits, best)
        elif self._min_p:
            # A float of 32 bits, so that logits are compared as they are.
            floor = np.float32(best + self._temperature * math.log(self._min_p))
            kept = (logits >= floor).nonzero()[0]
            weights = self._weights(logits[kept], best)
        else:
            return _drawn_of_all(self._weights(logits, best), uniform)
        return int(kept[_place(weights, uniform)])

    def _best(self, logits: Logits, best: np.float32) -> tuple[Indices, Weights]:
        """Top-k, and then the others, with the weights of what is kept."""
        row = Peaks(logits)
        floor = row.floor_of(self._top_k)
        places = row.above(floor) if floor > -np.inf else (logits > -np.inf).nonzero()[0]
        below = best - logits[places]
        # Stable, so that of equal tokens the first ones are kept.
        order = below.argsort(kind="stable")[: self._top_k]
        below = below[order]
        weights = np.exp(below / -self._temperature, dtype=np.float64)
        return self._cut(places[order], weights, float(weights.sum()))

    def _nucleus(self, logits: Logits, best: np.float32) -> tuple[Indices, Weights]:
        """Top-p of the whole vocabulary, and min-p."""
        weights = self._weights(logits, best)
        total = float(weights.sum(dtype=np.float64))
        # All tokens that are lighter than this have less than what top-p leaves out; a little less
        # still, because floats of 32 bits are rounded.
        floor = max((1 - self._top_p) * total / len(logits), self._min_p) * (1 - 1e-6)
        (places,) = (weights >= floor).nonzero()
        places = places[(-weights[places]).argsort(kind="stable")]
        return self._cut(places, weights[places].astype(np.float64), total)

    def _cut(self, places: Indices, weights: Weights, total: float) -> tuple[Indices, Weights]:
        """Apply top-p and min-p to tokens that are sorted, best first; gives them in order."""
        count = len(places)
        if self._top_p < 1:
            count = min(count, int(weights.cumsum().searchsorted(self._top_p * total)) + 1)
        if self._min_p:
            # The best weight is 1.
            count = min(count, int((-weights).searchsorted(-self._min_p, side="right")))
        order = places[:count].argsort()
        return places[order], weights[order]

    def _weights(self, logits: Weights, best: np.float32) -> Weights:
        """Probabilities as multiples of the best token's."""
        weights = logits - best
        weights /= self._temperature
        np.exp(weights, out=weights)
        return weights


def _drawn_of_all(weights: Weights, uniform: float) -> int:
    """Draw by the weights of a whole vocabulary: first a piece of it, then in this piece."""
    pieces = np.add.reduceat(weights, np.arange(0, len(weights), _PIECE))
    ends = pieces.cumsum(dtype=np.float64)
    target = uniform * ends[-1]
    piece = min(int(ends.searchsorted(target, side="right")), len(ends) - 1)
    start = piece * _PIECE
    within = weights[start : start + _PIECE]
    left = (target - (ends[piece] - pieces[piece])) / pieces[piece]
    return start + _place(within, min(max(left, 0.0), 1.0))


def _place(weights: Weights, uniform: float) -> int:
    """The place that a number between 0 and 1 falls on when each takes its weight of the line."""
    ends = weights.cumsum(dtype=np.float64)
    place = int(ends.searchsorted(uniform * ends[-1], side="right"))
    if place == len(ends):
        # Rounding has pushed the number to the very end.
        place = int(np.flatnonzero(weights)[-1])
    return place
