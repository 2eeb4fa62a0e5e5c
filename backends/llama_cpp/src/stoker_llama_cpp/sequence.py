"""One token stream, from its submission to its end."""

from __future__ import annotations

from array import array

import attrs

from stoker.engine import SequenceJob
from stoker.logits.sampler import Sampler
from stoker_llama_cpp.speculation import Speculation

NO_SLOT = -1


@attrs.define(eq=False)
class Sequence:
    """A sequence's state. Prompt and answer are one row of tokens.

    What is not in memory yet is computed next: most of a prompt at first, one token at a time
    later, and everything again after the sequence had to give its memory to another one.
    """

    job: SequenceJob
    order: int
    """Counts submissions."""
    tokens: array[int] = attrs.field(init=False)
    """The prompt and the answer so far."""
    in_memory: int = 0
    """How many of the tokens are in the KV cache."""
    slot: int = NO_SLOT
    """llama.cpp's id of the sequence while it runs."""
    borders: list[int] = attrs.field(factory=list)
    """Lengths at which a chunk must end, so that the state there can be saved."""
    awaited: Sequence | None = None
    """Reads a prefix that this one waits for."""
    cached: int = 0
    """Tokens of the prompt that were in the KV cache when the sequence first started."""
    told: int = 0
    """How much of the prompt was last said to be in memory."""
    preemptions: int = 0
    """How often it had to give its memory to others since the last that was told of it."""
    jumped: int = 0
    """Last tokens that were not sampled, because the constraint left no choice."""
    speculation: Speculation | None = None
    """Guesses what comes next; None when that is switched off."""
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
    def pending(self) -> int:
        """Tokens that are known but not in memory; at least one while the sequence lives."""
        return len(self.tokens) - self.in_memory

    @property
    def answers(self) -> bool:
        """Whether all but the newest tokens are in memory, so that it goes on with its answer."""
        return self.pending <= 1 + self.jumped

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

    @property
    def unbroken(self) -> int:
        """Tokens that can be computed at once: those that are pending, up to the next border."""
        ahead = (border for border in self.borders if border > self.in_memory)
        return min(self.pending, next(ahead, len(self.tokens)) - self.in_memory)

    def start(self, slot: int, cached: int, borders: list[int]) -> None:
        """Run in a slot that has the first tokens in memory."""
        self.slot, self.in_memory, self.borders = slot, cached, borders
        # What a sequence finds again after a wait is its own work.
        if not self.told and not self.generated:
            self.cached = cached
