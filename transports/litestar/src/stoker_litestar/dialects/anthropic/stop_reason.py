"""Why a message ended, in Anthropic's words."""

from __future__ import annotations

import attrs

from stoker.events import ChoiceFinished, FinishReason, Usage


@attrs.frozen
class StopReason:
    """The reason, and the stop sequence where it is one."""

    reason: str
    sequence: str | None = None

    @classmethod
    def of(cls, finished: ChoiceFinished, usage: Usage, max_tokens: int) -> StopReason:
        """Find the reason.

        Args:
            finished: How the answer ended.
            usage: What it took.
            max_tokens: What it was allowed; an answer that is cut off before has filled the
                model's context.
        """
        if finished.stop is not None:
            return cls("stop_sequence", finished.stop)
        if finished.reason is FinishReason.TOOL_CALLS:
            return cls("tool_use")
        if finished.reason is FinishReason.STOP:
            return cls("end_turn")
        if usage.completion_tokens < max_tokens:
            return cls("model_context_window_exceeded")
        return cls("max_tokens")
