"""Sampling: a sequence's parameters as a chain of llama.cpp's samplers."""

from __future__ import annotations

import ctypes
import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as native

from stoker.errors import InvalidRequestError
from stoker.sampling import SamplingParams

BANNING_BIAS = -100.0
"""A logit bias of this or less bans its token."""
MAX_BIAS = 1000.0
MAX_REPETITION_PENALTY = 100.0
# llama.cpp draws a seed of its own when it is given this one (LLAMA_DEFAULT_SEED).
_RANDOM_SEED = 0xFFFFFFFF
# Colder than this, logits divided by the temperature leave the range of 32-bit floats. The best
# token has all of the probability long before.
_COLDEST = 1e-20
# `llama_token_data`.
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


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
    """Whether the sampled token is simply the one with the best logit, so no chain is needed."""
    return _is_cold(params) and not params.logit_bias and not _has_penalties(params)


class Sampler:
    """One sequence's sampler: its random state, and the tokens that penalties look at.

    Attributes:
        remembers: Whether there are penalties, so that each token it draws changes the next draw.
    """

    def __init__(
        self,
        params: SamplingParams,
        *,
        vocabulary_size: int,
        context_length: int,
        tokens: Sequence[int] = (),
    ) -> None:
        """Make the chain.

        Args:
            params: Complete, and passed by `check`.
            vocabulary_size: How many tokens there are.
            context_length: Most tokens that the sequence can have.
            tokens: The sequence so far, for the penalties.
        """
        chain_params = native.llama_sampler_chain_default_params()
        chain_params.no_perf = True
        self._chain = native.llama_sampler_chain_init(chain_params)
        self.remembers = _has_penalties(params)
        if params.logit_bias:
            self._add(_logit_bias(params.logit_bias, vocabulary_size))
        # The library sets memory aside for the whole window.
        window = min(params.penalty_window or 0, context_length)
        if _has_penalties(params):
            self._add(
                native.llama_sampler_init_penalties(
                    vocabulary_size,
                    window,
                    params.repetition_penalty,
                    params.frequency_penalty,
                    params.presence_penalty,
                )
            )
        if _is_cold(params):
            self._add(native.llama_sampler_init_greedy())
        else:
            self._add_drawing(params, vocabulary_size)
        if _has_penalties(params):
            for token in tokens[-window:]:
                native.llama_sampler_accept(self._chain, token)

    def sample(self, context: int, index: int) -> int:
        """Draw a token from the logits of the batch's token `index`, and remember it."""
        return int(native.llama_sampler_sample(self._chain, context, index))

    def sample_among(
        self, allowed: npt.NDArray[np.integer[Any]], logits: npt.NDArray[np.float32]
    ) -> int:
        """Draw one of the allowed tokens, at least one, from a row of logits, and remember it."""
        candidates = np.zeros(len(allowed), dtype=_CANDIDATE)
        candidates["id"] = allowed
        candidates["logit"] = logits[allowed]
        array = native.llama_token_data_array(
            data=candidates.ctypes.data_as(native.llama_token_data_p),
            size=len(allowed),
            selected=-1,
            sorted=False,
        )
        native.llama_sampler_apply(self._chain, ctypes.byref(array))
        token = int(array.data[array.selected].id)
        native.llama_sampler_accept(self._chain, token)
        return token

    def remember(self, token: int) -> None:
        """Take note of a token that the sequence got otherwise."""
        native.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain and all that is in it."""
        native.llama_sampler_free(self._chain)

    def _add_drawing(self, params: SamplingParams, vocabulary_size: int) -> None:
        # Dividing by a temperature keeps the order of tokens, so top-k may come before it: the
        # same tokens are kept, and only those need be divided.
        if params.top_k:
            self._add(native.llama_sampler_init_top_k(min(params.top_k, vocabulary_size)))
        self._add(native.llama_sampler_init_temp(params.temperature))
        if params.top_p is not None and params.top_p < 1:
            self._add(native.llama_sampler_init_top_p(params.top_p, 1))
        if params.min_p:
            self._add(native.llama_sampler_init_min_p(params.min_p, 1))
        self._add(native.llama_sampler_init_dist(_seed(params)))

    def _add(self, sampler: Any) -> None:
        native.llama_sampler_chain_add(self._chain, sampler)


def _is_cold(params: SamplingParams) -> bool:
    return params.temperature is None or params.temperature < _COLDEST


def _has_penalties(params: SamplingParams) -> bool:
    neutral = (
        params.repetition_penalty == 1
        and not params.frequency_penalty
        and not params.presence_penalty
    )
    return bool(params.penalty_window) and not neutral


def _seed(params: SamplingParams) -> int:
    seed = secrets.randbits(32) if params.seed is None else params.seed
    # The remainder is never the seed that means "random".
    return seed % _RANDOM_SEED


def _logit_bias(bias: Mapping[int, float], vocabulary_size: int) -> Any:
    entries = (native.llama_logit_bias * len(bias))()
    for entry, (token, value) in zip(entries, bias.items(), strict=True):
        entry.token = token
        entry.bias = -math.inf if value <= BANNING_BIAS else value
    return native.llama_sampler_init_logit_bias(vocabulary_size, len(bias), entries)
