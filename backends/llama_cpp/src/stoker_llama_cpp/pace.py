"""How long a step takes, as far as the steps before tell."""

from __future__ import annotations

SLOWER = 0.8
"""By how much of its own time a step may be lengthened that several wait for: by prompts, and by
guesses of what one of them says."""
UNNOTICED_S = 0.005
"""So much longer a step may be in any case."""
LEAST_TOKENS = 1
"""Of prompts in a step, whatever it costs, or they would never be read."""
STEPS_BETWEEN_PLAIN_ONES = 32
"""Then a step goes without prompts, to show what they cost: answers become dearer meanwhile."""
LONGEST_READ_S = 0.2
"""How long a step should take in which nobody waits for an answer: new and cancelled ones do."""
FIRST_READ_TOKENS = 64
"""With fewer, llama.cpp computes attention row by row on a processor, which takes three times as
long for each token (GGML_FA_TILE_Q in ggml/src/ggml-cpu/common.h)."""
LONGEST_FEW_S = 1.0
"""How long a step may take before it has fewer than those: a large model needs them not so much."""
LEAST_READ_TOKENS = 16
"""Fewer cost almost as much time, because all weights are read for them all the same."""

# The price is that of small steps: large ones are computed in another way.
_FEW_TOKENS = 32
_WEIGHT = 0.1
_RARE_WEIGHT = 0.5
# What reading takes changes while a prompt is read: the more of it is there, the more attention.
_READ_WEIGHT = 0.3
# On a processor; a GPU shows soon that its price is a small part of it.
_FIRST_PRICE = 0.25
_PRICES = (0.001, 1.0)
# Steps must have differed by about so many tokens for the price to show.
_LEAST_VARIANCE = 0.5
# A step with one token is then a small part of a read.
_MUCH = 10
# Half of a read must take less than this part of a whole one, or it was not the tokens that took
# the time. So many reads are whole then, before halving is tried again.
_HALF = 0.8
_WHOLE_READS = 16
# A step that took longer or shorter by more than this was disturbed.
_OUTLIER = 2.0


class Pace:
    """Learns how fast this machine runs this model.

    A step with few tokens takes the time of one and a price for each more, which on a processor
    is a fifth to a half of that time, and on a GPU next to nothing. Time and price are learned
    from the steps without prompts, as a line through the latest of them. What a token of a prompt
    takes is another matter, because it looks at all tokens before it: that is learned from the
    steps in which prompts are read, apart for small pieces and for large ones, of which a token
    takes less.

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
        self._block_token_s = 0.0
        self._reads = FIRST_READ_TOKENS
        # What the read took after which reads were halved; 0 when that was long ago.
        self._halved_s = 0.0
        self._whole_reads = 0
        self._mixed = 0

    def cost(self, tokens: float) -> float:
        """What a step of few tokens takes, in times of a step with one."""
        return 1 + self.price * (tokens - 1)

    def beside(self, answers: int, *, crowded: bool = False) -> int:
        """How many tokens of prompts a step may have beside those of answers; now and then none.

        Args:
            answers: Tokens of answers in the step.
            crowded: Whether fewer sequences answer than wait for their first token. Then a step
                is as large as one without answers: large pieces are read in half of the time.
        """
        if self._mixed == STEPS_BETWEEN_PLAIN_ONES:
            return 0
        longer = self._longer(answers)
        tokens = longer / self._read_price
        if self._block_token_s:
            block = longer * self.token_s / self._block_token_s
            if answers + block >= FIRST_READ_TOKENS:
                tokens = max(tokens, block)
        if crowded:
            tokens = max(tokens, self._reads - answers)
        return max(LEAST_TOKENS, int(tokens))

    def guesses(self, answers: int, reads: int) -> int:
        """How many guesses a step may have that others wait for as well.

        Args:
            answers: Tokens of answers in the step.
            reads: Tokens of prompts in it, which come first.
        """
        left = self._longer(answers) - reads * self._read_price
        return max(0, int(left / self.price))

    def alone(self) -> int:
        """How many tokens of prompts a step may have when there are no answers.

        It changes in steps of two, and seldom. A number that followed each measurement would
        split the same prompt in another way each time, and then the same seed would not give the
        same answer.
        """
        return self._reads

    @property
    def apart(self) -> bool:
        """Whether prompts are read in steps of their own where it comes to speed.

        On a processor the time of a read is that of its tokens, and answers in the same step make
        each of them dearer: attention goes over blocks of 64 tokens, and looks for each block at
        all that any of them sees. Where a token costs little, the step saved is worth more.
        """
        return self.price * self._reads > _MUCH

    def observe(self, answers: int, reads: int, duration_s: float) -> None:
        """Learn from a step.

        Args:
            answers: Tokens of answers and of drafts.
            reads: Tokens of prompts.
            duration_s: How long it took.
        """
        if not reads:
            if answers <= _FEW_TOKENS:
                self._learn(answers, duration_s)
            self._mixed = 0
            return
        if answers:
            self._mixed += 1
        else:
            self._resize(reads, duration_s)
        if answers and not self.token_s:
            return
        reading_s = duration_s - (self.cost(answers) * self.token_s if answers else 0.0)
        if answers + reads >= FIRST_READ_TOKENS:
            self._block_token_s = _blended(self._block_token_s, reading_s / reads)
        elif answers or reads >= LEAST_READ_TOKENS:
            known_s = self._read_token_s or self.price * self.token_s
            self._read_token_s = _blended(known_s, reading_s / reads)

    def _longer(self, answers: int) -> float:
        """By how much a step may be lengthened, in times of a step with one token."""
        longer = SLOWER * self.cost(answers)
        return max(longer, UNNOTICED_S / self.token_s) if self.token_s else longer

    @property
    def _read_price(self) -> float:
        """What a token of a prompt costs, as a part of `token_s`."""
        if self.token_s and self._read_token_s:
            return self._read_token_s / self.token_s
        if self.token_s and self._block_token_s:
            return max(self.price, self._block_token_s / self.token_s)
        return self.price

    def _learn(self, tokens: int, duration_s: float) -> None:
        # The first steps are averaged: one of them alone may be far off.
        self._steps += 1
        weight = max(_WEIGHT, 1 / self._steps)
        if self._mixed:
            # Long ago is the step before it, so this one tells more.
            weight = max(_RARE_WEIGHT, weight)
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
        """Halve or double the size of reads, when a whole one took far from the time it should.

        While another program has a core, threads that wait for each other take a long time for
        few tokens, too. Then half of a read takes as long as a whole one, and it stays whole.
        """
        if reads < self._reads:
            return
        if duration_s <= _longest_s(self._reads):
            self._halved_s = 0.0
            self._whole_reads = 0
            if duration_s < _longest_s(2 * self._reads) / 3:
                self._reads *= 2
        elif duration_s > _HALF * self._halved_s > 0:
            self._reads *= 2
            self._halved_s = 0.0
            self._whole_reads = _WHOLE_READS
        elif self._whole_reads:
            self._whole_reads -= 1
        elif self._reads > LEAST_READ_TOKENS:
            self._halved_s = duration_s
            self._reads = max(LEAST_READ_TOKENS, self._reads // 2)


def _blended(known_s: float, seen_s: float) -> float:
    """What is known of a token's time, after it was seen once more; 0 is nothing."""
    if not known_s:
        return seen_s
    seen_s = min(max(seen_s, known_s / _OUTLIER), known_s * _OUTLIER)
    return known_s + _READ_WEIGHT * (seen_s - known_s)


def _longest_s(reads: int) -> float:
    return LONGEST_READ_S if reads > FIRST_READ_TOKENS else LONGEST_FEW_S
