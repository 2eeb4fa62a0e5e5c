"""How many tokens of a prompt to read in one go, as far as the reads before tell."""

from __future__ import annotations

SLOWER = 0.8
"""By how much of its own time reading prompts may lengthen a step that answers wait for."""
UNNOTICED_S = 0.005
"""So much longer a step may be in any case."""
LONGEST_READ_S = 0.2
"""How long a read should take beside which there are no answers: newcomers wait for it."""
LEAST_TOKENS = 8
FIRST_TOKENS = 64

_WEIGHT = 0.2


class Pace:
    """Learns how large a read may be, alone and beside answers.

    The sizes change in steps of two, when a whole read took far from the time that it should. A
    size that followed each measurement would split the same prompt in another way each time, and
    the last digits of the numbers depend on how it is split.
    """

    def __init__(self, most_tokens: int) -> None:
        """Know nothing yet.

        Args:
            most_tokens: The largest read.
        """
        self._most = most_tokens
        self._alone = min(FIRST_TOKENS, most_tokens)
        self._beside = min(LEAST_TOKENS, most_tokens)
        self._step_s = 0.0

    def tokens(self, *, beside: bool) -> int:
        """How many tokens to read.

        Args:
            beside: Whether answers wait for it.
        """
        return self._beside if beside else self._alone

    def answered(self, duration_s: float) -> None:
        """Learn from a step of answers, reads not included."""
        if not self._step_s:
            self._step_s = duration_s
        # One step that was held up by something else says little.
        seen_s = min(duration_s, 4 * self._step_s)
        self._step_s += _WEIGHT * (seen_s - self._step_s)

    def read(self, tokens: int, duration_s: float, *, beside: bool) -> None:
        """Learn from a read."""
        if tokens < self.tokens(beside=beside):
            return
        if beside:
            limit_s = max(SLOWER * self._step_s, UNNOTICED_S)
            self._beside = self._resized(tokens, duration_s, limit_s)
        else:
            self._alone = self._resized(tokens, duration_s, LONGEST_READ_S)

    def _resized(self, tokens: int, duration_s: float, limit_s: float) -> int:
        if duration_s > limit_s:
            return max(min(LEAST_TOKENS, self._most), tokens // 2)
        if duration_s < limit_s / 3:
            return min(self._most, tokens * 2)
        return tokens
