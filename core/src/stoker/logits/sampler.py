"""Sampling: drawing a sequence's next token from its logits, by its parameters."""

from __future__ import annotations

import contextlib
import math
import random
import secrets
from collections.abc import Iterable, Iterator

import numpy as np

from stoker.errors import InvalidRequestError, UnavailableError
from stoker.logits.mask import Mask
from stoker.logits.peaks import Logits
from stoker.logits.penalties import Penalties
from stoker.logits.truncation import Truncation
from stoker.sampling import SamplingParams

BANNING_BIAS = -100.0
"""A logit bias of this or less bans its token."""
MAX_BIAS = 1000.0
MAX_REPETITION_PENALTY = 100.0
_SEEDS = 2**32
# Colder than this, the smallest difference between two logits leaves the best token all of the
# probability, and numbers divided by the temperature would leave the range of floats at last.
_COLDEST = 1e-6


def check(params: SamplingParams, *, vocabulary_size: int) -> None:
    """Refuse what cannot be computed.

    Raises:
        InvalidRequestError: A bias or penalty is out of range, or no token is left to sample.
    """
    penalty = params.repetition_penalty
    if penalty is not None and not 1 / MAX_REPETITION_PENALTY <= penalty <= MAX_REPETITION_PENALTY:
        raise InvalidRequestError(
            f"repetition_penalty must be between {1 / MAX_REPETITION_PENALTY:g} and"
            f" {MAX_REPETITION_PENALTY:g}, not {penalty}.",
            param="repetition_penalty",
        )
    bias = params.logit_bias or {}
    for token, value in bias.items():
        if not 0 <= token < vocabulary_size:
            raise InvalidRequestError(
                f"logit_bias names the token {token}, but the vocabulary ends at"
                f" {vocabulary_size - 1}.",
                param="logit_bias",
            )
        if math.isnan(value) or value > MAX_BIAS:
            raise InvalidRequestError(
                f"logit_bias must be at most {MAX_BIAS:g}, not {value}.", param="logit_bias"
            )
    if len(banned_tokens(params)) >= vocabulary_size:
        raise InvalidRequestError("logit_bias bans every token.", param="logit_bias")


def banned_tokens(params: SamplingParams) -> list[int]:
    """The tokens that the logit bias bans."""
    bias = params.logit_bias or {}
    return [token for token, value in bias.items() if value <= BANNING_BIAS]


def takes_best(params: SamplingParams) -> bool:
    """Whether the sampled token is simply the one with the best logit, so no sampler is needed."""
    return _is_cold(params) and not params.logit_bias and not _has_penalties(params)


class Sampler:
    """One sequence's sampler: its random state, and the tokens that penalties look at.

    Samplers of engines' libraries copy and sort the whole vocabulary, which for a large one takes a
    good part of the time of computing a token.
    """

    def __init__(self, params: SamplingParams, *, prompt: Iterable[int] = ()) -> None:
        """Begin a sequence.

        Args:
            params: Complete, and passed by `check`.
            prompt: What the sequence begins with, for the penalties.
        """
        bias = params.logit_bias or {}
        self._biased = np.fromiter(bias, dtype=np.intp, count=len(bias))
        values = [-math.inf if value <= BANNING_BIAS else value for value in bias.values()]
        self._bias = np.array(values, dtype=np.float32)
        self._penalties = Penalties(params, prompt) if _has_penalties(params) else None
        self._truncation = None if _is_cold(params) else Truncation(params)
        seed = secrets.randbits(32) if params.seed is None else params.seed
        self._random = random.Random(seed % _SEEDS)  # noqa: S311 - a seed is asked for to repeat

    def sample(self, logits: Logits, mask: Mask | None = None) -> int:
        """Draw a token from a row of logits, and remember it.

        Args:
            logits: Changed while this runs, and restored.
            mask: What may be drawn; None allows everything.

        Raises:
            InvalidRequestError: The mask and the bias leave no token.
            UnavailableError: The logits are not numbers.
        """
        if self._penalties is None and not len(self._biased):
            return self._drawn(logits, mask)
        with self._changed(logits):
            token = self._drawn(logits, mask)
        if self._penalties is not None:
            self._penalties.add(token)
        return token

    def take(self, token: int) -> None:
        """Remember a token that was not drawn, because a constraint allows no other one.

        Raises:
            InvalidRequestError: The bias bans it.
        """
        if len(self._biased) and -np.inf in self._bias[self._biased == token]:
            raise _all_banned()
        if self._penalties is not None:
            self._penalties.add(token)

    @contextlib.contextmanager
    def _changed(self, logits: Logits) -> Iterator[None]:
        """Apply bias and penalties: to few logits of many, so in place."""
        unbiased = logits[self._biased]
        logits[self._biased] += self._bias
        try:
            if self._penalties is None:
                yield
                return
            seen = self._penalties.tokens()
            unpenalised = logits[seen]
            logits[seen] = self._penalties.applied(unpenalised)
            try:
                yield
            finally:
                logits[seen] = unpenalised
        finally:
            logits[self._biased] = unbiased

    def _drawn(self, logits: Logits, mask: Mask | None) -> int:
        tokens = None
        if mask is not None:
            logits, tokens = mask.among(logits)
        place = int(logits.argmax())
        best = logits[place]
        if len(self._biased) and best == -np.inf:
            raise _all_banned()
        check_best(best)
        if self._truncation is not None:
            place = self._truncation.draw(logits, best, self._random.random())
        return place if tokens is None else int(tokens[place])


def check_best(logit: np.float32) -> None:
    """Refuse to take a token for the best one when its logit is not a number.

    Raises:
        UnavailableError: It is not, or is infinite.
    """
    if not math.isfinite(logit):
        raise UnavailableError(
            "The model computed something that is not a number. If this happens again, its file"
            " may be damaged: pull it again, or load it with another cache type."
        )


def _all_banned() -> InvalidRequestError:
    return InvalidRequestError(
        "No token is left to sample: logit_bias bans all that the constraint allows.",
        param="logit_bias",
    )


def _is_cold(params: SamplingParams) -> bool:
    return params.temperature is None or params.temperature < _COLDEST


def _has_penalties(params: SamplingParams) -> bool:
    neutral = (
        params.repetition_penalty == 1
        and not params.frequency_penalty
        and not params.presence_penalty
    )
    return bool(params.penalty_window) and not neutral
