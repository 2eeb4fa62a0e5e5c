"""What waits for the next frame."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stoker.events import (
    ChoiceFinished,
    Event,
    FinishReason,
    Prefill,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from stoker.runner.pending import Pending


def _taken(*events: Event) -> list[Event]:
    pending = Pending()
    pending.add((1, event) for event in events)
    return [event for _, event in pending.take()]


def test_text_of_a_choice_becomes_one_delta() -> None:
    """With all of its log probabilities, in order."""
    a, b = TokenLogprob(1, b"a", -1.0), TokenLogprob(2, b"b", -2.0)

    assert [TextDelta("ab", 0, (a, b))] == _taken(
        TextDelta("a", logprobs=(a,)), TextDelta("b", logprobs=(b,))
    )


def test_choices_and_requests_stay_apart() -> None:
    """Each keeps its own text."""
    pending = Pending()
    pending.add([(1, TextDelta("a")), (2, TextDelta("x")), (1, TextDelta("m", 1))])
    pending.add([(1, TextDelta("b")), (2, TextDelta("y")), (1, TextDelta("n", 1))])

    expected = [(1, TextDelta("ab")), (2, TextDelta("xy")), (1, TextDelta("mn", 1))]
    assert expected == pending.take()


def test_a_call_is_joined_up_to_the_next_call() -> None:
    """Its first piece has the id and the name."""

    assert [
        ToolCallDelta(0, "id", "name", "{}"),
        ToolCallDelta(1, "other", "name", "[]"),
    ] == _taken(
        ToolCallDelta(0, "id", "name"),
        ToolCallDelta(0, arguments="{"),
        ToolCallDelta(0, arguments="}"),
        ToolCallDelta(1, "other", "name"),
        ToolCallDelta(1, arguments="[]"),
    )


def test_only_text_can_wait() -> None:
    """Everything else is news, until it is taken."""
    pending = Pending()
    pending.add([(1, TextDelta("a")), (1, ReasoningDelta("b")), (1, ToolCallDelta(0))])
    waits = pending.can_wait
    pending.add([(2, Prefill(0, 4))])

    assert (True, False) == (waits, pending.can_wait)
    pending.take()
    assert (True, False) == (pending.can_wait, bool(pending))


DELTAS = st.one_of(
    st.builds(TextDelta, st.text(min_size=1, max_size=2), st.integers(0, 1)),
    st.builds(ReasoningDelta, st.text(min_size=1, max_size=2), st.integers(0, 1)),
    st.builds(ChoiceFinished, st.just(FinishReason.STOP), st.integers(0, 1)),
)


def _story(events: list[tuple[int, Event]], request_id: int, index: int) -> list[tuple[str, str]]:
    """What a choice's reader is told: kinds of events, each with all its text."""
    told: list[tuple[str, str]] = []
    for found, event in events:
        if found != request_id or getattr(event, "index", None) != index:
            continue
        kind, text = type(event).__name__, getattr(event, "text", "")
        if told and told[-1][0] == kind and text:
            text = told.pop()[1] + text
        told.append((kind, text))
    return told


@given(st.lists(st.tuples(st.integers(1, 2), DELTAS), max_size=12))
def test_every_choice_is_told_the_same(events: list[tuple[int, Event]]) -> None:
    """Whatever comes in between, and in whatever order."""
    pending = Pending()
    pending.add(events)
    taken = pending.take()

    for request_id in (1, 2):
        for index in (0, 1):
            assert _story(events, request_id, index) == _story(taken, request_id, index)
