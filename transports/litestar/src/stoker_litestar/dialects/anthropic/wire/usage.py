"""Usage, as responses and streams report it."""

from __future__ import annotations

import msgspec

from stoker.events import Usage


class OutputTokensDetails(msgspec.Struct, frozen=True):
    """What the answer's tokens were."""

    thinking_tokens: int


class UsageObject(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a request. Every field is always there, as strict clients expect."""

    input_tokens: int
    """Those that had to be computed; the reused ones are counted apart."""
    cache_read_input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_creation: None = None
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    server_tool_use: None = None
    service_tier: str = "standard"
    inference_geo: None = None

    @classmethod
    def from_domain(cls, usage: Usage) -> UsageObject:
        """Say the domain's usage in the API's words."""
        return cls(
            input_tokens=usage.prompt_tokens - usage.cached_tokens,
            cache_read_input_tokens=usage.cached_tokens,
            output_tokens=usage.completion_tokens,
            output_tokens_details=OutputTokensDetails(usage.reasoning_tokens),
        )


class DeltaUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The final counts of a stream."""

    input_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int = 0
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    server_tool_use: None = None

    @classmethod
    def from_domain(cls, usage: Usage) -> DeltaUsage:
        """Say the domain's usage in the API's words."""
        return cls(
            input_tokens=usage.prompt_tokens - usage.cached_tokens,
            cache_read_input_tokens=usage.cached_tokens,
            output_tokens=usage.completion_tokens,
            output_tokens_details=OutputTokensDetails(usage.reasoning_tokens),
        )
