"""Speculation: guessing an answer's next tokens, as far as it pays."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from stoker_llama_cpp.prompt_lookup import GRAMS, PromptLookup

MAX_DRAFT_TOKENS = 15
"""More would cost more than they bring, because all behind a wrong one is for nothing. With the
token before them they make a step of 16, and on a processor a step of 17 takes a fifth longer."""
# By kind: what a long match is followed by is mostly right, until it is seen to be otherwise.
_FIRST_ODDS = (0.8, 0.5, 0.5)
_WEIGHT = 0.15

# The kinds of guesses: those by lookup, by the place of their length in `GRAMS`, and a model's.
_MODEL = len(GRAMS)
# A draft model that does not pay is asked again after so many steps, and then after twice as many.
_FIRST_REST = 8
_LONGEST_REST = 256


class Speculation:
    """One sequence's guesses, and how often they were right.

    A token that was guessed rightly saves a step, and one that was guessed wrongly makes a step
    longer. So a draft is as long as the odds and the costs make it worth while, and often that is
    no token at all. A guess is made all the same then: it costs nothing to see whether it would
    have been right.
    """

    def __init__(self) -> None:
        self._lookup = PromptLookup()
        # How likely the next token of a guess is right, by the kind of the guess.
        self._odds = list(_FIRST_ODDS)
        self._kind = 0
        self._guess = array("i")
        self._rest = self._next_rest = 0

    def draft(
        self, tokens: array[int], most: int, others: int, cost: Callable[[int], float]
    ) -> array[int]:
        """Guess what comes behind a sequence's tokens.

        Args:
            tokens: The sequence.
            most: How many tokens the guess may have.
            others: How many tokens the step computes for others.
            cost: What a step with so many tokens costs, in any unit.

        Returns:
            The tokens to compute with the next step; none when that would not pay.
        """
        found = self._lookup.find(tokens)
        if found is None:
            self._guess = array("i")
            return self._guess
        self._kind, start = found
        count = worthwhile(self._odds[self._kind], most, others, cost)
        self._guess = continued(tokens, start, max(count, 1))
        return self._guess[:count]

    def wish(self, most: int, others: int, cost: Callable[[int], float]) -> int:
        """How many tokens a draft model should guess, when `draft` gave none.

        Args:
            most: Not more than this.
            others: How many tokens the step computes for others.
            cost: What a step with so many tokens costs, guessing included, in any unit.
        """
        count = worthwhile(self._odds[_MODEL], most, others, cost)
        if count:
            self._next_rest = _FIRST_REST
            return count
        if self._rest:
            self._rest -= 1
            return 0
        self._next_rest = self._rest = min(max(2 * self._next_rest, _FIRST_REST), _LONGEST_REST)
        return min(most, 1)

    def guessed(self, guess: array[int]) -> None:
        """Take note of what a draft model guessed."""
        self._kind, self._guess = _MODEL, guess

    def observe(self, sampled: array[int]) -> None:
        """Learn from what came instead of the last guess."""
        for guess, token in zip(self._guess, sampled, strict=False):
            right = guess == token
            self._odds[self._kind] += _WEIGHT * (right - self._odds[self._kind])
            if not right:
                break


def worthwhile(odds: float, most: int, others: int, cost: Callable[[int], float]) -> int:
    """How many tokens to guess so that a step makes the most tokens for its cost.

    Args:
        odds: How likely a guessed token is right, when those before it are.
        most: Not more than this.
        others: How many tokens the step computes for others, each of which brings one.
        cost: What a step with so many tokens costs, in any unit.
    """
    count, brings, likely = 0, others + 1.0, 1.0
    best = brings / cost(others + 1)
    while count < most:
        likely *= odds
        brings += likely
        gain = brings / cost(others + count + 2)
        # Each further token brings less and costs as much: it does not get better any more.
        if gain <= best:
            break
        best, count = gain, count + 1
    return count


def continued(tokens: array[int], start: int, count: int) -> array[int]:
    """The tokens from a place on; behind the last one a repetition goes on as it has begun."""
    found = tokens[start : start + count]
    period = len(tokens) - start
    while len(found) < count:
        found += found[-period:][: count - len(found)]
    return found
