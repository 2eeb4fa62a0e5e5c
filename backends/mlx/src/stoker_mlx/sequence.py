"""One token stream, from its submission to its end."""

from __future__ import annotations

from array import array

import attrs

from stoker.engine import SequenceJob
from stoker.logits.sampler import Sampler


@attrs.define(eq=False)
class Sequence:
    """A sequence's state. Prompt and answer are one row of tokens.

    All of its tokens but the last are read first; the last one is computed together with those of
    the other sequences, and gives the next.
    """

    job: SequenceJob
    order: int
    """Counts submissions."""
    tokens: array[int] = attrs.field(init=False)
    """The prompt and the answer so far."""
    in_memory: int = 0
    """How many of the tokens are in the KV cache."""
    awaited: Sequence | None = None
    """Reads a prefix that this one waits for."""
    cached: int = 0
    """Tokens of the prompt that were in memory when the sequence first started."""
    told: int = 0
    """How much of the prompt was last said to be in memory."""
    preemptions: int = 0
    """How often it had to give its memory to others since the last that was told of it."""
    scored: int = 0
    """Tokens of the prompt of which the log probabilities were told, when they are wanted."""
    sampler: Sampler | None = None
    """None for a sequence that simply takes the best token."""

    def __attrs_post_init__(self) -> None:
        self.tokens = array("i", self.job.prompt)

    @property
    def rank(self) -> tuple[int, int]:
        """Sorts sequences: the least goes first and is the last to be put back."""
        return (-self.job.priority, self.order)

    @property
    def unread(self) -> int:
        """Tokens that have to be read before the last one can be computed."""
        return len(self.tokens) - 1 - self.in_memory

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

    def start(self, cached: int) -> None:
        """Run, with the first tokens in memory."""
        self.in_memory = cached
        # What a sequence finds again after a wait is its own work.
        if not self.told and not self.generated:
            self.cached = cached
