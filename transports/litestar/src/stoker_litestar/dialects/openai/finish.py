"""Finish reasons in OpenAI's words."""

from __future__ import annotations

from stoker.events import FinishReason

FINISH_REASONS = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
}
