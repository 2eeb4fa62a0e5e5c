"""What a decoded request leaves for its encoder."""

from __future__ import annotations

import attrs

from stoker_litestar.dialects.responses.conversation import Conversation
from stoker_litestar.dialects.responses.wire.response import ResponseObject


@attrs.frozen
class ResponsePlan:
    """Everything of the response that does not follow from events."""

    echo: ResponseObject = attrs.field(hash=False)
    """The response before its first event."""
    conversation: Conversation = attrs.field(hash=False)
    summarises: bool
    """Whether reasoning stands as its own summary."""
