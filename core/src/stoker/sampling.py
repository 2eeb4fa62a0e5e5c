"""Sampling parameters: how the next token is chosen from the logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from stoker.errors import InvalidRequestError

MAX_LOGPROBS = 20
"""Most alternatives per token that a request may ask for."""


def _in_range(
    low: float, high: float | None = None, *, open_low: bool = False
) -> Callable[[object, Any, Any], None]:
    """Make a validator that lets None ("unset") and numbers between the bounds through."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: float | None) -> None:
        if value is None:
            return
        too_low = value <= low if open_low else value < low
        if too_low or not math.isfinite(value) or (high is not None and value > high):
            bound = f"between {low:g} and {high:g}" if high is not None else f"{low:g} or more"
            raise InvalidRequestError(
                f"{attribute.name} must be {bound}, not {value}.", param=attribute.name
            )

    return check


@attrs.frozen
class SamplingParams:
    """How to sample one sequence. None means "unset": the next level of defaults decides.

    The order of application is: logit bias, penalties, temperature, then top-k, top-p and min-p
    on the tempered distribution; temperature 0 takes the best token and ignores the rest.
    """

    temperature: float | None = attrs.field(default=None, validator=_in_range(0, 100))
    top_k: int | None = attrs.field(default=None, validator=_in_range(0))
    """Keep the k best tokens; 0 keeps all."""
    top_p: float | None = attrs.field(default=None, validator=_in_range(0, 1, open_low=True))
    """Keep the smallest set of best tokens whose probabilities sum to at least this."""
    min_p: float | None = attrs.field(default=None, validator=_in_range(0, 1))
    """Keep tokens at least this likely, relative to the best one."""
    repetition_penalty: float | None = attrs.field(
        default=None, validator=_in_range(0, open_low=True)
    )
    """Divides positive logits of seen tokens and multiplies negative ones; 1 is off."""
    presence_penalty: float | None = attrs.field(default=None, validator=_in_range(-2, 2))
    """Subtracted once from the logits of seen tokens."""
    frequency_penalty: float | None = attrs.field(default=None, validator=_in_range(-2, 2))
    """Subtracted from the logits of seen tokens once per occurrence."""
    penalty_window: int | None = attrs.field(default=None, validator=_in_range(0))
    """How many of the last tokens, prompt included, the penalties look at; 0 switches them off."""
    seed: int | None = None
    """Any integer; reduced to 32 bits. Unset draws a fresh one."""
    logit_bias: Mapping[int, float] | None = attrs.field(default=None, hash=False)
    """Added to the logits of single tokens, by token id; -100 or less bans a token."""
    logprobs: int | None = attrs.field(default=None, validator=_in_range(0, MAX_LOGPROBS))
    """How many alternatives to report with each token: 0 the token's own only, None nothing.

    Log probabilities are those of the model's own distribution, before any of the above.
    """

    def over(self, defaults: SamplingParams) -> SamplingParams:
        """These parameters, with what is unset taken from `defaults`."""
        unset = {
            field.name: getattr(defaults, field.name)
            for field in attrs.fields(SamplingParams)
            if getattr(self, field.name) is None
        }
        return attrs.evolve(self, **unset)


DEFAULT_SAMPLING = SamplingParams(
    temperature=0.8,
    top_k=40,
    top_p=0.95,
    min_p=0.05,
    repetition_penalty=1.0,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    penalty_window=64,
)
"""The last level of defaults, the same on every engine. Small local models ramble at 1.0."""
