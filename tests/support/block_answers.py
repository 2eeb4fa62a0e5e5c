"""Answers at random, for the tests of APIs that sort them into blocks."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from stoker.events import (
    ChoiceFinished,
    Event,
    Finished,
    FinishReason,
    Prefill,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)

USAGE = Usage(prompt_tokens=5, completion_tokens=4, cached_tokens=3, reasoning_tokens=1)


_KINDS = st.sampled_from(["text", "reasoning", "call"])
_PIECES = st.lists(st.text(max_size=8), max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Whole streams of events: texts, reasoning and calls one after the other, in any pieces."""
    events: list[Event] = [Prefill(0, 5), Prefill(5, 5)]
    calls = 0
    for kind, pieces in draw(st.lists(st.tuples(_KINDS, _PIECES), max_size=6)):
        if kind == "text":
            events += map(TextDelta, pieces)
        elif kind == "reasoning":
            events += map(ReasoningDelta, pieces)
        else:
            events.append(ToolCallDelta(calls, id=f"call_{calls}", name="f"))
            value = json.dumps({"x": "".join(pieces)})
            cut = draw(st.integers(0, len(value)))
            events += [ToolCallDelta(calls, arguments=part) for part in (value[:cut], value[cut:])]
            calls += 1
    return [*events, ChoiceFinished(draw(st.sampled_from(FinishReason))), Finished(USAGE)]
