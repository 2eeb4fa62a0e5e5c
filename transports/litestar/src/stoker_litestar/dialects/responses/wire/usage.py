"""Usage, as responses report it."""

from __future__ import annotations

import msgspec

from stoker.events import Usage


class InputTokensDetails(msgspec.Struct, frozen=True):
    """What the input's tokens were."""

    cached_tokens: int
    cache_write_tokens: int = 0


class OutputTokensDetails(msgspec.Struct, frozen=True):
    """What the output's tokens were."""

    reasoning_tokens: int


class ResponseUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a response."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int

    @classmethod
    def from_domain(cls, usage: Usage) -> ResponseUsage:
        """Say the domain's usage in the API's words."""
        return cls(
            input_tokens=usage.prompt_tokens,
            input_tokens_details=InputTokensDetails(usage.cached_tokens),
            output_tokens=usage.completion_tokens,
            output_tokens_details=OutputTokensDetails(usage.reasoning_tokens),
            total_tokens=usage.total_tokens,
        )
