"""A sequence on llama.cpp."""

from __future__ import annotations

import attrs

from stoker.token_stream import TokenStream
from stoker_llama_cpp.speculation import Speculation

NO_SLOT = -1


@attrs.define(eq=False)
class Sequence(TokenStream):
    """A token stream of which a step computes what is not in memory yet.

    That is most of a prompt at first, one token at a time later, and everything again after the
    sequence had to give its memory to another one.
    """

    slot: int = attrs.field(default=NO_SLOT, kw_only=True)
    """llama.cpp's id of the sequence while it runs."""
    borders: list[int] = attrs.field(factory=list, kw_only=True)
    """Lengths at which a chunk must end, so that the state there can be saved."""
    jumped: int = attrs.field(default=0, kw_only=True)
    """Last tokens that were not sampled, because the constraint left no choice."""
    speculation: Speculation | None = attrs.field(default=None, kw_only=True)
    """Guesses what comes next; None when that is switched off."""

    @property
    def pending(self) -> int:
        """Tokens that are known but not in memory; at least one while the sequence lives."""
        return len(self.tokens) - self.in_memory

    @property
    def answers(self) -> bool:
        """Whether all but the newest tokens are in memory, so that it goes on with its answer."""
        return self.pending <= 1 + self.jumped

    @property
    def unbroken(self) -> int:
        """Tokens that can be computed at once: those that are pending, up to the next border."""
        ahead = (border for border in self.borders if border > self.in_memory)
        return min(self.pending, next(ahead, len(self.tokens)) - self.in_memory)

    def start(self, slot: int, cached: int, borders: list[int]) -> None:
        """Run in a slot that has the first tokens in memory."""
        self.slot, self.borders = slot, borders
        self.begin(cached)
