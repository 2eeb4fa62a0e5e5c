"""Usage and timings, as responses report them."""

from __future__ import annotations

import msgspec

from stoker.events import Timings, Usage


class PromptTokensDetails(msgspec.Struct, frozen=True):
    """What the prompt's tokens were."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionTokensDetails(msgspec.Struct, frozen=True):
    """What the answer's tokens were."""

    reasoning_tokens: int
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class UsageObject(msgspec.Struct, frozen=True):
    """Tokens of a request, over all choices."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails

    @classmethod
    def from_domain(cls, usage: Usage) -> UsageObject:
        """Say the domain's usage in the API's words."""
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            prompt_tokens_details=PromptTokensDetails(usage.cached_tokens),
            completion_tokens_details=CompletionTokensDetails(usage.reasoning_tokens),
        )


class PromptUsageObject(msgspec.Struct, frozen=True):
    """Tokens of a request that is read and not gone on with, over all its texts."""

    prompt_tokens: int
    total_tokens: int

    @classmethod
    def from_domain(cls, usage: Usage) -> PromptUsageObject:
        """Say the domain's usage in the API's words."""
        return cls(prompt_tokens=usage.prompt_tokens, total_tokens=usage.total_tokens)


class TimingsObject(msgspec.Struct, frozen=True):
    """The extension `timings`, by llama-server's names.

    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    """

    cache_n: int
    prompt_n: int
    """Prompt tokens that were computed, the cached ones not among them."""
    prompt_ms: float
    predicted_n: int
    predicted_ms: float
    draft_n: int
    """Tokens that were guessed and verified several at a time."""
    draft_n_accepted: int
    preemptions: int
    """How often a choice had to wait for memory and was computed again; llama-server has no such
    thing."""

    @classmethod
    def from_domain(cls, usage: Usage, timings: Timings) -> TimingsObject:
        """Put counts and times together."""
        return cls(
            cache_n=usage.cached_tokens,
            prompt_n=usage.prompt_tokens - usage.cached_tokens,
            prompt_ms=round(timings.prefill_s * 1000, 3),
            predicted_n=usage.completion_tokens,
            predicted_ms=round(timings.decode_s * 1000, 3),
            draft_n=timings.draft_tokens,
            draft_n_accepted=timings.accepted_draft_tokens,
            preemptions=timings.preemptions,
        )
