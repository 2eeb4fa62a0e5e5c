"""How long a step takes, as far as the steps before tell."""

from __future__ import annotations

SLOWER = 0.8
"""By how much of its own time reading prompts may lengthen a step that answers wait for."""
UNNOTICED_S = 0.005
"""So much longer a step may be in any case."""
LEAST_TOKENS = 2
"""Of prompts in a step, or they would never be read."""
LONGEST_READ_S = 0.2
"""How long a step should take in which nobody waits for an answer: new and cancelled ones do."""
FIRST_READ_TOKENS = 64
LEAST_READ_TOKENS = 16
"""Fewer cost almost as much time, because all weights are read for them all the same."""

# The price is that of small steps: large ones are computed in another way.
_FEW_TOKENS = 32
_WEIGHT = 0.1
# On a processor; a GPU shows soon that its price is a small part of it.
_FIRST_PRICE = 0.25
_PRICES = (0.001, 1.0)
# Steps must have differed by about so many tokens for the price to show.
_LEAST_VARIANCE = 0.5
# A step that took longer or shorter by more than this was disturbed.
_OUTLIER = 2.0


class Pace:
    """Learns how fast this machine runs this model.

    A step with few tokens takes the time of one and a price for each more, which on a processor
    is a fifth to a half of that time, and on a GPU next to nothing. Time and price are learned
    from the steps, as a line through the latest of them.

    Attributes:
        token_s: The time of a step with one token.
        price: What one token more costs, as a part of `token_s`.
    """

    def __init__(self) -> None:
        self.token_s = 0.0
        self.price = _FIRST_PRICE
        self._steps = 0
        self._mean_tokens = 0.0
        self._mean_s = 0.0
        self._variance = 0.0
        self._covariance = 0.0
        self._read_token_s = 0.0
        self._reads = FIRST_READ_TOKENS

    def cost(self, tokens: float) -> float:
        """What a step of few tokens takes, in times of a step with one."""
        return 1 + self.price * (tokens - 1)

    def beside(self, answers: int) -> int:
        """How many tokens of prompts a step may have beside tokens of answers."""
        cost = self.cost(answers)
        longer = SLOWER * cost
        if self.token_s:
            longer = max(longer, UNNOTICED_S / self.token_s)
        tokens = longer / self.price
        if self._read_token_s:
            tokens = min(tokens, longer * self.token_s / self._read_token_s)
        return max(LEAST_TOKENS, int(tokens))

    def alone(self) -> int:
        """How many tokens of prompts a step may have when there are no answers.

        It changes in steps of two, and seldom. A number that followed each measurement would
        split the same prompt in another way each time, and then the same seed would not give the
        same answer.
        """
        return self._reads

    def observe(self, answers: int, reads: int, duration_s: float) -> None:
        """Learn from a step.

        Args:
            answers: Tokens of answers and of drafts.
            reads: Tokens of prompts.
            duration_s: How long it took.
        """
        tokens = answers + reads
        if tokens <= _FEW_TOKENS:
            self._learn(tokens, duration_s)
        if reads >= LEAST_READ_TOKENS:
            token_s = duration_s / tokens
            if self._read_token_s:
                token_s = self._read_token_s + _WEIGHT * (token_s - self._read_token_s)
            self._read_token_s = token_s
        if not answers:
            self._resize(reads, duration_s)

    def _learn(self, tokens: int, duration_s: float) -> None:
        # The first steps are averaged: one of them alone may be far off.
        self._steps += 1
        weight = max(_WEIGHT, 1 / self._steps)
        if not self.token_s:
            self._mean_tokens, self._mean_s = tokens, duration_s
        expected_s = self._mean_s * self.cost(tokens) / self.cost(self._mean_tokens)
        seen_s = min(max(duration_s, expected_s / _OUTLIER), expected_s * _OUTLIER)
        # Means, variance and covariance with weights that decay.
        more, longer_s = tokens - self._mean_tokens, seen_s - self._mean_s
        self._mean_tokens += weight * more
        self._mean_s += weight * longer_s
        self._variance = (1 - weight) * (self._variance + weight * more * more)
        self._covariance = (1 - weight) * (self._covariance + weight * more * longer_s)
        if self._variance > _LEAST_VARIANCE:
            slope_s = self._covariance / self._variance
            start_s = max(self._mean_s - slope_s * (self._mean_tokens - 1), slope_s)
            price = (
                min(max(slope_s / start_s, _PRICES[0]), _PRICES[1]) if start_s > 0 else _PRICES[0]
            )
            self.price += weight * (price - self.price)
        self.token_s = self._mean_s / self.cost(self._mean_tokens)

    def _resize(self, reads: int, duration_s: float) -> None:
        """Halve or double the size of reads, when a whole one took far from the time it should."""
        if reads < self._reads:
            return
        if duration_s > LONGEST_READ_S:
            self._reads = max(LEAST_READ_TOKENS, self._reads // 2)
        elif duration_s < LONGEST_READ_S / 3:
            self._reads *= 2
