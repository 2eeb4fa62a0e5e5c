"""An answer as it comes in: shown piece by piece, and collected."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import attrs
import click

from stoker.events import (
    ChoiceFinished,
    Event,
    Failed,
    Finished,
    Loading,
    Queued,
    ReasoningDelta,
    TextDelta,
    Timings,
    Usage,
)

if TYPE_CHECKING:
    from rich.status import Status

    from stoker.errors import StokerError


@attrs.define
class Answer:
    """Takes the events of one request with one choice."""

    show: bool
    """Write the text to standard output, and what the model thinks to standard error."""
    text: str = ""
    reasoning: str = ""
    end: ChoiceFinished | None = None
    usage: Usage = Usage(0, 0)
    timings: Timings = Timings()
    error: StokerError | None = None
    first_token_s: float | None = None
    """From asking to the first text, loading the model included; None while there is none."""
    _started_s: float = attrs.field(factory=time.monotonic)
    _status: Status | None = None

    def take(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case Loading():
                self._show_loading(event)
                return
            case Queued(position):
                self._show_waiting(f"waiting: {position} before this one")
                return
            case TextDelta(text=text) if text:
                self.text += text
                self._begin()
                if self.show:
                    click.echo(text, nl=False)
            case ReasoningDelta(text=text) if text:
                self.reasoning += text
                self._begin()
                if self.show:
                    # Not part of the answer, so not where programs read it.
                    click.echo(_dimmed(text), err=True, nl=False)
            case ChoiceFinished():
                self.end = event
            case Finished():
                self.usage, self.timings = event.usage, event.timings
            case Failed():
                self.error = event.error
        self.hide_loading()

    def hide_loading(self) -> None:
        """Take the status line away, if it is there. Must be called when the events break off."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def raise_error(self) -> None:
        """Raise what the request failed with, if it failed.

        Raises:
            StokerError: It failed.
        """
        if self.error is not None:
            raise self.error

    @property
    def summary(self) -> str:
        """Tokens and speed, in one line."""
        usage, timings = self.usage, self.timings
        parts = [f"{usage.prompt_tokens} prompt tokens"]
        if usage.cached_tokens:
            parts[0] += f" ({usage.cached_tokens} cached)"
        parts.append(f"{usage.completion_tokens} tokens")
        if timings.decode_s > 0 and usage.completion_tokens > 1:
            # The first token is the prefill's.
            parts.append(f"{(usage.completion_tokens - 1) / timings.decode_s:.1f} tokens/s")
        if self.first_token_s is not None:
            parts.append(f"first token after {self.first_token_s:.2f} s")
        if self.end is not None:
            parts.append(f"ended by {self.end.reason}")
        return ", ".join(parts)

    def _begin(self) -> None:
        self.hide_loading()
        if self.first_token_s is None:
            self.first_token_s = time.monotonic() - self._started_s

    def _show_loading(self, loading: Loading) -> None:
        line = f"loading: {loading.stage}"
        if loading.fraction is not None:
            line += f" {loading.fraction:.0%}"
        self._show_waiting(line)

    def _show_waiting(self, line: str) -> None:
        if not sys.stderr.isatty():
            return
        if self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True, markup=False).status(line)
            self._status.start()
        else:
            self._status.update(line)


def _dimmed(text: str) -> str:
    # https://no-color.org
    return text if os.environ.get("NO_COLOR") else click.style(text, dim=True)
