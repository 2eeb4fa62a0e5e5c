"""The internal request: richer than any wire dialect, so that no dialect loses a field."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sized
from typing import Any

import attrs

from stoker.errors import InvalidRequestError
from stoker.messages import Message, Tool, ToolChoice
from stoker.sampling import SamplingParams

MAX_STOP_STRINGS = 64
MAX_STOP_STRING_CHARS = 1000
MAX_CHOICES = 128
MAX_INPUTS = 2048
"""Most texts to embed and most documents to rank in one request."""


class Effort(enum.StrEnum):
    """How long the model should think."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


def _checked_budget(_instance: object, _attribute: object, value: int | None) -> None:
    if value is not None and value < 0:
        raise InvalidRequestError("A budget for thinking is 0 or more tokens.", param="reasoning")


@attrs.frozen
class Reasoning:
    """How the model should think before it answers. Unset leaves it to the model's template."""

    effort: Effort | None = None
    """The template gets it; where it knows no efforts, it sets a budget."""
    budget_tokens: int | None = attrs.field(default=None, validator=_checked_budget)
    """Most tokens that are reasoning; then its end is written in the model's place. 0 is none."""

    @property
    def enabled(self) -> bool | None:
        """Whether the model should think at all; None when nothing is said."""
        if self.effort is not None:
            return self.effort is not Effort.NONE
        return None if self.budget_tokens is None else self.budget_tokens > 0


@attrs.frozen
class ChatPrompt:
    """A conversation, rendered by the model's chat template."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    add_generation_prompt: bool = True
    """Begin the assistant's next message."""
    continue_final_message: bool = False
    """Go on with the last message, which is the assistant's, and begin none."""
    template_arguments: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    """Further variables for the template (JSON values)."""
    reasoning: Reasoning = Reasoning()


@attrs.frozen
class TextPrompt:
    """Plain text to continue; no template is applied."""

    text: str
    suffix: str = ""
    """What stands behind the text that is wanted: that fills the gap. Only for models that were
    trained to fill in."""


@attrs.frozen
class TokenPrompt:
    """Token ids to continue, as they are."""

    tokens: tuple[int, ...]


Prompt = ChatPrompt | TextPrompt | TokenPrompt


_GBNF_RULE = re.compile(r"^\s*[\w-]+\s*::=", re.MULTILINE)


class ConstraintKind(enum.StrEnum):
    """The languages in which an answer's form can be prescribed."""

    JSON_OBJECT = "json-object"
    JSON_SCHEMA = "json-schema"
    REGEX = "regex"
    CHOICE = "choice"
    LARK = "lark"
    GBNF = "gbnf"

    @classmethod
    def of_grammar(cls, source: str) -> ConstraintKind:
        """The language of a grammar of which nothing else is said.

        A rule in GBNF is `name ::= ...` and one in Lark is `name: ...`, so a line that begins as
        the former makes it GBNF, and everything else is Lark.
        """
        return cls.GBNF if _GBNF_RULE.search(source) else cls.LARK


@attrs.frozen
class Constraint:
    """The form that the answer must have, from its first token to its last."""

    kind: ConstraintKind
    source: str = ""
    """The schema (JSON text), expression or grammar; for a choice a JSON array of strings."""
    param: str = attrs.field(default="constraint", eq=False)
    """The field that said so, in the words of the dialect, for errors."""


def _checked_stop(_instance: object, _attribute: object, value: tuple[str, ...]) -> None:
    if len(value) > MAX_STOP_STRINGS:
        raise InvalidRequestError(f"stop takes at most {MAX_STOP_STRINGS} strings.", param="stop")
    if not all(1 <= len(stop) <= MAX_STOP_STRING_CHARS for stop in value):
        raise InvalidRequestError(
            f"A stop string has between 1 and {MAX_STOP_STRING_CHARS} characters.", param="stop"
        )


def _checked_n(_instance: object, _attribute: object, value: int) -> None:
    if not 1 <= value <= MAX_CHOICES:
        raise InvalidRequestError(f"n must be between 1 and {MAX_CHOICES}.", param="n")


def _checked_max_tokens(instance: GenerateRequest, _attribute: object, value: int | None) -> None:
    # Who wants the prompt back may want nothing else.
    least = 0 if instance.echo else 1
    if value is not None and value < least:
        raise InvalidRequestError(f"max_tokens must be {least} or more.", param="max_tokens")


def _checked_keep_alive(_instance: object, _attribute: object, value: float | None) -> None:
    # NaN is not 0 or more either.
    if value is not None and not value >= 0:
        raise InvalidRequestError(
            "keep_alive must be 0 or more seconds, or infinite.", param="keep_alive"
        )


@attrs.frozen(kw_only=True)
class Routed:
    """What every request may say of where and when it runs."""

    backend: str | None = None
    """Pins the backend by name."""
    priority: int = 0
    """Larger goes first."""
    keep_alive_s: float | None = attrs.field(default=None, validator=_checked_keep_alive)
    """How long the model stays loaded when it is idle after this; unset is what the config says."""


@attrs.frozen
class GenerateRequest(Routed):
    """One request for text. None means "unset" throughout."""

    model: str
    """The name that was asked for; answers carry it back."""
    prompt: Prompt
    sampling: SamplingParams = SamplingParams()
    max_tokens: int | None = attrs.field(default=None, validator=_checked_max_tokens)
    """Most tokens to generate; unset generates until the model or the context ends."""
    stop: tuple[str, ...] = attrs.field(default=(), validator=_checked_stop)
    """Texts that end the answer and are not part of it."""
    n: int = attrs.field(default=1, validator=_checked_n)
    """How many answers (choices) to generate."""
    constraint: Constraint | None = None
    adapters: tuple[str, ...] = ()
    """Names of the model's adapter layers to apply."""
    more_prompts: tuple[TextPrompt | TokenPrompt, ...] = ()
    """Further prompts, each of which gets `n` choices as well; they are numbered on."""
    echo: bool = False
    """Tell the prompt's text as well and, with `sampling.logprobs`, what the model thinks of each
    of its tokens. Not for chats; `max_tokens` may be 0 then."""
    ignore_end: bool = False
    """Go on when the model says it has finished (for measurements)."""

    @property
    def choices(self) -> int:
        """How many answers there are, of all prompts."""
        return self.n * (1 + len(self.more_prompts))


def _check_count(name: str, value: Sized) -> None:
    if not 1 <= len(value) <= MAX_INPUTS:
        raise InvalidRequestError(
            f"{name} must have between 1 and {MAX_INPUTS} entries, not {len(value)}.", param=name
        )


def _at_least_one(_instance: object, attribute: attrs.Attribute[Any], value: int | None) -> None:
    if value is not None and value < 1:
        raise InvalidRequestError(f"{attribute.name} must be 1 or more.", param=attribute.name)


@attrs.frozen
class EmbedRequest(Routed):
    """One request for embeddings: a vector for each input."""

    model: str
    input: tuple[TextPrompt | TokenPrompt, ...]
    """Texts get the model's special tokens around; tokens are taken as they are."""
    dimensions: int | None = attrs.field(default=None, validator=_at_least_one)
    """Keep the first so many numbers of each vector; only for models that are trained for it."""
    normalize: bool = True
    """Scale each vector to the length 1, after `dimensions`."""

    def __attrs_post_init__(self) -> None:
        _check_count("input", self.input)


@attrs.frozen
class RerankRequest(Routed):
    """One request to rank documents by how well they answer a query."""

    model: str
    query: str | tuple[str, ...]
    """One for all documents, or one for each of them."""
    documents: tuple[str, ...]
    top_n: int | None = attrs.field(default=None, validator=_at_least_one)
    """Keep the best so many; unset, and more than there are, keeps all."""
    params: tuple[str, str] = ("query", "documents")
    """What the query and the documents are called where the request came from, for errors."""

    def __attrs_post_init__(self) -> None:
        one, other = self.params
        _check_count(other, self.documents)
        if not isinstance(self.query, str) and len(self.query) != len(self.documents):
            raise InvalidRequestError(
                f"{one} has {len(self.query)} texts and {other} has {len(self.documents)}: give one"
                f" text, or one for each of {other}.",
                param=one,
            )


@attrs.frozen
class TokenizeRequest(Routed):
    """One request for the tokens of a prompt; nothing is generated.

    With the defaults these are the tokens that a `GenerateRequest` with the prompt is read as, and
    `Usage.prompt_tokens` is their number, whether or not they would fit into the context.
    """

    model: str
    prompt: Prompt
    add_special: bool = True
    """Put the model's begin tokens before a `TextPrompt`; the other kinds do not look at it."""
    parse_special: bool = True
    """Read texts of control tokens in a `TextPrompt` as those tokens."""
    with_pieces: bool = False
    """Tell the bytes of each token, too."""


@attrs.frozen
class DetokenizeRequest(Routed):
    """One request for the text that tokens stand for."""

    model: str
    tokens: tuple[int, ...]


@attrs.frozen
class RenderRequest(Routed):
    """One request for a conversation as the model's chat template writes it."""

    model: str
    prompt: ChatPrompt


TokenRequest = TokenizeRequest | DetokenizeRequest | RenderRequest
"""Requests that need the tokenizer and the template only."""
Request = GenerateRequest | EmbedRequest | RerankRequest | TokenRequest
