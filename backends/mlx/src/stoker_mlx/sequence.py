"""A sequence on MLX."""

from __future__ import annotations

import attrs

from stoker.token_stream import TokenStream


@attrs.define(eq=False)
class Sequence(TokenStream):
    """A token stream of which all tokens but the last are read first.

    The last one is computed together with those of the other sequences, and gives the next.
    """

    @property
    def unread(self) -> int:
        """Tokens that have to be read before the last one can be computed."""
        return len(self.tokens) - 1 - self.in_memory
