"""The body of `POST /v1/completions`.

The fields are those of `openai.types.completion_create_params`; what becomes of each stands in
`completion_fields`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from stoker.sampling import MAX_LOGPROBS
from stoker_litestar.dialects.openai.wire.generation import GenerationFields, TokenId


class CompletionRequest(GenerationFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a text completions request may say."""

    prompt: str | list[str | TokenId | list[TokenId]]
    best_of: int | None = None
    echo: bool | None = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=MAX_LOGPROBS)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    suffix: str | None = None
