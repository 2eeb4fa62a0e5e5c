"""The mask: which tokens a constraint allows at one step, and the best of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stoker.errors import InvalidRequestError
from stoker.logits.peaks import Logits

# Below this part of the vocabulary it is quicker to pick the allowed logits than to copy all.
_FEW = 1 / 16

Tokens = npt.NDArray[np.intp]


class Mask:
    """The tokens that a sequence may take next, by the bits that its constraint gave."""

    def __init__(self, bits: bytes, *, vocabulary_size: int) -> None:
        """Take over the bits; see `stoker.engine.TokenConstraint.mask`."""
        self._bits = bits
        self._size = vocabulary_size

    def among(self, logits: Logits) -> tuple[Logits, Tokens | None]:
        """What a token is chosen from.

        Args:
            logits: Of the whole vocabulary.

        Returns:
            The logits of the allowed tokens, and those tokens. When they are many, all logits, of
            which those that are not allowed are minus infinity, and None.

        Raises:
            InvalidRequestError: No token is allowed.
        """
        allowed = self._expanded()
        count = np.count_nonzero(allowed)
        if not count:
            raise InvalidRequestError("The constraint allows no token.")
        if count > self._size * _FEW:
            return np.where(allowed, logits, -np.inf), None
        tokens = np.flatnonzero(allowed)
        return logits[tokens], tokens

    def best(self, logits: Logits) -> int:
        """The allowed token with the best logit, of all logits; of equal ones the first.

        Raises:
            InvalidRequestError: No token is allowed.
        """
        among, tokens = self.among(logits)
        place = int(among.argmax())
        return place if tokens is None else int(tokens[place])

    def _expanded(self) -> npt.NDArray[np.bool_]:
        data = np.frombuffer(self._bits, dtype=np.uint8)
        return np.unpackbits(data, count=self._size, bitorder="little").view(np.bool_)
