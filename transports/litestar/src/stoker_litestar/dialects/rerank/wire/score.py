"""The bodies of the score API, which is vLLM's.

https://docs.vllm.ai/en/v0.9.0/examples/online_serving/openai_cross_encoder_score.html
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stoker_litestar.dialects.openai.wire.usage import PromptUsageObject


class ScoreBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a request may say; what becomes of each field stands in `score_fields`."""

    model: str
    text_1: str | list[str]
    text_2: str | list[str]
    truncate_prompt_tokens: Any = None
    use_activation: Any = None
    user: str | None = None


class ScoreObject(msgspec.Struct, frozen=True, kw_only=True):
    """The score of one pair."""

    index: int
    object: Literal["score"] = "score"
    score: float


class ScoreList(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer, in the order of the pairs."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[ScoreObject]
    usage: PromptUsageObject
