"""How much of prompts a step may read before those who wait for tokens notice."""

from __future__ import annotations

import math

BESIDE_ANSWERS_S = 0.2
"""How long reading may hold up the next token of running answers."""
LEAST_TOKENS = 16
"""Fewer cost almost as much time, because all weights are read for them all the same."""
_FIRST_TOKENS = 64
_WEIGHT = 0.3


class Pace:
    """Learns how fast this machine reads this model's prompts.

    The same number of tokens takes a GPU a moment and a small processor seconds, so the limit of
    a step is a time, and the tokens that fit into it are measured.
    """

    def __init__(self) -> None:
        self._token_s = math.nan

    def prompt_tokens(self) -> int:
        """How many tokens of prompts the next step may have, at least `LEAST_TOKENS`."""
        if math.isnan(self._token_s):
            return _FIRST_TOKENS
        return max(LEAST_TOKENS, int(BESIDE_ANSWERS_S / self._token_s))

    def observe(self, prompt_tokens: int, duration_s: float) -> None:
        """Learn from a step that has ended; one that read few tokens tells nothing."""
        if prompt_tokens < LEAST_TOKENS:
            return
        token_s = max(duration_s, 1e-6) / prompt_tokens
        if math.isnan(self._token_s):
            self._token_s = token_s
        else:
            self._token_s += _WEIGHT * (token_s - self._token_s)
