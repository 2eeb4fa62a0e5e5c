"""Prompt lookup: where an answer's last tokens were met before."""

from __future__ import annotations

from array import array

GRAMS = (6, 3)
"""How many of the last tokens must be the same; a longer match is a better guess."""


class PromptLookup:
    """Finds the places in a sequence that came before, prompt and answer alike.

    Who edits a file or quotes a source writes again what is in the prompt. So where the last
    tokens were met before, what followed them then is a good guess; the latest time counts.
    """

    def __init__(self) -> None:
        # Where each run of tokens ended the last time, by its length.
        self._ends: tuple[dict[bytes, int], ...] = tuple({} for _ in GRAMS)
        self._indexed = 0

    def find(self, tokens: array[int]) -> tuple[int, int] | None:
        """Find where the last tokens were met before.

        Args:
            tokens: Those of the last call, and more.

        Returns:
            How they were found, as an index of `GRAMS`, and the place of the token that followed;
            None when they are new.
        """
        self._index(tokens)
        for kind, (size, ends) in enumerate(zip(GRAMS, self._ends, strict=True)):
            place = ends.get(tokens[-size:].tobytes())
            if place is not None:
                return kind, place
        return None

    def _index(self, tokens: array[int]) -> None:
        """Note where the runs end that have a token behind them."""
        # As bytes, which are smaller than tuples and quicker to cut.
        data, width = tokens.tobytes(), tokens.itemsize
        for size, ends in zip(GRAMS, self._ends, strict=True):
            for end in range(max(size, self._indexed), len(tokens)):
                ends[data[(end - size) * width : end * width]] = end
        self._indexed = len(tokens)
