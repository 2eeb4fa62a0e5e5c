"""One token stream, from its submission to its end: what engines that batch need to know of it."""

from __future__ import annotations

from array import array

import attrs

from stoker.engine import SequenceJob
from stoker.logits.sampler import Sampler


@attrs.define(eq=False)
class TokenStream:
    """The state of a sequence that does not depend on the engine. Prompt and answer are one row.

    An engine derives its own class from it, which says where the tokens in memory are.
    """

    job: SequenceJob
    order: int
    """Counts submissions."""
    tokens: array[int] = attrs.field(init=False)
    """The prompt and the answer so far."""
    in_memory: int = attrs.field(default=0, kw_only=True)
    """How many of the tokens are in the KV cache."""
    cached: int = attrs.field(default=0, kw_only=True)
    """Tokens of the prompt that were in memory when the sequence first started."""
    told: int = attrs.field(default=0, kw_only=True)
    """How much of the prompt was last said to be in memory."""
    preemptions: int = attrs.field(default=0, kw_only=True)
    """How often it had to give its memory to others since the last that was told of it."""
    scored: int = attrs.field(default=0, kw_only=True)
    """Tokens of the prompt of which the log probabilities were told, when they are wanted."""
    awaited: TokenStream | None = attrs.field(default=None, kw_only=True)
    """Reads a prefix that this one waits for."""
    sampler: Sampler | None = attrs.field(default=None, kw_only=True)
    """None for a sequence that simply takes the best token."""

    def __attrs_post_init__(self) -> None:
        self.tokens = array("i", self.job.prompt)

    @property
    def rank(self) -> tuple[int, int]:
        """Sorts sequences: the least goes first and is the last to be put back."""
        return (-self.job.priority, self.order)

    @property
    def generated(self) -> int:
        """Tokens of the answer so far."""
        return len(self.tokens) - len(self.job.prompt)

    @property
    def scores(self) -> bool:
        """Whether the log probabilities of its prompt are wanted, and it still reads that."""
        return self.job.prompt_logprobs is not None and not self.generated

    @property
    def untold_cached(self) -> int:
        """`cached`, for the first time that something is told of the prompt; later 0."""
        return 0 if self.told else self.cached

    @property
    def left(self) -> int:
        """Tokens that may still be sampled."""
        return self.job.max_tokens - self.generated

    @property
    def final_length(self) -> int:
        """Tokens that the sequence can come to have in memory."""
        return len(self.job.prompt) + self.job.max_tokens

    def begin(self, cached: int) -> None:
        """Run, with the first tokens in memory."""
        self.in_memory = cached
        # What a sequence finds again after a wait is its own work.
        if not self.told and not self.generated:
            self.cached = cached
