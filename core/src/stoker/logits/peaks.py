"""Peaks: the largest logits of the pieces of a row, which tell where the large ones are."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

_PIECE = 512


class Peaks:
    """A row of logits that is read once, to find the largest one of each piece of it.

    To compare a whole vocabulary with a threshold and to list what is above takes longer than to
    find these, and few pieces have something above a threshold that matters.

    """

    def __init__(self, logits: Logits) -> None:
        """Read a row, which has a logit at least and lies in memory without gaps."""
        self._logits = logits
        self._peaks: Logits = np.maximum.reduceat(logits, _starts(len(logits)))

    def floor_of(self, count: int) -> np.float32:
        """A number that at least so many logits are not below, and not many more.

        Args:
            count: Not more than there are logits.
        """
        # As many peaks are not below it, each of which is a logit.
        row = self._peaks if 2 * count <= len(self._peaks) else self._logits
        floor: np.float32 = np.partition(row, -count)[-count]
        return floor

    def above(self, floor: np.float32) -> Indices:
        """The places of the logits that are not below a number, in order."""
        (pieces,) = (self._peaks >= floor).nonzero()
        whole = len(self._logits) // _PIECE
        if 2 * len(pieces) > len(self._peaks) or pieces[-1:] == whole:
            return (self._logits >= floor).nonzero()[0]
        values = self._logits[: whole * _PIECE].reshape(-1, _PIECE)[pieces]
        (found,) = (values >= floor).ravel().nonzero()
        return pieces[found // _PIECE] * _PIECE + found % _PIECE


@functools.lru_cache(16)
def _starts(size: int) -> Indices:
    return np.arange(0, size, _PIECE)
