"""The parser seam: how a family of models writes tool calls and reasoning in its text."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import attrs

from stoker.events import ReasoningDelta, TextDelta, ToolCallDelta


class OutputParser(abc.ABC):
    """Splits one choice's text into answer, reasoning and tool calls, as it arrives.

    Made anew per choice; called in the runner's thread.
    """

    @abc.abstractmethod
    def feed(self, text: str) -> Sequence[TextDelta | ReasoningDelta | ToolCallDelta]:
        """Take the next piece of text; any chunking gives the same deltas, joined."""

    @abc.abstractmethod
    def finish(self) -> Sequence[TextDelta | ReasoningDelta | ToolCallDelta]:
        """The text has ended: return what was held back."""


@attrs.frozen
class ParserSpec:
    """A parser plugin's record."""

    name: str
    claims: Callable[[str], bool]
    """Whether the syntax is that of the model with this chat template."""
    factory: Callable[[], OutputParser]
