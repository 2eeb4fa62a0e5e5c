"""What waits for the next frame: events, with deltas that follow each other made one."""

from __future__ import annotations

from collections.abc import Iterable

from stoker.events import Event, ReasoningDelta, TextDelta, ToolCallDelta

_DELTAS = (TextDelta, ReasoningDelta, ToolCallDelta)


class Pending:
    """The events since the last frame.

    Where an engine is quicker than frames are sent, a frame would bring several deltas of one
    choice. They would cost the supervisor and the client as much again each, and nobody reads them
    one by one: one delta with all of their text says the same.
    """

    def __init__(self) -> None:
        self._events: list[tuple[int, Event]] = []
        # Where the last event of each choice is, by request and choice.
        self._last: dict[tuple[int, int], int] = {}
        self.can_wait = True
        """Whether it is all text, which a reader does not miss for a moment."""

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, events: Iterable[tuple[int, Event]]) -> None:
        """Put events behind those that wait."""
        for item in events:
            request_id, event = item
            if not isinstance(event, _DELTAS):
                self.can_wait = False
                self._events.append(item)
                # What of its choice follows is no part of what was before.
                index = getattr(event, "index", None)
                if index is not None:
                    self._last.pop((request_id, index), None)
                continue
            place = self._last.get((request_id, event.index))
            if place is not None:
                joined = _joined(self._events[place][1], event)
                if joined is not None:
                    self._events[place] = (request_id, joined)
                    continue
            self._last[request_id, event.index] = len(self._events)
            self._events.append(item)

    def take(self) -> list[tuple[int, Event]]:
        """Remove and return all."""
        events = self._events
        self._events, self._last, self.can_wait = [], {}, True
        return events


def _joined(before: Event, event: Event) -> Event | None:
    """One delta for two of a choice; None when they are not of a kind."""
    match before, event:
        case TextDelta(), TextDelta():
            return TextDelta(
                before.text + event.text, event.index, before.logprobs + event.logprobs
            )
        case ReasoningDelta(), ReasoningDelta():
            return ReasoningDelta(before.text + event.text, event.index)
        case ToolCallDelta(), ToolCallDelta() if (
            before.call_index == event.call_index and event.id is None and event.name is None
        ):
            return ToolCallDelta(
                before.call_index,
                before.id,
                before.name,
                before.arguments + event.arguments,
                before.index,
            )
    return None
