"""The mask: which tokens a constraint allows at one step, and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stoker.errors import InvalidRequestError

# Below this part of the vocabulary it is quicker to pick the allowed logits than to copy all.
_FEW = 1 / 16

ALL_BANNED = (
    "No token is left to sample: the constraint allows only tokens that logit_bias bans."
)

Tokens = npt.NDArray[np.integer[Any]]


class Mask:
    """The tokens that a sequence may take next, by the bits that its constraint gave."""

    def __init__(self, bits: bytes, *, vocabulary_size: int) -> None:
        """Take over the bits; see `stoker.engine.TokenConstraint.mask`."""
        self._bits = bits
        self._size = vocabulary_size

    def tokens(self, *, banned: Sequence[int] = ()) -> Tokens:
        """The allowed tokens, in order, without those that are banned otherwise.

        Raises:
            InvalidRequestError: There are none.
        """
        allowed = self._expanded()
        if banned:
            allowed[list(banned)] = False
        tokens = np.flatnonzero(allowed)
        if not len(tokens):
            raise InvalidRequestError(
                ALL_BANNED if banned else "The constraint allows no token.",
                param="logit_bias" if banned else None,
            )
        return tokens

    def best(self, logits: npt.NDArray[np.float32]) -> int:
        """The allowed token with the best logit, of all logits; of equal ones the first.

        Raises:
            InvalidRequestError: No token is allowed.
        """
        allowed = self._expanded()
        count = np.count_nonzero(allowed)
        if count <= self._size * _FEW:
            tokens = self.tokens()
            return int(tokens[logits[tokens].argmax()])
        return int(np.where(allowed, logits, -np.inf).argmax())

    def _expanded(self) -> npt.NDArray[np.bool_]:
        data = np.frombuffer(self._bits, dtype=np.uint8)
        return np.unpackbits(data, count=self._size, bitorder="little").view(np.bool_)
