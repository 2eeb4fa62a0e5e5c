r"""The syntaxes of Mistral's models.

`[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}]` up to version 7 of their tokenizer, and later
`[TOOL_CALLS]f[ARGS]{"a": 1}` for each call, with `[CALL_ID]...` before the arguments in some.
Reasoning stands between `[THINK]` and `[/THINK]`:
https://github.com/mistralai/mistral-common/tree/main/src/mistral_common/tokens/tokenizers
"""

from __future__ import annotations

from stoker.parser import (
    ForcedCalls,
    Literal,
    OutputParser,
    ParsingContext,
    ReasoningMarks,
    Syntax,
)
from stoker.parsers.json_reader import CallKeys
from stoker.parsers.lark import calls_rule, json_call
from stoker.parsers.message import THINK, MessageParser
from stoker.parsers.reader import Reading

CALLS, ARGUMENTS, CALL_ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
_THINK = ReasoningMarks("[THINK]", "[/THINK]")


class _Parser(MessageParser):
    markers = (CALLS,)

    def call(self, marker: str) -> Reading[bool]:
        del marker
        yield from self.space()
        if (yield from self.peek()) in ("[", "{"):
            return (yield from self.call_list(CallKeys()))
        found = yield from self.name(ARGUMENTS, CALL_ID, "{")
        if found is None:
            return False
        name, end = found
        if end == CALL_ID:
            found = yield from self.name(ARGUMENTS, "{")
            if found is None:
                return False
            end = found[1]
        if end == "{":
            self.put_back(end)
        yield from self.space()
        if (yield from self.peek()) not in ("{", ""):
            return False
        yield from self.json_value(self.open_call(name))
        return True


class MistralSyntax(Syntax):
    """Markers in brackets, with JSON."""

    control_tokens = frozenset({CALLS, ARGUMENTS, CALL_ID, "[THINK]", "[/THINK]"})

    def __init__(self, template: str) -> None:
        self._named = ARGUMENTS in template
        self.reasoning = _THINK if _THINK.start in template else THINK

    def parser(self, context: ParsingContext) -> OutputParser:
        """See `Syntax.parser`."""
        return _Parser(context, self.reasoning)

    def calls(self, forced: ForcedCalls, literal: Literal) -> str:
        """See `Syntax.calls`."""
        if self._named:
            return calls_rule(forced, literal, json_call(CALLS, ARGUMENTS, "", literal))
        call = json_call('{"name": "', '", "arguments": ', "}", literal)
        return calls_rule(forced, literal, call, first=f"{CALLS}[", between=", ", last="]")
