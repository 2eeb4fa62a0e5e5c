"""Log probabilities: from an engine's tokens to those of events."""

from __future__ import annotations

from collections.abc import Callable

from stoker.engine import SampledToken
from stoker.errors import UnsupportedFeatureError
from stoker.events import TokenLogprob


def token_logprob(token: SampledToken, token_bytes: Callable[[int], bytes]) -> TokenLogprob:
    """Describe a token with the bytes of all tokens in its place.

    Raises:
        UnsupportedFeatureError: The engine gave no log probabilities.
    """
    if token.logprob is None:
        raise UnsupportedFeatureError(
            "This model's engine gives no log probabilities.", param="logprobs"
        )
    # One list and no generator: this runs for every token.
    top = [TokenLogprob(id_, token_bytes(id_), value) for id_, value in token.top]
    return TokenLogprob(token.id, token_bytes(token.id), token.logprob, tuple(top))
