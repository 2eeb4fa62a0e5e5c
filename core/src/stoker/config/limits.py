"""`[limits]` and `[queue]`: how much a request and a caller may ask for, and how many may wait."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stoker.request import MAX_CHOICES, MAX_INPUTS, MAX_STOP_STRING_CHARS, MAX_STOP_STRINGS

_Count = Annotated[int, msgspec.Meta(ge=1)]


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[limits]`: a request beyond one of them is refused, with the limit's name."""

    max_prompt_chars: _Count = 16 * 1024 * 1024
    """Of all texts of a request together."""
    max_messages: _Count = 10_000
    """In one conversation."""
    max_choices: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHOICES)] = MAX_CHOICES
    """Answers to one request (`n`)."""
    max_stop_strings: Annotated[int, msgspec.Meta(ge=0, le=MAX_STOP_STRINGS)] = MAX_STOP_STRINGS
    max_stop_string_chars: Annotated[int, msgspec.Meta(ge=1, le=MAX_STOP_STRING_CHARS)] = (
        MAX_STOP_STRING_CHARS
    )
    max_inputs: Annotated[int, msgspec.Meta(ge=1, le=MAX_INPUTS)] = MAX_INPUTS
    """Texts to embed, or documents to rank, in one request."""
    max_concurrent_requests: _Count = 256
    """Of one API key or, without keys, one address; waiting ones count."""


class QueueConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[queue]`: requests that wait for their turn at a model."""

    max_waiting: Annotated[int, msgspec.Meta(ge=1)] = 512
    """For each model; further ones are told to come back."""
    wait_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """How long one may wait; `inf` waits for ever."""
