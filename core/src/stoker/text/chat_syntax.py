"""The syntax of one model's answers, put to work: its parsers, its forced calls, its thinking."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping

import attrs

from stoker.constraints.thinking import ThinkingTokens
from stoker.engine import Engine
from stoker.errors import InvalidRequestError, UnsupportedFeatureError
from stoker.messages import Tool, ToolChoiceMode
from stoker.parser import (
    ForcedCalls,
    OutputParser,
    ParserSpec,
    ParsingContext,
    ReasoningMarks,
    Syntax,
)
from stoker.parsers.choosing import choose_syntax
from stoker.request import ChatPrompt, Constraint, ConstraintKind, Effort
from stoker.text.chat_template import ChatTemplate
from stoker.text.prompt import PromptEncoder

_BUDGETS = {Effort.NONE: 0, Effort.MINIMAL: 512, Effort.LOW: 2048, Effort.MEDIUM: 8192}
"""Most tokens to think, by effort, for models whose template does not know efforts; the higher ones
set no bound."""

_CALLS_PARAM = "tool_choice"


@attrs.frozen
class ParserChoice:
    """What is said about the parser before a model is loaded."""

    plugins: Mapping[str, ParserSpec] = attrs.field(factory=dict)
    """The parsers that plugins offer, by name."""
    name: str | None = None
    """The one that the config prescribes."""


@attrs.frozen
class ThinkingPlan:
    """How the thinking before one answer is controlled."""

    tokens: ThinkingTokens
    begun: bool
    budget: int | None
    lead: tuple[int, ...]


class ChatSyntax:
    """The syntax of one model. Found out when the first chat comes."""

    def __init__(
        self,
        engine: Engine,
        prompts: PromptEncoder,
        parsers: ParserChoice,
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._engine = engine
        self._prompts = prompts
        self._parsers = parsers
        self._token_bytes = token_bytes

    @functools.cached_property
    def syntax(self) -> Syntax:
        """How the model writes.

        Raises:
            StokerError: The template does not compile, or the parser fails.
        """
        template: ChatTemplate = self._prompts.template
        return choose_syntax(
            template.source, template, plugins=self._parsers.plugins, name=self._parsers.name
        )

    @functools.cached_property
    def visible(self) -> dict[int, bytes]:
        """The texts of the control tokens that belong to the syntax."""
        encode, token_bytes = self._engine.encode, self._token_bytes
        found: dict[int, bytes] = {}
        for text in self.syntax.control_tokens:
            for piece in (text, *_TAG.findall(text)):
                tokens = encode(piece, add_special=False, parse_special=True)
                if len(tokens) == 1 and not token_bytes(tokens[0]):
                    found[tokens[0]] = piece.encode()
        return found

    @functools.cached_property
    def thinks(self) -> bool:
        """Whether the model is one that thinks: its template says so."""
        marks = self.syntax.reasoning
        source = self._prompts.template.source
        return marks is not None and (marks.start.strip() in source or marks.closed_by in source)

    def parser(self, prompt: ChatPrompt, text: str) -> OutputParser | None:
        """Make the parser of one choice; None when there is nothing to parse.

        Args:
            prompt: What was asked.
            text: The same as the template wrote it.
        """
        tools = callable_tools(prompt)
        if not tools and not self.thinks:
            return None
        return self.syntax.parser(ParsingContext(text, tools))

    def constraint(self, prompt: ChatPrompt, asked: Constraint | None) -> Constraint | None:
        """What the answer's form is, calls that are forced or possible included.

        Raises:
            InvalidRequestError: There is nothing to call.
            UnsupportedFeatureError: Calls cannot be had in this form.
        """
        tools = callable_tools(prompt)
        choice = prompt.tool_choice
        if not choice.forced and (asked is None or not tools):
            return asked
        if choice.name is not None:
            tools = tuple(tool for tool in tools if tool.name == choice.name)
        if not tools:
            raise InvalidRequestError(
                f"tool_choice wants {choice.name or 'a call'}, but there is no such tool.",
                param=_CALLS_PARAM,
            )
        rules = self.syntax.calls(ForcedCalls(tools, prompt.parallel_tool_calls), self.literal)
        if choice.forced:
            return Constraint(ConstraintKind.LARK, f"start: calls\n{rules}", _CALLS_PARAM)
        return self._either(rules, asked)

    def _either(self, rules: str, asked: Constraint | None) -> Constraint | None:
        """An answer of some form, or calls."""
        match asked:
            case Constraint(kind=ConstraintKind.JSON_OBJECT):
                schema = '{"type": "object"}'
            case Constraint(kind=ConstraintKind.JSON_SCHEMA):
                schema = json.dumps(_object(asked))
            case None:
                return None
            case _:
                raise UnsupportedFeatureError(
                    f"{asked.param}: beside tools only JSON can be prescribed: leave the tools out,"
                    " or choose none.",
                    param=asked.param,
                )
        lead = self.literal(self.syntax.answer_lead)
        source = f"start: calls | {lead} answer\n{rules}\nanswer: %json {schema}"
        return Constraint(ConstraintKind.LARK, source, asked.param)

    def literal(self, text: str) -> str:
        """A text in a grammar; see `stoker.parser.Literal`."""
        ids = {data.decode(): token for token, data in self.visible.items()}
        if not ids:
            return _quoted(text)
        pattern = "|".join(re.escape(key) for key in sorted(ids, key=len, reverse=True))
        parts = re.split(f"({pattern})", text)
        return " ".join(
            f"<[{ids[part]}]>" if part in ids else _quoted(part) for part in parts if part
        )

    def thinking(self, prompt: ChatPrompt, text: str, *, constrained: bool) -> ThinkingPlan | None:
        """How to control the thinking; None when it needs no control or there is none.

        Args:
            prompt: What was asked.
            text: The same as the template wrote it.
            constrained: Whether the answer after it has a prescribed form.
        """
        marks = self.syntax.reasoning
        if marks is None or not self.thinks or prompt.continue_final_message:
            return None
        begun = marks.begun_in(text)
        budget = self._budget(prompt)
        if (budget is None and not constrained) or (not begun and marks.over_in(text)):
            return None
        # An answer or calls: the grammar has the lead itself.
        leads = constrained and not prompt.tool_choice.forced and not callable_tools(prompt)
        lead = self._encoded(self.syntax.answer_lead) if leads or not constrained else ()
        return ThinkingPlan(self._thinking_tokens(marks), begun, budget, lead)

    def _budget(self, prompt: ChatPrompt) -> int | None:
        reasoning = prompt.reasoning
        if reasoning.budget_tokens is not None:
            return reasoning.budget_tokens
        if reasoning.effort is None:
            return None
        knows = "reasoning_effort" in self._prompts.template.source
        if knows and reasoning.effort is not Effort.NONE:
            return None
        return _BUDGETS.get(reasoning.effort)

    def _thinking_tokens(self, marks: ReasoningMarks) -> ThinkingTokens:
        visible, token_bytes = self.visible, self._token_bytes
        return ThinkingTokens(
            start=self._encoded(marks.start.strip()),
            start_text=marks.start.strip().encode(),
            closed_by=marks.closed_by.encode(),
            closing=self._encoded(marks.end),
            between=self._encoded(marks.between),
            vocabulary_size=self._engine.info.vocabulary_size,
            bytes_of=lambda token: visible.get(token) or token_bytes(token),
        )

    def _encoded(self, text: str) -> tuple[int, ...]:
        return tuple(self._engine.encode(text, add_special=False, parse_special=True))


_TAG = re.compile(r"<[^<>\s]+>")


def callable_tools(prompt: ChatPrompt) -> tuple[Tool, ...]:
    """The tools that the model may call."""
    return () if prompt.tool_choice.mode is ToolChoiceMode.NONE else prompt.tools


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text else ""


def _object(asked: Constraint) -> object:
    try:
        schema = json.loads(asked.source)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequestError(f"{asked.param} is no JSON: {exc}.", param=asked.param) from exc
    if isinstance(schema, dict):
        return {"x-guidance": {"whitespace_flexible": False}, **schema}
    return schema
