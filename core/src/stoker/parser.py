"""The parser seam: how a family of models writes tool calls and reasoning in its text.

A plugin registers a `ParserSpec`. Its factory makes one `Syntax` per loaded model, and that makes
one `OutputParser` per choice. The parsers that stoker brings (`stoker.parsers`) are made of the
same three.
"""

from __future__ import annotations

import abc
import secrets
import string
from collections.abc import Callable, Sequence

import attrs

from stoker.events import ReasoningDelta, TextDelta, ToolCallDelta
from stoker.messages import Tool

Delta = TextDelta | ReasoningDelta | ToolCallDelta

_ID_CHARACTERS = string.ascii_letters + string.digits
# Templates of Mistral's models refuse ids of another form.
_ID_LENGTH = 9


def new_call_id() -> str:
    """An id for a tool call: unique, and of a form that every template takes back."""
    return "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH))


@attrs.frozen
class ParsingContext:
    """What a parser may know of the request whose answer it reads."""

    prompt: str = attrs.field(default="", repr=False)
    """The prompt's text as the template wrote it. Its end says whether thinking has begun."""
    tools: tuple[Tool, ...] = ()
    """What the model may call; empty when it is not to call anything."""
    new_id: Callable[[], str] = new_call_id


class OutputParser(abc.ABC):
    """Splits one choice's text into answer, reasoning and tool calls, as it arrives.

    Made anew per choice; called in the runner's thread, once or twice per token. It must not fail
    on any text: what it cannot read is the answer's.

    Attributes:
        reasoning: Whether what comes next is reasoning, by what has come so far.
    """

    reasoning: bool = False

    @abc.abstractmethod
    def feed(self, text: str) -> Sequence[Delta]:
        """Take the next piece of text; any chunking gives the same deltas, joined.

        Deltas have the index 0: whoever calls knows which choice it is.
        """

    @abc.abstractmethod
    def finish(self) -> Sequence[Delta]:
        """The text has ended: return what was held back."""


@attrs.frozen
class ReasoningMarks:
    """What stands around the reasoning of a model that thinks before it answers."""

    start: str
    """Begins it, where the template has not done so."""
    end: str
    """What the model writes to end it, white space before included. Written in the model's place
    when the budget for thinking is used up."""
    between: str = ""
    """What stands between the end and an answer."""

    @property
    def closed_by(self) -> str:
        """What ends the reasoning."""
        return self.end.strip()

    def begun_in(self, prompt: str) -> bool:
        """Whether a prompt ends inside the reasoning."""
        return prompt.rstrip().endswith(self.start.strip())

    def over_in(self, prompt: str) -> bool:
        """Whether a prompt ends with reasoning that is over, so that the model does not think."""
        return prompt.rstrip().endswith(self.closed_by)


@attrs.frozen
class ForcedCalls:
    """Calls that must be made."""

    tools: tuple[Tool, ...]
    """One of these for each call."""
    parallel: bool
    """Whether there may be more than one call."""


Literal = Callable[[str], str]
"""Writes a text for a grammar: control tokens in it become those tokens."""


class Syntax(abc.ABC):
    """How one model writes. Made once per loaded model, in the runner's thread; has no state.

    Attributes:
        control_tokens: Texts of control tokens that the parser must see. They stand for nothing
            elsewhere, so without being named here they reach nobody.
        reasoning: What stands around reasoning; None for models that do not think.
        answer_lead: What the model writes before an answer, reasoning or not. Written in its place
            where the form of an answer is prescribed.
    """

    control_tokens: frozenset[str] = frozenset()
    reasoning: ReasoningMarks | None = None
    answer_lead: str = ""

    @abc.abstractmethod
    def parser(self, context: ParsingContext) -> OutputParser:
        """Make the parser of one choice."""

    @abc.abstractmethod
    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """Write the rule `calls` of a grammar, for answers that are nothing but calls.

        Args:
            forced: What may be called.
            literal: Must be used for every fixed text.

        Returns:
            Rules in llguidance's dialect of Lark, one a line: `calls` and those that it needs,
            whose names begin with `call`.

        Raises:
            UnsupportedFeatureError: The syntax cannot be forced.
        """


@attrs.frozen
class ParserSpec:
    """A parser plugin's record."""

    name: str
    claims: Callable[[str], bool]
    """Whether the syntax is that of the model with this chat template (its Jinja source)."""
    factory: Callable[[str], Syntax]
    """Makes the syntax of the model with this chat template."""
