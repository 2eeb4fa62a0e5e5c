"""The bodies of answers to text completions; a stream's chunks have the same form."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from stoker_litestar.dialects.openai.wire.completion_logprobs import CompletionLogprobs
from stoker_litestar.dialects.openai.wire.usage import TimingsObject, UsageObject


class CompletionChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A choice or a piece of one."""

    text: str
    index: int
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer or a chunk of it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: UsageObject | UnsetType | None = UNSET
    timings: TimingsObject | UnsetType = UNSET
