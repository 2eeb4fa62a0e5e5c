"""The order of events, checked."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.events import (
    ChoiceFinished,
    Detokenized,
    Echo,
    Embedding,
    Event,
    Failed,
    Finished,
    Loading,
    Prefill,
    Queued,
    Ranking,
    ReasoningDelta,
    Rendered,
    TextDelta,
    Tokenized,
    ToolCallDelta,
)

_DELTAS = (TextDelta, ReasoningDelta, ToolCallDelta)


def check_events(events: Sequence[Event], *, n: int = 1) -> None:
    """Check the events that answered a request against the order that `stoker.events` documents.

    Args:
        events: All events, to the end.
        n: How many choices the request asked for.

    Raises:
        AssertionError: The order is broken; the message says where.
    """
    assert events, "There are no events: the last must be Finished or Failed."
    *before, last = events
    assert isinstance(last, Finished | Failed), f"The last event is {last!r}."
    accepted = False
    begun: set[int] = set()
    finished: set[int] = set()
    for position, event in enumerate(before):
        where = f"Event {position}, {event!r},"
        assert not isinstance(event, Finished | Failed), f"{where} is not the last."
        if isinstance(event, Queued | Loading):
            assert not accepted, f"{where} comes after the first Prefill."
            continue
        if isinstance(event, Prefill):
            accepted = True
            assert 0 <= event.cached <= event.done <= event.total, f"{where} does not add up."
            continue
        assert accepted, f"{where} comes before the first Prefill."
        assert not isinstance(event, Embedding | Ranking | Tokenized | Detokenized | Rendered), (
            f"{where} answers no such request."
        )
        assert 0 <= event.index < n, f"{where} belongs to no choice."
        assert event.index not in finished, f"{where} comes after its choice was finished."
        if isinstance(event, Echo):
            assert event.index not in begun, f"{where} comes after its choice's beginning."
        begun.add(event.index)
        if isinstance(event, ChoiceFinished):
            finished.add(event.index)
    _check_tool_calls(before)
    if isinstance(last, Finished):
        assert finished == set(range(n)), f"Choices {finished} of {n} have a ChoiceFinished."
        assert accepted, "The request finished without a Prefill."


def check_pooling_events(events: Sequence[Event], *, inputs: int | None = None) -> None:
    """Check the events that answered a request for embeddings or for ranking.

    Args:
        events: All events, to the end.
        inputs: How many texts were to be embedded; None when documents were ranked.

    Raises:
        AssertionError: The order is broken; the message says where.
    """
    answers = [event for event in events if isinstance(event, Embedding | Ranking)]
    others = [event for event in events if not isinstance(event, Embedding | Ranking)]
    check_events(others, n=0)
    if isinstance(others[-1], Failed):
        return
    assert list(events) == [*others[:-1], *answers, others[-1]], (
        "What was asked for comes after the Prefill and before Finished."
    )
    if inputs is None:
        assert [Ranking] == [type(event) for event in answers], "There is exactly one Ranking."
    else:
        found = [event.index for event in answers if isinstance(event, Embedding)]
        assert sorted(found) == list(range(inputs)), f"Embeddings {found} of {inputs} inputs."


def _check_tool_calls(events: Sequence[Event]) -> None:
    """A tool call's id and name come with its first piece, and only with that."""
    seen: set[tuple[int, int]] = set()
    for event in events:
        if isinstance(event, ToolCallDelta):
            call = (event.index, event.call_index)
            named = event.id is not None and event.name is not None
            assert named is (call not in seen), f"{event!r}: id and name come first, and once."
            seen.add(call)
