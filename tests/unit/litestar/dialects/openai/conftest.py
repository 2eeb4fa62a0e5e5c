"""Events and streams for the dialect's tests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from stoker.dialect import ResponseContext
from stoker.events import (
    ChoiceFinished,
    Event,
    Finished,
    FinishReason,
    Prefill,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)

CONTEXT = ResponseContext(id="abc", created_s=1234)
USAGE = Usage(prompt_tokens=5, completion_tokens=4, cached_tokens=3, reasoning_tokens=1)
N = 2


def sse_data(stream: bytes) -> list[str]:
    """The data of a stream's events."""
    *events, rest = stream.decode().split("\n\n")
    assert not rest
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [event.removeprefix("data: ") for event in events]


def chunks(stream: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream that ends as it should."""
    *data, last = sse_data(stream)
    assert "[DONE]" == last
    return [json.loads(item) for item in data]


index = st.integers(0, N - 1)
token = st.builds(
    TokenLogprob,
    token_id=st.integers(0, 9),
    bytes=st.binary(max_size=3),
    logprob=st.floats(max_value=0, allow_nan=False),
    top=st.tuples(st.builds(TokenLogprob, st.just(1), st.binary(max_size=3), st.just(-1.0))),
)
text_deltas = st.builds(TextDelta, st.text(), index, st.lists(token, max_size=2).map(tuple))
reasoning_deltas = st.builds(ReasoningDelta, st.text(), index)
tool_call_deltas = st.builds(
    ToolCallDelta, call_index=st.integers(0, 2), arguments=st.text(), index=index
)


@st.composite
def answers(draw: st.DrawFn, deltas: st.SearchStrategy[Any]) -> list[Event]:
    """Whole streams of events: any deltas of two choices, in any order."""
    events: list[Event] = [Prefill(0, 5), Prefill(5, 5)]
    opened: set[tuple[int, int]] = set()
    for delta in draw(st.lists(deltas)):
        if isinstance(delta, ToolCallDelta) and (delta.index, delta.call_index) not in opened:
            opened.add((delta.index, delta.call_index))
            events.append(
                ToolCallDelta(
                    delta.call_index, id="call", name="f", arguments="", index=delta.index
                )
            )
        events.append(delta)
    events += [ChoiceFinished(draw(st.sampled_from(FinishReason)), i) for i in range(N)]
    return [*events, Finished(USAGE)]
