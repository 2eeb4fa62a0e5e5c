"""When the runner's loop sends what a session gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from stoker.events import Event, Finished, Prefill, TextDelta, Timings, Usage
from stoker.runner import loop
from stoker.wire.frames import Shutdown, Step

PREFILL = Prefill(3, 3)
FINISHED = Finished(Usage(3, 2), Timings())


class ScriptedSession:
    """Gives these events, step by step."""

    def __init__(self, *steps: Sequence[Event]) -> None:
        self._steps = [[(1, event) for event in step] for step in steps]

    @property
    def idle(self) -> bool:
        """Whether all were given."""
        return not self._steps

    def step(self) -> list[tuple[int, Event]]:
        """The next ones."""
        return self._steps.pop(0)


class RecordingChannel:
    """Remembers what was sent; says that it is over when the loop would wait."""

    def __init__(self) -> None:
        self.sent: list[list[Event]] = []

    def receive(self, timeout_s: float | None) -> Sequence[Any]:
        """Nothing, as long as there is something to do."""
        return [Shutdown()] if timeout_s is None else []

    def send(self, frame: Step) -> None:
        """Keep the events."""
        self.sent.append([event for _, event in frame.to_domain()])


def frames_of(*steps: Sequence[Event]) -> list[list[Event]]:
    """The frames in which the events of some steps are sent."""
    channel: Any = RecordingChannel()
    session: Any = ScriptedSession(*steps)
    loop._serve(channel, session)
    return channel.sent


@pytest.mark.parametrize(
    ("interval_s", "expected"),
    [
        (-1.0, [[PREFILL], [TextDelta("a")], [TextDelta("b")], [FINISHED]]),
        (3600.0, [[PREFILL], [TextDelta("ab"), FINISHED]]),
    ],
)
def test_text_waits_a_moment_for_more(
    monkeypatch: pytest.MonkeyPatch, interval_s: float, expected: list[list[Event]]
) -> None:
    """Text that follows soon after a frame comes with the next one, and nothing else waits."""
    monkeypatch.setattr(loop, "_TEXT_INTERVAL_S", interval_s)

    assert expected == frames_of([PREFILL], [TextDelta("a")], [TextDelta("b")], [FINISHED])


def test_first_text_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with the end of the prompt; steps without events send nothing."""
    monkeypatch.setattr(loop, "_TEXT_INTERVAL_S", 3600.0)

    assert [[PREFILL, TextDelta("a")], [TextDelta("b")]] == frames_of(
        [PREFILL, TextDelta("a")], [], [TextDelta("b")]
    )
